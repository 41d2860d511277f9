"""Scheduled events in EC2's form: the JSON of meta-data/events/maintenance."""

from collections.abc import Iterable
from datetime import UTC, datetime

from a9fe.metadata.rendered import Json
from a9fe.model.guest import ScheduledEvent

OVER = {"completed": "[Completed] ", "canceled": "[Canceled] "}
"""States of past events, and the prefix of their descriptions (EC2)."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def scheduled(events: Iterable[ScheduledEvent]) -> Json:
    """Return the events to come, in the order they were announced."""
    return [shown(event) for event in events if event.state not in OVER]


def history(events: Iterable[ScheduledEvent]) -> Json:
    """Return the events that were completed or canceled."""
    return [shown(event) for event in events if event.state in OVER]


def shown(event: ScheduledEvent) -> Json:
    """Return one event. `Acknowledged` is ours: on EC2 guests cannot acknowledge."""
    times = {
        "NotBefore": event.not_before,
        "NotAfter": event.not_after,
        "Acknowledged": event.acknowledged_at,
    }
    return {
        "Code": event.code,
        "Description": OVER.get(event.state, "") + event.description,
        "EventId": event.id,
        "State": event.state,
        **{name: ec2_time(time) for name, time in times.items() if time},
    }


def ec2_time(time: str) -> str:
    """Return an ISO 8601 time in EC2's form, "21 Jan 2019 09:00:43 GMT"; other text unchanged."""
    try:
        at = datetime.fromisoformat(time)
    except ValueError:
        return time
    utc = at.astimezone(UTC) if at.tzinfo else at
    return f"{utc.day:02d} {MONTHS[utc.month - 1]} {utc:%Y %H:%M:%S} GMT"
