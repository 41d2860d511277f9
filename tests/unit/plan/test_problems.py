"""Failures of a pass as problems of networks, routers, ports and the agent."""

from dataclasses import replace

import pytest

from a9fe.model.problems import REASON_MAX, Problem
from a9fe.plan import names, parts
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.host import HostPlan
from a9fe.plan.operations import uplink_scope
from a9fe.plan.parts import Part
from a9fe.plan.problems import problems
from a9fe.plan.settings import DhcpSettings
from tests.kit.fake_model import HOST, FakeModel, bound, dhcp_port, network, port, router, subnet

NET = network(1)
SUBNET = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
VM = port(2, NET, (SUBNET, "10.1.0.5"))
OWN = dhcp_port(1, NET, (SUBNET, "10.1.0.2"))
ROUTER = router(1)
MODEL = FakeModel([NET, SUBNET, OWN, VM, bound("dhcp", NET)])
PLAN = dhcp.plan(MODEL, HOST, DhcpSettings(dhcp_confs="/d"))
ITS = parts.network(NET.id)
OF_ROUTER = parts.router(ROUTER.id)
DHCP_SPACE, SPACE = names.dhcp_namespace(NET.id), names.router_namespace(ROUTER.id)


def of_network(reason: str) -> Problem:
    return Problem(kind="network", id=NET.id, reason=reason)


def of_agent(reason: str) -> Problem:
    return Problem(kind="agent", id="", reason=reason)


@pytest.mark.parametrize(
    ("scope", "part", "expected"),
    [
        (DHCP_SPACE, ITS, of_network("File exists")),
        (f"{DHCP_SPACE} dnsmasq", ITS, of_network("File exists")),
        (names.bridge(NET.id), ITS, of_network("File exists")),
        (f"{names.bridge(NET.id)} uplink", ITS, of_network("File exists")),
        (uplink_scope(names.bridge(NET.id)), ITS, of_network("File exists")),
        (names.outer_device(VM.id), ITS, of_network("File exists")),
        (SPACE, OF_ROUTER, Problem(kind="router", id=ROUTER.id, reason="File exists")),
        (
            f"{SPACE} listener",
            OF_ROUTER,
            Problem(kind="router", id=ROUTER.id, reason="File exists"),
        ),
        ("port-security", None, Problem(kind="agent", id="", reason="port-security: File exists")),
        ("host", None, Problem(kind="agent", id="", reason="host: File exists")),
        (
            "brq99999999-99",
            None,
            Problem(kind="agent", id="", reason="brq99999999-99: File exists"),
        ),
    ],
)
def test_whose_problem_a_failure_is(scope: str, part: Part | None, expected: Problem):
    assert problems({scope: "File exists"}, PLAN, [ITS]) == {part: {expected}}


def test_two_failures_of_a_resource_are_one_problem():
    failures = {f"{DHCP_SPACE} dnsmasq": "exit status 2", f"{DHCP_SPACE} listener": "no proxy"}
    assert problems(failures, PLAN) == {ITS: {of_network("exit status 2; no proxy")}}


def test_what_is_left_out_of_dhcp_is_a_problem_of_its_port_or_network():
    left_out = (f"port {VM.id}, option 'x': a quote", "subnet 1: a line of 2000 characters")
    space = PLAN.namespaces[DHCP_SPACE]
    assert space.dnsmasq is not None
    spoilt = replace(space, dnsmasq=replace(space.dnsmasq, left_out=left_out))
    (found,) = problems({}, HostPlan(namespaces={DHCP_SPACE: spoilt})).values()
    assert {(one.kind, one.id) for one in found} == {("port", VM.id), ("network", NET.id)}
    assert all(one.reason.startswith("left out of DHCP: ") for one in found)


def test_a_reason_is_one_printable_line_of_bounded_length():
    (found,) = problems({DHCP_SPACE: "a\nb\x1b[0m" + "x" * 1000}, PLAN)[ITS]
    assert found.reason.startswith("a b?[0mx")
    assert found.reason.isprintable()
    assert len(found.reason) == REASON_MAX
