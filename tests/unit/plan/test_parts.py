"""A host is the union of its parts, and a change touches the parts whose plan it may change."""

from dataclasses import replace

import pytest

from a9fe.model.resources import Resource, SecurityGroup
from a9fe.plan.parts import Part, network, router, touched
from tests.kit import fake_model as fake
from tests.kit.fake_model import FakeModel

NET, OTHER = fake.network(1), fake.network(2)
SUBNET = fake.subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
ROUTER = fake.router(1)
LEG = fake.interface(5, ROUTER, NET, (SUBNET, "10.1.0.1"))
VM = fake.port(2, NET, (SUBNET, "10.1.0.5"))
WAY_OUT = fake.gateway(6, ROUTER, OTHER)
FLOATING = fake.floating_ip(1, OTHER, "203.0.113.7", ROUTER, VM)
MODEL = FakeModel([NET, OTHER, SUBNET, ROUTER, LEG, VM])
N, M, R = network(NET.id), network(OTHER.id), router(ROUTER.id)


@pytest.mark.parametrize(
    ("kind", "before", "after", "of_dhcp", "of_l3"),
    [
        ("network", None, NET, {N}, {N, R}),
        ("network", None, OTHER, {M}, {M}),
        ("network", OTHER, None, {M}, {M}),
        ("subnet", None, SUBNET, {N}, {R}),
        ("subnet", SUBNET, None, {N}, {R}),
        ("port", None, VM, {N}, set()),
        ("port", VM, replace(VM, network_id=OTHER.id), {N, M}, set()),
        ("port", LEG, None, {N}, {R}),
        ("port", LEG, replace(LEG, device_id="r2"), {N}, {R, router("r2")}),
        ("port", VM, replace(VM, status="ACTIVE"), set(), set()),
        ("port", replace(LEG, status="DOWN"), replace(LEG, status="ACTIVE"), {N}, set()),
        ("port", VM, replace(VM, admin_state_up=False), {N}, set()),
        ("port", None, WAY_OUT, {M}, {R, M}),
        ("floatingip", None, FLOATING, set(), {R}),
        ("floatingip", FLOATING, replace(FLOATING, router_id="r2"), set(), {R, router("r2")}),
        ("floatingip", FLOATING, replace(FLOATING, fixed_ip_address="10.1.0.9"), set(), {R}),
        ("floatingip", FLOATING, replace(FLOATING, status="ACTIVE"), set(), set()),
        ("router", None, ROUTER, set(), {R}),
        ("router", ROUTER, ROUTER, set(), set()),
        ("binding", None, fake.bound("dhcp", NET), {N}, set()),
        ("binding", fake.bound("l3", ROUTER), None, set(), {R}),
        ("security_group", None, SecurityGroup(id="g"), set(), set()),
    ],
)
def test_a_change_touches_the_parts_of_its_neighbours(
    kind: str,
    before: Resource | None,
    after: Resource | None,
    of_dhcp: set[Part],
    of_l3: set[Part],
):
    assert touched("dhcp", kind, before, after, MODEL) == of_dhcp
    assert touched("l3", kind, before, after, MODEL) == of_l3
