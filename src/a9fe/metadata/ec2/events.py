"""Scheduled events as EC2's guests read them: JSON of meta-data/events/maintenance."""

from collections.abc import Iterable
from datetime import UTC, datetime

from a9fe.metadata.rendered import Json
from a9fe.model.guest import ScheduledEvent

OVER = {"completed": "[Completed] ", "canceled": "[Canceled] "}
"""States that are history, and what EC2 then puts before the description."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def scheduled(events: Iterable[ScheduledEvent]) -> Json:
    """What is still to come, in the order it was announced."""
    return [shown(event) for event in events if event.state not in OVER]


def history(events: Iterable[ScheduledEvent]) -> Json:
    """What is over."""
    return [shown(event) for event in events if event.state in OVER]


def shown(event: ScheduledEvent) -> Json:
    """One event. Acknowledged is ours: EC2's guests cannot."""
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
    """ISO 8601 as EC2 writes it, "21 Jan 2019 09:00:43 GMT"; what is no time stays as it is."""
    try:
        at = datetime.fromisoformat(time)
    except ValueError:
        return time
    utc = at.astimezone(UTC) if at.tzinfo else at
    return f"{utc.day:02d} {MONTHS[utc.month - 1]} {utc:%Y %H:%M:%S} GMT"
