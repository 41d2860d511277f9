"""Guest attributes and events, as the guest reads them."""

import json
from dataclasses import replace

import pytest

from a9fe.metadata import tree
from a9fe.metadata.instance_view import InstanceView
from a9fe.model.guest import MetadataOptions, ScheduledEvent
from tests.golden.metadata.scenarios import one_card

ATTRIBUTES = {"health/state": "ready", "health/since": "é", "a.b/c": ""}
EVENTS = "/openstack/latest/events"
AT = "/openstack/latest/guest-attributes"


def view(*, by_default: bool = True, own: str = "", **values: object) -> InstanceView:
    base = one_card()
    options = MetadataOptions(guest_attributes=own)
    given = {"guest_attributes": ATTRIBUTES, "metadata_options": options, **values}
    settings = replace(base.settings, guest_attributes=by_default)
    instance = replace(base.instance, **given)  # type: ignore[arg-type]
    return replace(base, instance=instance, settings=settings)


def body(of: InstanceView, path: str) -> str | None:
    rendered = tree.render(of, path)
    return rendered and rendered.body.decode()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (AT, "a.b/\nhealth/"),
        (f"{AT}/health/", "since\nstate"),
        (f"{AT}/health/state", "ready"),
        (f"{AT}/health/since", "é"),
        (f"{AT}/a.b/c", ""),
        (f"{AT}/health/none", None),
        (f"{AT}/none", None),
        (f"{AT}/none/state", None),
        (f"{AT}/health/state/x", None),
        ("/openstack/2025-04-04/guest-attributes/health/state", None),
    ],
)
def test_attributes_are_read_at_latest(path: str, expected: str | None):
    assert body(view(), path) == expected


@pytest.mark.parametrize(
    ("by_default", "own", "on"),
    [(True, "", True), (True, "off", False), (False, "", False), (False, "on", True)],
)
def test_attributes_are_listed_only_where_they_are_on(*, by_default: bool, own: str, on: bool):
    of = view(by_default=by_default, own=own)
    listed = (body(of, "/openstack/latest") or "").split("\n")
    assert ("guest-attributes/" in listed) is on
    assert (body(of, f"{AT}/health/state") is not None) is on


def test_a_directory_without_attributes_is_not_listed():
    of = view(guest_attributes={})
    assert "guest-attributes/" not in (body(of, "/openstack/latest") or "")
    assert body(of, AT) is None


ACTIVE = ScheduledEvent(id="e1", code="system-reboot", not_before="2026-11-29T02:00:00Z")
OVER = ScheduledEvent(id="e2", code="system-reboot", state="completed")


def test_active_events_are_served():
    document = json.loads(body(view(events=(ACTIVE, OVER), revision_number=7), EVENTS) or "")
    assert document == {
        "incarnation": 7,
        "events": [
            {
                "id": "e1",
                "code": "system-reboot",
                "description": "",
                "not_before": "2026-11-29T02:00:00Z",
                "not_after": "",
                "acknowledged_at": "",
            }
        ],
    }
    assert json.loads(body(view(), EVENTS) or "")["events"] == []


def seen(of: InstanceView) -> tuple[bytes, bytes]:
    rendered = tree.render(of, EVENTS)
    assert rendered is not None
    return rendered.etag, rendered.body


def test_only_a_change_of_events_changes_their_tag():
    first, body = seen(view(events=(ACTIVE,), revision_number=7))
    same, other_body = seen(view(events=(ACTIVE,), revision_number=8))
    acknowledged = replace(ACTIVE, acknowledged_at="2026-11-28T02:00:00Z")
    assert first == same
    assert body != other_body
    assert seen(view(events=(acknowledged,)))[0] != first
