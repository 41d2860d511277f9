"""A host is the union of its parts, and a change touches the parts whose plan it may change."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.model.resources import Resource, SecurityGroup
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.host import HostPlan
from a9fe.plan.model_view import ModelView
from a9fe.plan.parts import Part, network, router, touched
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from tests.kit import fake_model as fake
from tests.kit.fake_model import HOST, FakeModel
from tests.kit.models import CHEAP, models

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


def plans(model: ModelView) -> dict[tuple[str, Part], HostPlan]:
    found = {}
    for part in dhcp.all_parts(model):
        settings = DhcpSettings(dhcp_confs="/d")
        found["dhcp", part] = dhcp.plan_part(model, HOST, settings, part)
    for part in l3.all_parts(model, HOST):
        found["l3", part] = l3.plan_part(model, HOST, L3Settings(), part)
    return found


@CHEAP
@given(before=models(), after=models(), data=st.data())
def test_a_change_changes_no_plan_of_a_part_that_it_does_not_touch(
    before: FakeModel, after: FakeModel, data: st.DataObject
):
    model = FakeModel(before.resources.values())
    keys = sorted(before.resources.keys() | after.resources.keys())
    for key in data.draw(st.permutations(keys)):
        old, new = model.resources.get(key), after.resources.get(key)
        earlier = plans(model)
        if new is not None:
            model.put(new)
        elif old is not None:
            model.drop(old)
        now = plans(model)
        for owner in ("dhcp", "l3"):
            parts = touched(owner, key[0], old, new, model)
            differ = {
                part
                for which, part in earlier.keys() | now.keys()
                if which == owner and earlier.get((owner, part)) != now.get((owner, part))
            }
            bare = {p for p in differ if is_bare(earlier.get((owner, p)), now.get((owner, p)))}
            assert differ - bare <= parts


def is_bare(*plans: HostPlan | None) -> bool:
    """Return whether the plans have no objects: such a part need not be planned."""
    return all(plan is None or not (plan.bridges or plan.namespaces) for plan in plans)
