"""Guest attributes, and the events that the guest can acknowledge: at `latest`.

Attributes are served only where they are enabled; past events are left out.
"""

from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import JSON, Json, document, text
from a9fe.metadata.table import LATEST, Entry, EntryContext, Placeholder
from a9fe.model.rules import guest as rules_guest

ATTRIBUTES, EVENTS = "guest-attributes", "events"
SHOWN = ("id", "code", "description", "not_before", "not_after", "acknowledged_at")


def attributes_on(view: InstanceView) -> bool:
    """Return whether this guest may write attributes."""
    options = view.instance.metadata_options
    return rules_guest.attributes_on(options, view.settings.guest_attributes)


def events(view: InstanceView) -> dict[str, Json]:
    """Return the active events, in the order they were announced."""
    active = (event for event in view.instance.events if event.state == "active")
    return {"events": [{name: getattr(event, name) for name in SHOWN} for event in active]}


def _with_incarnation(context: EntryContext, events: bytes) -> bytes:
    """Add a number that grows with each change of the instance. Unchanged: same events."""
    return b'{"incarnation": %d, %b' % (context.view.instance.revision_number, events[1:])


def _names(context: EntryContext) -> list[tuple[str, str]]:
    if not attributes_on(context.view):
        return []
    found = (path.partition("/") for path in sorted(context.view.instance.guest_attributes))
    return [(namespace, key) for namespace, _, key in found]


def _namespaces(context: EntryContext) -> tuple[str, ...]:
    return tuple(dict.fromkeys(namespace for namespace, _ in _names(context)))


def _keys(context: EntryContext) -> tuple[str, ...]:
    return tuple(key for namespace, key in _names(context) if namespace == context.keys[0])


def _attribute(context: EntryContext) -> bytes:
    return text(context.view.instance.guest_attributes["/".join(context.keys)])


ENTRIES = (
    Entry(
        path=EVENTS,
        since=LATEST,
        about="`incarnation`, not in the ETag, and the active `events`: id, code, "
        "description, not_before, not_after, acknowledged_at",
        extract=lambda context: document(events(context.view)),
        finish=_with_incarnation,
        content_type=JSON,
    ),
    Entry(
        path=f"{ATTRIBUTES}/{{namespace}}/{{attribute}}",
        since=LATEST,
        about="what the guest wrote; 403 if guest attributes are off",
        extract=_attribute,
    ),
)
PLACEHOLDERS = {
    "{namespace}": Placeholder(keys=_namespaces, line=lambda _, name: f"{name}/"),
    "{attribute}": Placeholder(keys=_keys, line=lambda _, name: name),
}
