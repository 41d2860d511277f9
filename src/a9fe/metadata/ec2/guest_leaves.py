"""What a guest reads of its own writing, and of the events that wait for its word: at `latest`.

Guest attributes are there only where they are on; what is over is not among the events.
"""

from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import JSON, Json, document, text
from a9fe.metadata.table import LATEST, Asked, Entry, Placeholder
from a9fe.model.rules import guest as rules_guest

ATTRIBUTES, EVENTS = "guest-attributes", "events"
SHOWN = ("id", "code", "description", "not_before", "not_after", "acknowledged_at")


def attributes_on(view: InstanceView) -> bool:
    """Whether this guest may write attributes."""
    options = view.instance.metadata_options
    return rules_guest.attributes_on(options, view.settings.guest_attributes)


def events(view: InstanceView) -> dict[str, Json]:
    """The active events, in the order they were announced."""
    active = (event for event in view.instance.events if event.state == "active")
    return {"events": [{name: getattr(event, name) for name in SHOWN} for event in active]}


def _counted(asked: Asked, events: bytes) -> bytes:
    """With a number that grows whenever the instance changes: while it stays, so do the events."""
    return b'{"incarnation": %d, %b' % (asked.view.instance.revision_number, events[1:])


def _names(asked: Asked) -> list[tuple[str, str]]:
    if not attributes_on(asked.view):
        return []
    found = (path.partition("/") for path in sorted(asked.view.instance.guest_attributes))
    return [(namespace, key) for namespace, _, key in found]


def _namespaces(asked: Asked) -> tuple[str, ...]:
    return tuple(dict.fromkeys(namespace for namespace, _ in _names(asked)))


def _keys(asked: Asked) -> tuple[str, ...]:
    return tuple(key for namespace, key in _names(asked) if namespace == asked.keys[0])


def _attribute(asked: Asked) -> bytes:
    return text(asked.view.instance.guest_attributes["/".join(asked.keys)])


ENTRIES = (
    Entry(
        path=EVENTS,
        since=LATEST,
        about="`incarnation`, no part of the ETag, and `events` announced and not over: id, code, "
        "description, not_before, not_after, acknowledged_at",
        extract=lambda asked: document(events(asked.view)),
        finish=_counted,
        content_type=JSON,
    ),
    Entry(
        path=f"{ATTRIBUTES}/{{namespace}}/{{attribute}}",
        since=LATEST,
        about="what the guest wrote there; 403 where guest attributes are off",
        extract=_attribute,
    ),
)
PLACEHOLDERS = {
    "{namespace}": Placeholder(keys=_namespaces, line=lambda _, name: f"{name}/"),
    "{attribute}": Placeholder(keys=_keys, line=lambda _, name: name),
}
