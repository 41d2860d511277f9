"""An agent's API token may report only for its own host, and only agents of known types."""

from typing import Any

import pytest

from a9fe.model.resources import ROUTER_INTERFACE_OWNERS, Agent, Port
from a9fe.model.rules.scheduling import AGENT_TYPES, DHCP_AGENT, L3_AGENT
from a9fe.operations.agents.agents import wires
from a9fe.plan.names import dhcp_device_id
from tests.kit.guarded_world import Guarded

REPORT = "/a9fe/v1/agents/report"
USAGE = "/a9fe/v1/imds-usage"
NOBODY = "0a9fe000-0000-4000-8000-000000000000"
NETWORK = "7a9fe000-0000-4000-8000-000000000000"
OWNER = sorted(ROUTER_INTERFACE_OWNERS)[0]


def agent(agent_type: str, host: str = "h1") -> Agent:
    return Agent(id="a", agent_type=agent_type, binary="b", host=host)


def port(owner: str = "", device_id: str = "", host: str = "h1") -> Port:
    return Port(
        id="p",
        network_id=NETWORK,
        mac_address="",
        project_id="",
        device_owner=owner,
        device_id=device_id,
        host=host,
    )


@pytest.mark.parametrize(
    ("who", "what", "expected"),
    [
        (agent(DHCP_AGENT), port("compute:nova"), True),
        (agent(DHCP_AGENT), port(), True),
        (agent(DHCP_AGENT), port(host="h2"), False),
        (agent(DHCP_AGENT), port(host=""), True),
        (agent(L3_AGENT), port(host=""), False),
        (agent(DHCP_AGENT), port("network:dhcp", dhcp_device_id("h1", NETWORK), host=""), False),
        (agent(DHCP_AGENT), port("network:dhcp", dhcp_device_id("h1", NETWORK)), True),
        (agent(DHCP_AGENT), port("network:dhcp", dhcp_device_id("h2", NETWORK)), False),
        (agent(DHCP_AGENT), port(OWNER), False),
        (agent(L3_AGENT), port(OWNER), True),
        (agent(L3_AGENT), port(OWNER, host="h2"), False),
        (agent(L3_AGENT), port("compute:nova"), False),
        (agent("Metadata agent"), port(), False),
        (agent("Metadata agent"), port(OWNER), False),
    ],
)
def test_which_ports_an_agent_wires(who: Agent, what: Port, expected: bool):  # noqa: FBT001 - a row
    assert wires(who, what) is expected


def report(guarded: Guarded, status: int, agent_type: str = DHCP_AGENT, **more: object) -> Any:
    """Report with the token of h1; check that a refused report changes nothing."""
    guarded.be("h1")
    before = guarded.revision()
    body = {"agent_type": agent_type, "binary": "x", "host": "h1", **more}
    answer = guarded.call("POST", REPORT, body, status)
    if status != 200:
        assert guarded.revision() == before
        return answer["NeutronError"]["message"]
    return answer["agent_id"]


def made(guarded: Guarded, host: str, *, served: bool = True, **more: object) -> str:
    """The id of a port on a host, and on a network that h1 serves if `served`."""
    guarded.be("admin")
    network, _ = guarded.network(enable_dhcp=served)
    given = {"network_id": network["id"], "binding:host_id": host, **more}
    return str(guarded.create("port", **given)["id"])


def status_of(guarded: Guarded, id: str) -> str:
    guarded.be("admin")
    return str(guarded.get(f"/v2.0/ports/{id}")["port"]["status"])


@pytest.mark.parametrize("field", ["ports_up", "ports_down"])
def test_an_agent_token_sets_the_status_of_ports_on_its_host_only(guarded: Guarded, field: str):
    report(guarded, 200)
    here, there, anywhere = (made(guarded, host) for host in ("h1", "h2", ""))
    for foreign in (there, made(guarded, "", served=False)):
        assert foreign in report(guarded, 403, **{field: [here, foreign]})
        assert {status_of(guarded, id) for id in (here, foreign)} == {"DOWN"}
    report(guarded, 403, "Metadata agent", **{field: [here]})
    report(guarded, 200, **{field: [here, anywhere, NOBODY]})
    expected = "ACTIVE" if field == "ports_up" else "DOWN"
    assert {status_of(guarded, id) for id in (here, anywhere)} == {expected}


def test_a_router_interface_is_the_l3_agents_of_its_host(guarded: Guarded):
    report(guarded, 200)
    report(guarded, 200, L3_AGENT)
    guarded.be("admin")
    router = guarded.create("router")
    _, subnet = guarded.network()
    path = f"/v2.0/routers/{router['id']}/add_router_interface"
    interface = guarded.call("PUT", path, {"subnet_id": subnet["id"]})["port_id"]
    report(guarded, 403, DHCP_AGENT, ports_up=[interface])
    report(guarded, 200, L3_AGENT, ports_up=[interface])
    assert status_of(guarded, interface) == "ACTIVE"


@pytest.mark.parametrize("agent_type", ["Best agent", "dhcp agent", "DHCP  agent"])
def test_an_unknown_agent_type_is_refused(guarded: Guarded, agent_type: str):
    assert "agent_type" in report(guarded, 403, agent_type)
    guarded.be("admin")
    assert guarded.get("/v2.0/agents")["agents"] == []


def test_each_known_agent_type_creates_one_agent(guarded: Guarded):
    for _ in range(2):
        for agent_type in AGENT_TYPES:
            report(guarded, 200, agent_type)
    guarded.be("admin")
    found = guarded.get("/v2.0/agents")["agents"]
    assert sorted(a["agent_type"] for a in found) == sorted(AGENT_TYPES)


@pytest.mark.parametrize("host", ["h2", "*", "H1", "h1 ", "", None, ["h1"], {"h1": 1}])
def test_no_other_host(guarded: Guarded, host: object):
    guarded.be("h1")
    before = guarded.revision()
    body = {"agent_type": DHCP_AGENT, "binary": "x", "host": host}
    assert guarded.status("POST", REPORT, body) in {400, 403}
    assert guarded.status("POST", USAGE, {"host": host, "usage": []}) in {400, 403}
    if isinstance(host, str):
        assert guarded.status("GET", f"/a9fe/v1/feed?host={host}&agent=service") in {400, 403}
    assert guarded.revision() == before
    guarded.be("admin")
    assert guarded.get("/v2.0/agents")["agents"] == []


def test_the_configurations_of_an_agent_are_bounded(guarded: Guarded):
    for configurations in ({"a": "x" * 5000}, {str(n): "x" * 100 for n in range(100)}):
        assert "configurations" in report(guarded, 400, configurations=configurations)


def instance(guarded: Guarded, host: str) -> str:
    """The id of an instance of `mine` whose port is on a host."""
    guarded.be("mine")
    network, _ = guarded.network()
    body = {"instance": {"name": "web1", "network": network["id"]}}
    id = str(guarded.call("POST", "/a9fe/v1/instances", body, 201)["instance"]["id"])
    guarded.be("admin")
    (one,) = guarded.ports(device_id=id)
    guarded.call("PUT", f"/v2.0/ports/{one['id']}", {"port": {"binding:host_id": host}})
    return id


def test_an_agent_token_reports_usage_of_instances_on_its_host_only(guarded: Guarded):
    here, there = instance(guarded, "h1"), instance(guarded, "h2")

    def told(status: int, *ids: str) -> None:
        guarded.be("h1")
        one = {"v1_requests": 1, "v2_requests": 0, "v1_last_at": "", "v2_last_at": ""}
        body = {"host": "h1", "usage": [{"instance_id": id, **one} for id in ids]}
        guarded.call("POST", USAGE, body, status)

    told(403, there)
    told(403, here, there)
    guarded.be("admin")
    assert guarded.get(USAGE)["usage"] == []
    told(200, here, NOBODY)
    guarded.be("admin")
    (shown,) = guarded.get(USAGE)["usage"]
    assert (shown["instance_id"], shown["v1_requests"]) == (here, 1)


def test_usage_of_a_network_that_the_host_serves(guarded: Guarded):
    report(guarded, 200, start=True)
    there = instance(guarded, "h2")
    guarded.be("h1")
    one = {"v1_requests": 1, "v2_requests": 0, "v1_last_at": "", "v2_last_at": ""}
    guarded.call("POST", USAGE, {"host": "h1", "usage": [{"instance_id": there, **one}]})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2.0/networks"),
        ("POST", "/v2.0/networks"),
        ("GET", "/v2.0/ports"),
        ("GET", "/v2.0/agents"),
        ("PUT", f"/v2.0/agents/{NOBODY}"),
        ("DELETE", f"/v2.0/agents/{NOBODY}"),
        ("POST", f"/v2.0/agents/{NOBODY}/dhcp-networks"),
        ("GET", "/a9fe/v1/instances"),
        ("GET", USAGE),
        ("GET", "/a9fe/v1/status"),
        ("GET", "/metrics"),
        ("POST", "/a9fe/v1/tokens"),
        ("GET", "/a9fe/v1/identity/keys"),
        ("GET", "/v2.1/servers"),
        ("GET", "/image/v2/images"),
        ("PUT", "/v2.0/quotas/p"),
    ],
)
def test_nothing_else(guarded: Guarded, method: str, path: str):
    guarded.be("h1")
    body = {} if method in {"POST", "PUT"} else None
    assert guarded.status(method, path, body) == 403
