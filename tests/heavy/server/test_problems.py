"""What agents cannot build shows with its reason: problems and statuses of resources."""

import asyncio
from typing import Any

import pytest

from a9fe.api_client.client import Document
from tests.kit.conditions import comes_true
from tests.kit.server_world import UNKNOWN, World

REASON = "qdhcp: File exists"


def status(world: World, plural: str, id: str, query: str = "") -> Document:
    found: Document = world.get(f"/a9fe/v1/{plural}/{id}/status{query}")["status"]
    return found


def problem(kind: str, id: str, reason: str = REASON) -> dict[str, str]:
    return {"kind": kind, "id": id, "reason": reason}


def test_a_problem_shows_on_its_network_until_it_is_gone(world: World):
    agent = world.report(start=True)
    network, _ = world.network()
    before = world.revision()
    at = status(world, "networks", network["id"])
    assert (at["status"], at["ready"], at["status_reason"]) == ("ACTIVE", True, "")

    world.report(problems=[problem("network", network["id"])])
    found = status(world, "networks", network["id"])
    (shown,) = found["problems"]
    assert (shown["agent_id"], shown["host"], shown["reason"]) == (agent, "h1", REASON)
    assert (found["status"], found["ready"]) == ("ERROR", False)
    assert found["status_reason"].startswith(f"{REASON} (DHCP agent on h1, since ")
    assert world.get(f"/v2.0/networks/{network['id']}")["network"]["status"] == "ERROR"
    in_error = world.get("/v2.0/networks?status=ERROR&fields=id")["networks"]
    assert in_error == [{"id": network["id"]}]
    assert world.get("/v2.0/networks?status=ACTIVE")["networks"] == []

    world.report()  # a heartbeat says nothing about problems
    assert status(world, "networks", network["id"])["status"] == "ERROR"
    world.report(problems=[])
    assert status(world, "networks", network["id"])["status"] == "ACTIVE"
    assert world.revision() == before, "problems are no change of the model"


def test_a_problem_whose_reason_changes_keeps_its_time(world: World):
    world.report(start=True)
    network, _ = world.network()
    world.report(problems=[problem("network", network["id"])])
    first = status(world, "networks", network["id"])["problems"][0]
    world.clock.at += 5
    world.report(problems=[problem("network", network["id"], "no space left on device")])
    (second,) = status(world, "networks", network["id"])["problems"]
    assert (second["since"], second["reason"]) == (first["since"], "no space left on device")


def test_a_problem_of_the_network_shows_on_its_ports_and_one_of_the_host_on_the_agent(
    world: World,
):
    agent = world.report(start=True)
    network, _ = world.network()
    port = world.create("port", network_id=network["id"])
    world.report(problems=[problem("network", network["id"]), problem("agent", "", "nft: gone")])
    found = status(world, "ports", port["id"])
    assert (found["status"], found["ready"]) == ("ERROR", False)
    assert REASON in found["status_reason"]
    assert "nft: gone" in status(world, "agents", agent)["status_reason"]


def test_a_tap_on_the_wrong_host_is_a_problem_of_its_port(world: World):
    """An agent may report a VM's port that is bound to another host, if it has its network."""
    world.report(start=True)
    network, _ = world.network()
    port = world.create("port", network_id=network["id"], **{"binding:host_id": "h2"})
    world.report("L3 agent", host="h3", start=True)
    world.report("L3 agent", host="h3", problems=[problem("port", port["id"])])
    assert status(world, "ports", port["id"])["status"] == "DOWN"
    world.report(problems=[problem("port", port["id"])])
    assert status(world, "ports", port["id"])["status"] == "ERROR"
    (own,) = world.dhcp_ports(network)
    world.report("L3 agent", host="h3", problems=[problem("port", own["id"])])
    assert REASON not in status(world, "ports", own["id"])["status_reason"]


def test_a_problem_of_a_router_shows_on_it_and_its_interfaces(world: World):
    world.report("L3 agent", start=True)
    _, subnet = world.network()
    router = world.create("router", name="r1")
    body = {"subnet_id": subnet["id"]}
    world.call("PUT", f"/v2.0/routers/{router['id']}/add_router_interface", body)
    world.report("L3 agent", problems=[problem("router", router["id"])])
    assert world.get(f"/v2.0/routers/{router['id']}")["router"]["status"] == "ERROR"
    (leg,) = world.ports(device_id=router["id"])
    assert REASON in status(world, "ports", leg["id"])["status_reason"]


def test_what_moved_away_from_an_agent_is_no_longer_its_problem(world: World):
    agent = world.report(start=True)
    network, _ = world.network()
    world.report(problems=[problem("network", network["id"])])
    world.call("DELETE", f"/v2.0/agents/{agent}/dhcp-networks/{network['id']}", expect=204)
    assert status(world, "networks", network["id"])["problems"] == []
    assert "no DHCP agent" in status(world, "networks", network["id"])["status_reason"]
    world.report("Metadata agent", host="h2", problems=[problem("network", network["id"])])
    assert status(world, "networks", network["id"])["problems"] == [], "not of host h2"


def test_a_silent_agent_is_the_reason(world: World):
    world.report(start=True)
    network, _ = world.network()
    world.clock.at += 76
    assert "no heartbeat since" in status(world, "networks", network["id"])["status_reason"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "subnet", "id": UNKNOWN, "reason": "x"},
        {"kind": "network", "id": "", "reason": "x"},
        {"kind": "agent", "id": UNKNOWN, "reason": "x"},
        {"kind": "network", "id": UNKNOWN, "reason": ""},
        {"kind": "network", "id": UNKNOWN, "reason": "x" * 501},
        {"kind": "network", "id": UNKNOWN},
    ],
)
def test_a_bad_problem(world: World, wrong: dict[str, str]):
    body = {"agent_type": "DHCP agent", "binary": "x", "host": "h1", "problems": [wrong]}
    assert "problems" in world.error("POST", "/a9fe/v1/agents/report", body, 400)[1]


def test_a_port_says_what_it_waits_for(world: World):
    network, _ = world.network()
    port = world.create("port", network_id=network["id"])
    assert "no DHCP agent serves" in status(world, "ports", port["id"])["status_reason"]
    world.report(start=True)
    found = status(world, "ports", port["id"])
    assert f"waiting for tap{port['id'][:11]} on bridge" in found["status_reason"]
    world.report(ports_up=[port["id"]])
    assert status(world, "ports", port["id"])["ready"]


def test_waiting_ends_when_the_port_is_active(world: World):
    world.report(start=True)
    network, _ = world.network()
    port = world.create("port", network_id=network["id"])
    assert not status(world, "ports", port["id"], "?wait=0")["ready"]
    assert (
        "wait" in world.error("GET", f"/a9fe/v1/ports/{port['id']}/status?wait=99", None, 400)[1]
    )

    async def both() -> Any:
        path = f"/a9fe/v1/ports/{port['id']}/status?wait=25"
        answer = asyncio.ensure_future(world.client.get(path))
        await comes_true(lambda: world.app.state.api.port_watch.waiting, "it waits")
        report = {"agent_type": "DHCP agent", "binary": "x", "host": "h1"}
        ports = {"ports_up": [port["id"]]}
        await world.client.post("/a9fe/v1/agents/report", json={**report, **ports})
        return (await answer).json()["status"]

    assert world.run(both())["ready"]


def test_a_port_without_a_host_is_set_down_only_by_the_host_that_has_it(world: World):
    first, second = world.report(start=True, host="h1"), world.report(start=True, host="h2")
    network, _ = world.network()
    for agent in (first, second):
        body = {"network_id": network["id"]}
        world.send("POST", f"/v2.0/agents/{agent}/dhcp-networks", json=body)
    port = world.create("port", network_id=network["id"])

    def after(host: str, **more: object) -> str:
        world.report(host=host, **more)
        return str(world.get(f"/v2.0/ports/{port['id']}")["port"]["status"])

    assert after("h2", ports_up=[port["id"]]) == "ACTIVE"
    assert after("h1", ports_down=[port["id"]]) == "ACTIVE"
    assert after("h2", ports_down=[port["id"]]) == "DOWN"
