"""The DHCP agent's role: options reach the plan, reports of the agent and its ports."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import structlog

from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.state_reports import StateReporter
from a9fe.dhcp_agent.main import make_role
from a9fe.host_agent.converge import Outcome
from a9fe.host_agent.port_reports import PortReports, port_states
from a9fe.host_agent.totals import Totals
from a9fe.model.problems import Problem
from a9fe.plan import names, parts, port_status
from a9fe.plan.filters import admission
from a9fe.plan.host import Bridge, HostPlan
from a9fe.plan.problems import ByPart
from a9fe.runtime.config import Config, load
from tests.kit.conditions import comes_true
from tests.kit.fake_model import HOST, FakeModel, bound, dhcp_port, network, port, subnet

NET = network(1)
SUBNET = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
OWN = dhcp_port(1, NET, (SUBNET, "10.1.0.2"))
VM = port(2, NET, (SUBNET, "10.1.0.5"), status="ACTIVE")
MODEL = FakeModel([NET, SUBNET, OWN, VM, bound("dhcp", NET)])
PART = parts.network(NET.id)
SPACE = names.dhcp_namespace(NET.id)


def config(tmp_path: Path, **flags: str) -> Config:
    return load({"host": HOST, "state_path": str(tmp_path), **flags})


@pytest.mark.parametrize(
    ("flag", "value", "argument"),
    [
        ("dhcp_lease_duration", "120", ",255.255.255.0,120s"),
        ("dnsmasq_lease_max", "7", "--dhcp-lease-max=7"),
        ("dns_domain", "lab.example", "--domain=lab.example"),
        ("dnsmasq_dns_servers", "9.9.9.9", "--server=9.9.9.9"),
    ],
)
def test_options_reach_dnsmasq(tmp_path: Path, flag: str, value: str, argument: str):
    plan = make_role(config(tmp_path, **{flag: value})).plan(MODEL, PART)
    dnsmasq = plan.namespaces[SPACE].dnsmasq
    assert dnsmasq is not None
    assert any(argument in given for given in dnsmasq.arguments)
    assert dnsmasq.directory == f"{tmp_path}/dhcp/{NET.id}"


@pytest.mark.parametrize(
    ("isolated", "force", "listens"),
    [("true", "false", 1), ("false", "false", 0), ("false", "true", 1)],
)
def test_options_select_where_metadata_is_served(
    tmp_path: Path, isolated: str, force: str, listens: int
):
    flags = {"enable_isolated_metadata": isolated, "force_metadata": force}
    plan = make_role(config(tmp_path, **flags)).plan(MODEL, PART)
    assert len(plan.namespaces[SPACE].listeners) == listens


def test_configurations_in_the_agents_report(tmp_path: Path):
    role = make_role(config(tmp_path))
    assert (role.agent_type, role.binary) == ("DHCP agent", "neutron-dhcp-agent")
    totals = Totals(role.settings)
    for _ in range(2):  # a part counts once, however often it is planned
        totals.set(PART, role.counts(MODEL, PART))
    said = totals.configurations()
    assert said["dhcp_driver"] == "dnsmasq"
    assert (said["networks"], said["subnets"], said["ports"]) == (1, 1, 2)


def test_after_a_pass_its_own_port_is_up_and_an_unplugged_vm_is_down(tmp_path: Path):
    role = make_role(config(tmp_path))
    outcome = Outcome(desired=role.plan(MODEL, PART), observed=HostPlan())
    expected = port_status.PortStates(up=frozenset({OWN.id}), down=frozenset({VM.id}))
    assert port_states(role.ports(MODEL, PART), outcome) == expected


def test_after_a_failure_its_port_is_not_up(tmp_path: Path):
    role = make_role(config(tmp_path))
    failed = Outcome(desired=role.plan(MODEL, PART), observed=HostPlan(), failures={SPACE: "no"})
    assert port_states(role.ports(MODEL, PART), failed).up == frozenset()


class FakeServer(httpx.AsyncBaseTransport):
    """Accepts reports; answers 503 while `busy`."""

    def __init__(self) -> None:
        self.busy = True
        self.taken: list[bytes] = []
        self.heard = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.heard.set()
        if self.busy:
            return httpx.Response(503, json={})
        self.taken.append(request.content)
        return httpx.Response(200, json={"agent_id": "a"})


def test_ports_are_reported_also_after_the_server_failed():
    async def main() -> None:
        server = FakeServer()
        client = AgentClient("http://server", HOST, server)
        reporter = StateReporter(client, "DHCP agent", "neutron-dhcp-agent")
        reports = PortReports(reporter, dict)
        task = asyncio.ensure_future(reports.run())
        reports.put(port_status.PortStates(up=frozenset({"p1"})))
        await server.heard.wait()
        server.busy = False
        reports.put(port_status.PortStates(down=frozenset({"p2"})))
        await comes_true(lambda: server.taken, "a report")
        (body,) = [json.loads(body) for body in server.taken]
        assert (body["ports_up"], body["ports_down"]) == (["p1"], ["p2"])
        task.cancel()

    asyncio.run(main())


def test_a_refused_device_is_logged_once_and_again_when_it_changes(tmp_path: Path):
    role = make_role(config(tmp_path))
    desired = role.plan(MODEL, PART)

    def said(*devices: str) -> list[str]:
        bridge = Bridge(name=names.bridge(NET.id), mtu=1500, devices=frozenset(devices))
        observed = HostPlan(bridges=frozenset({bridge}))
        with structlog.testing.capture_logs() as lines:
            role.after_pass(
                MODEL, Outcome(desired=desired, observed=observed, plans={PART: desired})
            )
        return [f"{line['event']}: {line['device']}" for line in lines]

    assert said(names.outer_device(VM.id)) == []
    assert said("vnet0", names.outer_device(VM.id)) == ["device refused: vnet0"]
    assert said("vnet0") == []
    assert said() == ["device no longer refused: vnet0"]
    assert said("vnet0") == ["device refused: vnet0"]


def test_the_tap_of_a_port_that_is_switched_off_is_refused(tmp_path: Path):
    role = make_role(config(tmp_path))
    off = FakeModel([NET, SUBNET, OWN, replace(VM, admin_state_up=False), bound("dhcp", NET)])
    bridge = Bridge(
        name=names.bridge(NET.id), mtu=1500, devices=frozenset({names.outer_device(VM.id)})
    )
    observed = HostPlan(bridges=frozenset({bridge}))
    found = admission.refused(off, HOST, role.plan(off, PART), observed)
    assert [one.reason for one in found] == [f"port {VM.id} has admin_state_up false"]
    assert admission.refused(MODEL, HOST, role.plan(MODEL, PART), observed) == frozenset()


def test_a_refused_tap_is_a_problem_of_its_port_unless_the_vm_runs_elsewhere(tmp_path: Path):
    role = make_role(config(tmp_path))
    tap = names.outer_device(VM.id)
    bridge = Bridge(name=names.bridge(NET.id), mtu=1500, devices=frozenset({tap, "vnet0"}))

    def found(**changes: object) -> ByPart:
        away = replace(VM, host="node9", **changes)  # type: ignore[arg-type]
        model = FakeModel([NET, SUBNET, OWN, away, bound("dhcp", NET)])
        desired = role.plan(model, PART)
        observed = HostPlan(bridges=frozenset({bridge}))
        outcome = Outcome(desired=desired, observed=observed, plans={PART: desired})
        return role.after_pass(model, outcome)

    reason = f"{tap} on {bridge.name} is refused: port {VM.id} is bound to host node9, this is "
    problem = Problem(kind="port", id=VM.id, reason=f"{reason}{HOST}")
    assert found(status="DOWN") == {PART: frozenset({problem})}
    assert found(status="ACTIVE") == {}
    assert found(status="DOWN", admin_state_up=False) == {}
