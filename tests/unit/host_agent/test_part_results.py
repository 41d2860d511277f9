"""What a pass did and could not do, part by part."""

from a9fe.host_agent.converge import Outcome
from a9fe.host_agent.part_results import divided
from a9fe.plan import operations as op
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.parts import network
from a9fe.plan.settings import DhcpSettings
from tests.kit import fake_model as fake
from tests.kit.fake_model import HOST, FakeModel

NETS = [fake.network(number) for number in (1, 2)]
VMS = [fake.port(number, net) for number, net in enumerate(NETS, 1)]
MODEL = FakeModel([*NETS, *VMS])
ONE, TWO = (network(net.id) for net in NETS)
PLANS = {
    part: dhcp.plan_part(MODEL, HOST, DhcpSettings(dhcp_confs="/d"), part) for part in (ONE, TWO)
}
TAPS = [next(iter(PLANS[part].taps)) for part in (ONE, TWO)]


def outcome(*applied: op.Operation, **failures: str) -> Outcome:
    plan = PLANS[ONE]
    return Outcome(desired=plan, observed=plan, applied=applied, failures=failures, plans=PLANS)


def test_an_operation_belongs_to_the_part_of_its_objects():
    applied = (
        op.SetTaps(taps={TAPS[0]: None, "tap99999999-99": None}),
        op.AddNamespace(namespace=ONE.namespace("dhcp")),
        op.SetIsolation(bridge=TWO.bridge, device="vnet0", isolated=True),
        op.PlugTap(tap=TAPS[1], bridge=TWO.bridge),
        op.DeleteNamespace(namespace="qdhcp-of-nobody"),
    )
    found = divided("dhcp", outcome(*applied))
    assert found[ONE].applied == [applied[0], applied[1]]
    assert found[TWO].applied == [applied[2], applied[3]]
    assert found[None].applied == [applied[0], applied[4]]


def test_a_failure_belongs_to_the_part_of_its_scope():
    failures = {f"{ONE.namespace('dhcp')} dnsmasq": "a", TWO.bridge: "b", "port-security": "c"}
    found = divided("dhcp", outcome(**failures))
    assert {part: list(result.failures.values()) for part, result in found.items()} == {
        ONE: ["a"],
        TWO: ["b"],
        None: ["c"],
    }
