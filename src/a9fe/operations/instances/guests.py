"""What guests write and operators announce: passwords, guest attributes, scheduled events.

Each is part of the instance, so that every change of it goes out on the feed.
"""

import secrets
from collections.abc import Collection
from dataclasses import replace

from a9fe.api_tables.guest_requests import NewEvent
from a9fe.model.errors import Conflict, Forbidden, NotFound
from a9fe.model.guest import ScheduledEvent
from a9fe.model.policy import ANY_HOST
from a9fe.model.resources import Instance
from a9fe.model.rules import guest as rules_guest
from a9fe.operations import access
from a9fe.operations.transaction import Transaction


def of_caller(tx: Transaction, id: str) -> Instance:
    """Return the instance, if the caller may see it. Raises NotFound."""
    return access.require(tx, Instance, id)


def of_agent(tx: Transaction, id: str) -> Instance:
    """Return the instance, for a caller of the host that answers its guest.

    Raises NotFound or Forbidden.
    """
    instance = tx.session.require(Instance, id)
    check_answers(tx, tx.caller.host, [id])
    return instance


def check_answers(tx: Transaction, host: str, ids: Collection[str]) -> None:
    """Raise Forbidden unless the host answers the guests of all these instances."""
    others = frozenset(ids) - tx.session.locations.answered(host, ids) if host != ANY_HOST else ()
    if others:
        raise Forbidden(
            f"instance {min(others)}: the token is bound to a host that does not serve it"
        )


def _kept(tx: Transaction, old: Instance, new: Instance) -> int:
    """Store the instance and return its revision in the feed; 0 if nothing changed."""
    if new == old:
        return 0
    tx.session.update(new)
    return tx.session.revision()


def set_password(tx: Transaction, id: str, text: object) -> int:
    """Store the guest's encrypted password. Raises Conflict if there is one already."""
    kept = rules_guest.password("password", text)
    instance = of_agent(tx, id)
    if instance.password:
        raise Conflict("PasswordExists", f"Instance {id} has a password; its owner may clear it")
    return _kept(tx, instance, replace(instance, password=kept))


def clear_password(tx: Transaction, id: str) -> int:
    """Delete the password, so that the guest may post another one."""
    instance = of_caller(tx, id)
    access.check_change(tx, instance)
    return _kept(tx, instance, replace(instance, password=""))


def attributes(instance: Instance) -> list[dict[str, str]]:
    """Return the guest attributes in the order of namespace and key."""
    return [
        {"namespace": path.partition("/")[0], "key": path.partition("/")[2], "value": value}
        for path, value in sorted(instance.guest_attributes.items())
    ]


def path_of(namespace: str, key: str) -> str:
    """Return "<namespace>/<key>". Raises InvalidInput."""
    named = rules_guest.attribute_name
    return f"{named('namespace', namespace)}/{named('key', key)}"


def set_attribute(tx: Transaction, id: str, path: str, value: object) -> int:
    """Write a guest attribute. Raises Conflict if there are too many, or they are off."""
    text = rules_guest.attribute_value("value", value)
    instance = of_agent(tx, id)
    if instance.metadata_options.guest_attributes == "off":
        raise Conflict("GuestAttributesOff", f"Guest attributes of instance {id} are off")
    found = rules_guest.with_attribute(instance.guest_attributes, path, text)
    return _kept(tx, instance, replace(instance, guest_attributes=found))


def remove_attribute(tx: Transaction, id: str, path: str) -> int:
    """Delete a guest attribute. Raises NotFound."""
    instance = of_agent(tx, id)
    if path not in instance.guest_attributes:
        raise NotFound("guest_attribute", path)
    left = {name: text for name, text in instance.guest_attributes.items() if name != path}
    return _kept(tx, instance, replace(instance, guest_attributes=left))


def announce(tx: Transaction, id: str, new: NewEvent) -> tuple[ScheduledEvent, int]:
    """Announce an event to the guest. Return it, with the feed's revision."""
    instance = tx.session.require(Instance, id)
    event = ScheduledEvent(
        id=f"instance-event-{secrets.token_hex(9)[:17]}",
        code=new.code,
        description=new.description,
        not_before=new.not_before,
        not_after=new.not_after,
    )
    events = rules_guest.announced(instance.events, event)
    return event, _kept(tx, instance, replace(instance, events=events))


def end_event(tx: Transaction, id: str, event_id: str, state: str) -> tuple[ScheduledEvent, int]:
    """End an event: `state` is completed or canceled. Return it, with the feed's revision."""
    instance = tx.session.require(Instance, id)
    events = rules_guest.ended(instance.events, event_id, state)
    event = replace(rules_guest.event_of(instance.events, event_id), state=state)
    return event, _kept(tx, instance, replace(instance, events=events))


def acknowledge(tx: Transaction, id: str, event_id: str) -> int:
    """Record that the guest is ready for an event."""
    instance = of_agent(tx, id)
    events = rules_guest.acknowledged(instance.events, event_id, tx.at)
    return _kept(tx, instance, replace(instance, events=events))
