"""Passwords, guest attributes and scheduled events: bounds and permissions."""

from typing import Any

import pytest

from a9fe.model.rules import guest as rules_guest
from tests.kit.guarded_world import Guarded, served
from tests.kit.server_world import World, instance_of

EVENT = {"code": "system-reboot", "description": "a new kernel"}


def shown(world: World, path: str) -> Any:
    return world.get(path)["instance"]


# -- The password --------------------------------------------------------------------------


def test_a_password_is_kept_once_until_it_is_cleared(world: World):
    path = instance_of(world)
    assert world.get(f"{path}/password") == {"password": ""}
    assert shown(world, path)["has_password"] is False
    reached = world.call("PUT", f"{path}/password", {"password": "c2VjcmV0"})
    assert reached == {"revision": world.revision()}
    assert world.get(f"{path}/password") == {"password": "c2VjcmV0"}
    assert shown(world, path)["has_password"] is True
    refused = world.error("PUT", f"{path}/password", {"password": "c2VjcmV0"}, 409)
    assert refused[0] == "PasswordExists"
    world.call("DELETE", f"{path}/password")
    assert world.get(f"{path}/password") == {"password": ""}
    world.call("PUT", f"{path}/password", {"password": "another"})


@pytest.mark.parametrize("bad", ["", "x" * 1021, "é" * 511, "a\0b", 5, None, ["x"]])
def test_what_is_no_password(world: World, bad: object):
    path = instance_of(world)
    assert world.send("PUT", f"{path}/password", json={"password": bad}).status_code == 400
    assert world.get(f"{path}/password") == {"password": ""}


def test_the_longest_password(world: World):
    path = instance_of(world)
    world.call("PUT", f"{path}/password", {"password": "é" * 510})
    assert world.get(f"{path}/password")["password"] == "é" * 510


def test_nova_s_clients_read_and_clear_it(world: World):
    path = instance_of(world)
    server = f"/v2.1/servers/{path.rpartition('/')[2]}/os-server-password"
    world.call("PUT", f"{path}/password", {"password": "c2VjcmV0"})
    assert world.get(server) == {"password": "c2VjcmV0"}
    world.call("DELETE", server, expect=204)
    assert world.get(server) == {"password": ""}


# -- Attributes ----------------------------------------------------------------------------


def test_attributes_are_written_listed_and_removed(world: World):
    path = instance_of(world)
    world.call("PUT", f"{path}/guest-attributes/health/state", {"value": "ready"})
    last = world.call("PUT", f"{path}/guest-attributes/a.b/c-d_1", {"value": ""})
    assert last == {"revision": world.revision()}
    assert world.get(f"{path}/guest-attributes")["guest_attributes"] == [
        {"namespace": "a.b", "key": "c-d_1", "value": ""},
        {"namespace": "health", "key": "state", "value": "ready"},
    ]
    world.call("DELETE", f"{path}/guest-attributes/a.b/c-d_1")
    assert shown(world, path)["guest_attributes"] == {"health/state": "ready"}
    assert world.error("DELETE", f"{path}/guest-attributes/a.b/c-d_1", None, 404)


def test_the_same_value_again_changes_nothing(world: World):
    path = instance_of(world)
    world.call("PUT", f"{path}/guest-attributes/a/b", {"value": "1"})
    before = world.revision()
    same = world.call("PUT", f"{path}/guest-attributes/a/b", {"value": "1"})
    assert (same, world.revision()) == ({"revision": 0}, before)


@pytest.mark.parametrize("name", ["a b", "x" * 65, "%C3%A9", "a%00", "%2e%2e", "a%2Fb"])
def test_what_is_no_name(world: World, name: str):
    path = instance_of(world)
    body = {"value": "1"}
    for one in (f"{name}/key", f"namespace/{name}"):
        status = world.send("PUT", f"{path}/guest-attributes/{one}", json=body).status_code
        assert status in (400, 404)
    assert shown(world, path)["guest_attributes"] == {}


@pytest.mark.parametrize("value", ["x" * 1025, "é" * 513, 7, None])
def test_what_is_no_value(world: World, value: object):
    path = instance_of(world)
    answer = world.error("PUT", f"{path}/guest-attributes/a/b", {"value": value}, 400)
    assert "1024 bytes" in answer[1]


def test_an_instance_has_so_many_attributes_and_bytes(world: World):
    path = instance_of(world)
    for number in range(rules_guest.ATTRIBUTES_MAX):
        world.call("PUT", f"{path}/guest-attributes/n/{number}", {"value": "x"})
    kind, message = world.error("PUT", f"{path}/guest-attributes/n/more", {"value": "x"}, 409)
    assert (kind, "64" in message) == ("GuestAttributesExceeded", True)
    for number in range(15):
        world.call("PUT", f"{path}/guest-attributes/n/{number}", {"value": "x" * 1024})
    kind, message = world.error("PUT", f"{path}/guest-attributes/n/15", {"value": "x" * 1024}, 409)
    assert "16384 bytes" in message


def test_they_can_be_off(world: World):
    path = instance_of(world, metadata_options={"guest_attributes": "off"})
    kind, _ = world.error("PUT", f"{path}/guest-attributes/a/b", {"value": "1"}, 409)
    assert kind == "GuestAttributesOff"


# -- Events --------------------------------------------------------------------------------


def announce(world: World, path: str, **more: object) -> Any:
    answer = world.call("POST", f"{path}/events", {"event": {**EVENT, **more}}, 201)
    assert answer["revision"] == world.revision()
    return answer["event"]


def test_an_event_is_announced_acknowledged_and_over(world: World):
    path = instance_of(world)
    event = announce(world, path, not_before="2026-11-29T03:00:00+01:00")
    assert event["not_before"] == "2026-11-29T02:00:00Z"
    assert (event["state"], event["acknowledged_at"]) == ("active", "")
    one = f"{path}/events/{event['id']}"
    reached = world.call("POST", f"{one}/acknowledge")
    assert reached == {"revision": world.revision()}
    (kept,) = world.get(f"{path}/events")["events"]
    first = kept["acknowledged_at"]
    assert first
    world.clock.at += 60
    assert world.call("POST", f"{one}/acknowledge") == {"revision": 0}
    ended = world.call("PUT", one, {"event": {"state": "completed"}})["event"]
    assert (ended["state"], ended["acknowledged_at"]) == ("completed", first)
    assert shown(world, path)["events"] == [ended]
    assert world.error("POST", f"{one}/acknowledge", None, 409)[0] == "EventIsOver"
    assert world.error("PUT", one, {"event": {"state": "canceled"}}, 409)[0] == "EventIsOver"
    assert world.error("PUT", f"{one}x", {"event": {"state": "canceled"}}, 404)
    assert world.error("PUT", one, {"event": {"state": "active"}}, 400)


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"code": "reboot"},
        {"code": "system-reboot", "state": "active"},
        {"code": "system-reboot", "not_before": "tomorrow"},
        {"code": "system-reboot", "not_before": "2026-11-29T03:00:00"},
        {"code": "system-reboot", "not_after": "9999-12-31T23:59:59-23:59"},
        {
            "code": "system-reboot",
            "not_before": "2026-11-29T03:00:00Z",
            "not_after": "2026-11-29T02:00:00Z",
        },
        {"code": "system-reboot", "description": "x" * 256},
        [],
    ],
)
def test_what_is_no_event(world: World, bad: object):
    path = instance_of(world)
    world.error("POST", f"{path}/events", {"event": bad}, 400)


def test_active_and_remembered_events_are_bounded(world: World):
    path = instance_of(world)
    made = [announce(world, path) for _ in range(rules_guest.EVENTS_MAX)]
    assert world.error("POST", f"{path}/events", {"event": EVENT}, 409)[0] == "EventsExceeded"
    for event in made:
        world.call("PUT", f"{path}/events/{event['id']}", {"event": {"state": "completed"}})
    last = announce(world, path)
    world.call("PUT", f"{path}/events/{last['id']}", {"event": {"state": "canceled"}})
    kept = [event["id"] for event in world.get(f"{path}/events")["events"]]
    assert kept == [event["id"] for event in [*made[1:], last]]


# -- Who may -------------------------------------------------------------------------------


WRITES: tuple[tuple[str, str, object], ...] = (
    ("PUT", "password", {"password": "x"}),
    ("PUT", "guest-attributes/a/b", {"value": "x"}),
    ("DELETE", "guest-attributes/a/b", None),
)


def test_an_agent_writes_for_the_guests_of_its_host_alone(guarded: Guarded):
    here, there = served(guarded, "h1"), served(guarded, "h2")
    event = announce(guarded, here)
    acknowledge = ("POST", f"events/{event['id']}/acknowledge", None)
    guarded.be("h1")
    for method, what, body in (*WRITES, acknowledge):
        assert guarded.status(method, f"{there}/{what}", body) == 403
        assert guarded.status(method, f"{here}/{what}", body) == 200
    for what in ("password", "guest-attributes", "events"):
        assert guarded.status("GET", f"{here}/{what}") == 403
    assert guarded.status("DELETE", f"{here}/password") == 403
    assert guarded.status("POST", f"{here}/events", {"event": EVENT}) == 403
    nobody = "/a9fe/v1/instances/0a9fe000-0000-4000-8000-000000000000"
    assert guarded.status("PUT", f"{nobody}/password", {"password": "x"}) == 404


def test_a_host_that_serves_the_network_answers_its_guests(guarded: Guarded):
    guarded.be("h1")
    guarded.report("DHCP agent", "h1", start=True)
    there = served(guarded, "h2")
    guarded.be("h1")
    assert guarded.status("PUT", f"{there}/password", {"password": "x"}) == 200


def test_a_port_of_another_project_s_lends_no_right(guarded: Guarded):
    there = served(guarded, "h2")
    guarded.be("admin")
    network, _ = guarded.network()
    port = {"network_id": network["id"], "device_id": there.rpartition("/")[2]}
    guarded.create("port", **port, **{"binding:host_id": "h1"})
    guarded.be("h1")
    assert guarded.status("PUT", f"{there}/password", {"password": "x"}) == 403


def test_members_read_and_clear_but_write_nothing_for_guests(guarded: Guarded):
    path = served(guarded)
    for caller, own in (("mine", 200), ("theirs", 404), ("admin", 200)):
        guarded.be(caller)
        for what in ("password", "guest-attributes", "events"):
            assert guarded.status("GET", f"{path}/{what}") == own
        assert guarded.status("DELETE", f"{path}/password") == own
        for method, what, body in WRITES:
            assert guarded.status(method, f"{path}/{what}", body) == 403
    for caller, allowed in (("mine", 403), ("theirs", 403), ("admin", 201)):
        guarded.be(caller)
        assert guarded.status("POST", f"{path}/events", {"event": EVENT}) == allowed
    guarded.show_nothing()
    assert guarded.status("GET", f"{path}/password") == 401
