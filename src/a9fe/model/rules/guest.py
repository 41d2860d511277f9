"""Rules over guests' passwords and attributes, and over scheduled events. Pure."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from a9fe.model.errors import Conflict, InvalidInput, NotFound
from a9fe.model.guest import EVENT_STATES, PASSWORD_MAX, MetadataOptions, ScheduledEvent

NAME_MAX = 64  # characters of a namespace or a key
ATTRIBUTES_MAX = 64  # of an instance
VALUE_MAX = 1024  # bytes
TOTAL_MAX = 16 * 1024  # bytes of names and values together, as each replica stores them
EVENTS_MAX = 32  # active events of an instance, and ended ones that are kept
_NAME = re.compile(
    rf"(?!\.\.?\Z)[A-Za-z0-9_.-]{{1,{NAME_MAX}}}"
)  # "." and ".." would change the path

Events = tuple[ScheduledEvent, ...]


def attributes_on(options: MetadataOptions, by_default: bool) -> bool:  # noqa: FBT001 - an option
    """Return whether a guest may write attributes."""
    return options.guest_attributes == "on" if options.guest_attributes else by_default


def password(field: str, value: object) -> str:
    """Return the password that a guest posted, encrypted or not. Raises InvalidInput."""
    expected = f"text of 1 to {PASSWORD_MAX} bytes of UTF-8"
    return _text(field, value, PASSWORD_MAX, expected, least=1)


def attribute_name(field: str, value: object) -> str:
    """Return an attribute's namespace or key. Raises InvalidInput."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        expected = f"1 to {NAME_MAX} letters, digits, _, . or -"
        raise InvalidInput(field, value, expected)
    return value


def attribute_value(field: str, value: object) -> str:
    """Return an attribute's value as text. Raises InvalidInput."""
    return _text(field, value, VALUE_MAX, f"text of at most {VALUE_MAX} bytes of UTF-8")


def _text(field: str, value: object, most: int, expected: str, least: int = 0) -> str:
    try:
        size = len(value.encode()) if isinstance(value, str) else -1
    except UnicodeEncodeError:
        size = -1
    if not isinstance(value, str) or not least <= size <= most or "\0" in value:
        shown = f"{size} bytes" if size > most else value
        raise InvalidInput(field, shown, expected)
    return value


def with_attribute(attributes: Mapping[str, str], path: str, value: str) -> dict[str, str]:
    """Return the attributes with one added or changed. Raises Conflict for too many."""
    found = {**attributes, path: value}
    if len(found) > ATTRIBUTES_MAX:
        message = f"An instance has at most {ATTRIBUTES_MAX} guest attributes"
        raise Conflict("GuestAttributesExceeded", message)
    if sum(len(name.encode()) + len(text.encode()) for name, text in found.items()) > TOTAL_MAX:
        message = f"Guest attributes of an instance are at most {TOTAL_MAX} bytes together"
        raise Conflict("GuestAttributesExceeded", message)
    return found


def event_time(field: str, value: object) -> str:
    """Convert a time with a zone to ISO 8601 UTC in seconds; "" for none. Raises InvalidInput."""
    if value in ("", None):
        return ""
    expected = "a time with its zone, such as 2026-11-22T15:00:00Z"
    try:
        found = datetime.fromisoformat(value if isinstance(value, str) else "")
        if found.tzinfo is None:
            raise InvalidInput(field, value, expected)
        return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError) as error:
        raise InvalidInput(field, value, expected) from error


def announced(events: Events, event: ScheduledEvent) -> Events:
    """Return the events with a new one. Raises InvalidInput, Conflict."""
    if event.not_before and event.not_after and event.not_after < event.not_before:
        expected = f"a time after not_before, {event.not_before}"
        raise InvalidInput("not_after", event.not_after, expected)
    if sum(known.state == "active" for known in events) >= EVENTS_MAX:
        message = f"The instance has {EVENTS_MAX} active events; complete or cancel one"
        raise Conflict("EventsExceeded", message)
    return (*events, event)


def acknowledged(events: Events, id: str, at: str) -> Events:
    """Return the events after the guest's first acknowledgement of one. Raises NotFound,
    Conflict."""
    event = _active(events, id)
    return _with(events, event if event.acknowledged_at else replace(event, acknowledged_at=at))


def ended(events: Events, id: str, state: str) -> Events:
    """Return the events after one ended, with only the newest ended ones. Raises NotFound,
    Conflict."""
    if state not in EVENT_STATES[1:]:
        raise InvalidInput("state", state, " or ".join(EVENT_STATES[1:]))
    event = event_of(events, id)
    if event.state != state:
        _active(events, id)
    found = _with(events, replace(event, state=state))
    over = [known.id for known in found if known.state != "active"]
    forgotten = set(over[:-EVENTS_MAX])
    return tuple(known for known in found if known.id not in forgotten)


def event_of(events: Events, id: str) -> ScheduledEvent:
    """Return the event with this id. Raises NotFound."""
    for event in events:
        if event.id == id:
            return event
    raise NotFound("event", id)


def _active(events: Events, id: str) -> ScheduledEvent:
    event = event_of(events, id)
    if event.state != "active":
        raise Conflict("EventIsOver", f"Event {id} is {event.state}")
    return event


def _with(events: Events, changed: ScheduledEvent) -> Events:
    return tuple(changed if event.id == changed.id else event for event in events)
