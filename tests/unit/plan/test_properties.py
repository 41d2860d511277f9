"""Operations change any host into any other, in an order that the kernel accepts."""

from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from a9fe.model.resources import HostRoute, Network, Port, Resource, Router, Subnet
from a9fe.plan import sysctls
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.diff import operations
from a9fe.plan.host import HostPlan
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from tests.kit.fake_host import FakeHost
from tests.kit.fake_model import (
    HOST,
    FakeModel,
    bound,
    dhcp_port,
    interface,
    network,
    port,
    router,
    subnet,
)

CHEAP = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], database=None)
CIDRS = ("10.1.0.0/24", "10.1.0.0/25", "10.2.0.0/16")  # overlapping, and sharing addresses
ADDRESSES = ("2", "3", "9")  # last part, inside each of them
DHCP_CONFIGS = st.sampled_from(
    [
        DhcpSettings(dhcp_confs="/d"),
        DhcpSettings(dhcp_confs="/d", force_metadata=True),
        DhcpSettings(dhcp_confs="/d", enable_isolated_metadata=False),
    ]
)
L3_CONFIGS = st.sampled_from([L3Settings(), L3Settings(enable_metadata_proxy=False)])


def within(cidr: str, last: str) -> str:
    return f"{cidr.rsplit('.', 1)[0]}.{last}"


@dataclass
class Draft:
    """A model under construction."""

    resources: list[Resource] = field(default_factory=list)

    def add(self, *resources: Resource) -> None:
        self.resources.extend(resources)


@st.composite
def models(draw: st.DrawFn) -> FakeModel:
    """Up to three networks with up to two subnets, two routers, and changing ports."""
    draft = Draft()
    routers = [router(n, admin_state_up=draw(st.booleans())) for n in (1, 2)]
    for number in draw(st.sets(st.sampled_from([1, 2, 3]))):
        net = network(
            number,
            mtu=draw(st.sampled_from([1400, 1500])),
            admin_state_up=draw(st.sampled_from([True, True, False])),
        )
        subnets = draw_subnets(draw, net, number)
        draft.add(net, *subnets, *draw_dhcp(draw, net, subnets, number))
        draft.add(*draw_interfaces(draw, net, subnets, routers, number))
        if subnets and draw(st.booleans()):
            draft.add(port(number * 10 + 9, net, (subnets[0], within(subnets[0].cidr, "100"))))
    for one in routers:
        draft.add(draw_routes(draw, one), *([bound("l3", one)] if draw(st.booleans()) else []))
    return FakeModel(draft.resources)


def draw_subnets(draw: st.DrawFn, net: Network, number: int) -> list[Subnet]:
    cidrs = draw(st.lists(st.sampled_from(CIDRS), max_size=2, unique=True))
    return [
        subnet(
            number * 10 + index,
            net,
            cidr,
            draw(st.sampled_from([None, within(cidr, "1"), "10.77.0.1"])),
            enable_dhcp=draw(st.booleans()),
        )
        for index, cidr in enumerate(cidrs)
    ]


def draw_ips(draw: st.DrawFn, subnets: list[Subnet]) -> list[tuple[Subnet, str]]:
    return [(s, within(s.cidr, draw(st.sampled_from(ADDRESSES)))) for s in subnets]


def draw_dhcp(draw: st.DrawFn, net: Network, subnets: list[Subnet], number: int) -> list[Resource]:
    if not draw(st.booleans()):
        return []
    which = number * 10 + draw(st.sampled_from([0, 1]))
    own = dhcp_port(which, net, *draw_ips(draw, subnets))
    mac = draw(st.sampled_from([own.mac_address, "fa:16:3e:77:77:77"]))
    return [replace(own, mac_address=mac), bound("dhcp", net)]


def draw_interfaces(
    draw: st.DrawFn, net: Network, subnets: list[Subnet], routers: list[Router], number: int
) -> list[Port]:
    """Use the same port ids on both routers, so that ports move."""
    return [
        interface(number * 10 + 5 + index, draw(st.sampled_from(routers)), net, ip)
        for index, ip in enumerate(draw_ips(draw, subnets))
        if draw(st.booleans())
    ]


def draw_routes(draw: st.DrawFn, one: Router) -> Router:
    hops = draw(st.lists(st.sampled_from(["10.1.0.20", "10.2.0.20"]), max_size=1))
    routes = tuple(HostRoute(destination="10.50.0.0/16", nexthop=hop) for hop in hops)
    return replace(one, routes=routes)


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
