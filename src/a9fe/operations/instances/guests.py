"""What a guest writes and operators announce to it, inside one transaction.

Every change is one of the instance, so that the feed carries it.
"""

import secrets
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from a9fe.api_tables import converters as to
from a9fe.api_tables import schemas
from a9fe.model import codec
from a9fe.model.errors import Conflict, Forbidden, NotFound
from a9fe.model.guest import EVENT_CODES, ScheduledEvent
from a9fe.model.policy import ANY_HOST
from a9fe.model.resources import Instance
from a9fe.model.rules import guest as rules_guest
from a9fe.operations import access
from a9fe.operations.transaction import Transaction

Json = dict[str, Any]
EVENT: dict[str, to.Converter] = {
    "code": to.choice(*EVENT_CODES),
    "description": to.string(),
    "not_before": rules_guest.event_time,
    "not_after": rules_guest.event_time,
}
"""What is said of a new event."""
ENDS = to.choice("completed", "canceled")


def of_caller(tx: Transaction, id: str) -> Instance:
    """The instance, of the caller's project or for an admin. Raises NotFound."""
    found: Instance = access.require(tx, Instance, id)
    return found


def of_agent(tx: Transaction, id: str) -> Instance:
    """The instance, for an agent of a host that answers its guest. Raises NotFound, Forbidden."""
    found: Instance = tx.session.require(Instance, id)
    check_answers(tx, tx.caller.host, [id])
    return found


def check_answers(tx: Transaction, host: str, ids: Collection[str]) -> None:
    """Raises Forbidden unless the host answers the guests of all these instances."""
    others = frozenset(ids) - tx.session.locations.answered(host, ids) if host != ANY_HOST else ()
    if others:
        raise Forbidden(
            f"instance {min(others)}: the token is bound to a host that does not serve it"
        )


def _kept(tx: Transaction, old: Instance, new: Instance) -> int:
    """Keep an instance as it is now; the feed's revision of it, 0 where nothing is new."""
    if new == old:
        return 0
    tx.session.update(new)
    return tx.session.revision()


def set_password(tx: Transaction, id: str, text: object) -> int:
    """The guest's password, kept once. Raises Conflict where there is one."""
    kept = rules_guest.password("password", text)
    instance = of_agent(tx, id)
    if instance.password:
        raise Conflict("PasswordExists", f"Instance {id} has a password; its owner may clear it")
    return _kept(tx, instance, replace(instance, password=kept))


def clear_password(tx: Transaction, id: str) -> int:
    """Forget the password, so that the guest may post another."""
    instance = of_caller(tx, id)
    access.check_change(tx, instance)
    return _kept(tx, instance, replace(instance, password=""))


def attributes(instance: Instance) -> list[Json]:
    """The guest's attributes, by namespace and key."""
    return [
        {"namespace": path.partition("/")[0], "key": path.partition("/")[2], "value": value}
        for path, value in sorted(instance.guest_attributes.items())
    ]


def path_of(namespace: str, key: str) -> str:
    """The name of an attribute, both parts of it. Raises InvalidInput."""
    named = rules_guest.attribute_name
    return f"{named('namespace', namespace)}/{named('key', key)}"


def set_attribute(tx: Transaction, id: str, path: str, value: object) -> int:
    """Write an attribute. Raises Conflict for too many, and where they are off."""
    text = rules_guest.attribute_value("value", value)
    instance = of_agent(tx, id)
    if instance.metadata_options.guest_attributes == "off":
        raise Conflict("GuestAttributesOff", f"Guest attributes of instance {id} are off")
    found = rules_guest.with_attribute(instance.guest_attributes, path, text)
    return _kept(tx, instance, replace(instance, guest_attributes=found))


def remove_attribute(tx: Transaction, id: str, path: str) -> int:
    """Remove an attribute. Raises NotFound."""
    instance = of_agent(tx, id)
    if path not in instance.guest_attributes:
        raise NotFound("guest_attribute", path)
    left = {name: text for name, text in instance.guest_attributes.items() if name != path}
    return _kept(tx, instance, replace(instance, guest_attributes=left))


def new_event(document: object) -> ScheduledEvent:
    """An event as a body has it. Raises InvalidInput."""
    given = to.only_members("event", document, EVENT, optional=EVENT.keys() - {"code"})
    values: Json = {name: EVENT[name](name, value) for name, value in given.items()}
    return ScheduledEvent(id=f"instance-event-{secrets.token_hex(9)[:17]}", **values)


def announce(tx: Transaction, id: str, event: ScheduledEvent) -> Json:
    """Let the guest know of an event; the answer's body."""
    instance = tx.session.require(Instance, id)
    events = rules_guest.announced(instance.events, event)
    revision = _kept(tx, instance, replace(instance, events=events))
    return {"event": codec.encode(event), "revision": revision}


def end_event(tx: Transaction, id: str, event_id: str, document: object) -> Json:
    """Say that an event is over: {"state": "completed"} or "canceled"; the answer's body."""
    state = ENDS("state", to.only_members("event", document, ("state",))["state"])
    instance = tx.session.require(Instance, id)
    events = rules_guest.ended(instance.events, event_id, state)
    event = replace(rules_guest.event_of(instance.events, event_id), state=state)
    revision = _kept(tx, instance, replace(instance, events=events))
    return {"event": codec.encode(event), "revision": revision}


def acknowledge(tx: Transaction, id: str, event_id: str) -> int:
    """The guest says that it is ready for an event."""
    instance = of_agent(tx, id)
    events = rules_guest.acknowledged(instance.events, event_id, tx.at)
    return _kept(tx, instance, replace(instance, events=events))


schemas.described(
    rules_guest.event_time, {"type": ["string", "null"], "examples": ["2026-11-22T15:00:00Z"]}
)
