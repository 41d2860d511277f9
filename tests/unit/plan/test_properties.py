"""Operations change any host into any other, in an order that the kernel accepts."""

from hypothesis import given
from hypothesis import strategies as st

from a9fe.plan import sysctls
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.diff import operations
from a9fe.plan.host import HostPlan
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from tests.kit.fake_host import FakeHost
from tests.kit.fake_model import HOST, FakeModel
from tests.kit.models import CHEAP, models

DHCP_CONFIGS = st.sampled_from(
    [
        DhcpSettings(dhcp_confs="/d"),
        DhcpSettings(dhcp_confs="/d", force_metadata=True),
        DhcpSettings(dhcp_confs="/d", enable_isolated_metadata=False),
    ]
)
L3_CONFIGS = st.sampled_from([L3Settings(), L3Settings(enable_metadata_proxy=False)])


def apply(host: FakeHost, owner: str, desired: HostPlan) -> int:
    done = operations(desired, host.observe(owner))
    for operation in done:
        host.apply(operation)
    assert host.needless == []
    return len(done)


@CHEAP
@given(a=models(), b=models(), first=DHCP_CONFIGS, then=DHCP_CONFIGS)
def test_any_dhcp_host_becomes_any_other(
    a: FakeModel, b: FakeModel, first: DhcpSettings, then: DhcpSettings
):
    host = FakeHost()
    apply(host, "dhcp", dhcp.plan(a, HOST, first))
    desired = dhcp.plan(b, HOST, then)
    apply(host, "dhcp", desired)
    assert host.observe("dhcp") == desired
    assert operations(desired, host.observe("dhcp")) == ()


@CHEAP
@given(a=models(), b=models(), first=L3_CONFIGS, then=L3_CONFIGS)
def test_any_router_host_becomes_any_other(
    a: FakeModel, b: FakeModel, first: L3Settings, then: L3Settings
):
    host = FakeHost()
    apply(host, "l3", l3.plan(a, HOST, first))
    desired = l3.plan(b, HOST, then)
    apply(host, "l3", desired)
    assert host.observe("l3") == desired
    assert operations(desired, host.observe("l3")) == ()


def test_a_plan_has_every_sysctl_that_is_observed():
    """Otherwise the two tests above would compare less."""
    assert sysctls.router(ipv6_on_host=True).keys() == sysctls.PATHS
    assert sysctls.dhcp(ipv6_on_host=True).keys() == sysctls.PATHS


@CHEAP
@given(final=models(), before=models(), data=st.data())
def test_any_order_of_changes_ends_in_the_same_host(
    final: FakeModel, before: FakeModel, data: st.DataObject
):
    """Both agents follow changes of any order and speed, starting from another model."""
    host, model = FakeHost(), FakeModel(before.resources.values())
    changes = [("put", r) for r in final.resources.values()]
    gone = before.resources.keys() - final.resources.keys()
    changes += [("drop", before.resources[key]) for key in sorted(gone)]
    for what, resource in data.draw(st.permutations(changes)):
        (model.put if what == "put" else model.drop)(resource)
        for owner in data.draw(st.sampled_from([(), ("l3",), ("dhcp",), ("dhcp", "l3")])):
            follow(host, owner, model)
    for owner in ("dhcp", "l3", "dhcp", "l3"):  # the second time for bridges of the other's
        follow(host, owner, model)
    assert_as_new(host, final)


def follow(host: FakeHost, owner: str, model: FakeModel) -> None:
    if owner == "l3":
        apply(host, owner, l3.plan(model, HOST, L3Settings()))
    else:
        apply(host, owner, dhcp.plan(model, HOST, DhcpSettings(dhcp_confs="/d")))


def assert_as_new(host: FakeHost, model: FakeModel) -> None:
    new = FakeHost()
    follow(new, "dhcp", model)
    follow(new, "l3", model)
    for owner in ("dhcp", "l3"):
        assert host.observe(owner) == new.observe(owner)


@CHEAP
@given(a=models(), b=models(), stop=st.integers(min_value=0, max_value=60))
def test_the_next_pass_completes_an_interrupted_one(a: FakeModel, b: FakeModel, stop: int):
    host = FakeHost()
    follow(host, "dhcp", a)
    desired = dhcp.plan(b, HOST, DhcpSettings(dhcp_confs="/d"))
    for operation in operations(desired, host.observe("dhcp"))[:stop]:
        host.apply(operation)
    apply(host, "dhcp", desired)
    assert host.observe("dhcp") == desired
