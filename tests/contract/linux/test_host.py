"""The operations on a host: what FakeHost and the kernel both do.

Callers keep the order that plan.diff gives: FakeHost refuses more than the kernel where a
caller leaves that order, such as a bridge without filters.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from a9fe.host_agent.converge import converge
from a9fe.linux.host import Host
from a9fe.model.errors import A9feError
from a9fe.plan import operations as op
from a9fe.plan.diff import operations
from a9fe.plan.filters import fingerprint
from a9fe.plan.filters.fingerprint import NOTHING
from a9fe.plan.host import ANY_FILTER, Address, Bridge, HostPlan, NamespacePlan, Route, Veth
from a9fe.plan.parts import Look
from a9fe.wire.message import Listener
from tests.kit import host_plans
from tests.kit.fake_host import PROMOTE, FakeHost
from tests.kit.host_plans import BRIDGE, QDHCP, QROUTER, dhcp_plan, router_plan
from tests.lab.command import inside_sandbox
from tests.lab.handmade import sh
from tests.lab.places import MARK
from tests.lab.proxy import proxy_link

FILTERS = NOTHING
LINK_LOCALS = "net/ipv6/conf/default/addr_gen_mode"
OTHER_BRIDGE = Bridge(name="brq22222222-22", mtu=1450)
PLAN: dict[str, Callable[[str], HostPlan]] = {
    "dhcp": lambda confs: replace(dhcp_plan(confs), port_security=FILTERS),
    "l3": lambda _: replace(router_plan(), port_security=ANY_FILTER),
}
TAP = "tap99999999-99"


@dataclass
class Place:
    """A host, and what tests do on it without an operation."""

    host: FakeHost | Host
    confs: str

    def apply(self, *operations: op.Operation) -> None:
        for operation in operations:
            rest = self.host.apply(operation)
            if rest is not None:
                rest()

    def settle(self, owner: str, desired: HostPlan) -> None:
        """Converge; a second pass must find nothing to do."""
        assert converge(self.host, owner, desired).failures == {}
        assert operations(desired, self.host.observe(owner)) == ()

    def space(self, owner: str, name: str) -> NamespacePlan:
        return self.host.observe(owner).namespaces[name]

    def boot(self, tap: str) -> None:
        """A VM's device appears, up, on no bridge."""
        if isinstance(self.host, FakeHost):
            self.host.taps[tap] = ""
        else:
            sh(f"ip tuntap add dev {tap} mode tap; ip link set {tap} up")

    def unplug(self, tap: str) -> None:
        if isinstance(self.host, FakeHost):
            self.host.unplug(tap)
        else:
            sh(f"ip link del {tap}")


@pytest.fixture(params=["fake", "kernel"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "fake":
        yield Place(FakeHost(), "/confs")
        return
    assert inside_sandbox(), "contract tests run in the sandbox of `./run test contract`"
    base = tempfile.mkdtemp()
    os.chmod(base, 0o755)  # dnsmasq's user must be able to search it, unlike pytest's directory
    with proxy_link(tmp_path) as link:
        made = Place(Host(link, f"{base}/dhcp", MARK), f"{base}/dhcp")
        yield made
        sh(f"ip link del {TAP} 2>/dev/null || true")
        for owner in ("l3", "dhcp"):
            converge(made.host, owner, HostPlan())
    shutil.rmtree(base)


DEVICE = "qr-0000000e-11"
LINK = Veth(
    inner=DEVICE, outer="tap0000000e-11", bridge=BRIDGE.name, mac="fa:16:3e:00:00:03", mtu=1450
)
SECOND = replace(LINK, inner="qr-0000000f-11", outer="tap0000000f-11", mac="fa:16:3e:00:00:04")
LISTENER = Listener(
    kind="router", id=host_plans.ROUTER, namespace=QROUTER, address="0.0.0.0", port=9697
)


def address(cidr: str, device: str = DEVICE) -> op.AddAddress:
    return op.AddAddress(namespace=QROUTER, address=Address(device=device, cidr=cidr))


def route(destination: str, via: str = "", device: str = DEVICE) -> op.SetRoute:
    there = Route(destination=destination, via=via, device=device)
    return op.SetRoute(namespace=QROUTER, route=there)


def listening(**changes: object) -> op.OpenListener:
    return op.OpenListener(namespace=QROUTER, listener=replace(LISTENER, **changes))


def namespace_with_link(place: Place, *links: Veth) -> None:
    """A router's namespace with links and no address, on the bridge."""
    place.apply(
        op.SetPortSecurity(port_security=FILTERS),
        op.SetBridge(bridge=BRIDGE),
        op.AddNamespace(namespace=QROUTER),
        op.SetSysctl(namespace=QROUTER, path=PROMOTE, value="1"),
        op.SetSysctl(namespace=QROUTER, path=LINK_LOCALS, value="1"),  # none, as in our plans
        *(op.AddLink(namespace=QROUTER, link=link) for link in links or (LINK,)),
    )


@pytest.fixture
def router(place: Place) -> Place:
    namespace_with_link(place)
    return place


def cidrs(place: Place) -> set[str]:
    return {each.cidr for each in place.space("l3", QROUTER).addresses}


def destinations(place: Place) -> set[str]:
    return {each.destination for each in place.space("l3", QROUTER).routes}


# -- Plans ---------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", PLAN)
def test_a_plan_is_observed_as_it_was_applied(place: Place, owner: str) -> None:
    desired = PLAN[owner](place.confs)
    place.settle(owner, desired)
    seen = place.host.observe(owner)
    (name,) = desired.namespaces
    found, planned = seen.namespaces[name], desired.namespaces[name]
    assert replace(found, sysctls={}) == replace(planned, sysctls={})
    assert found.sysctls.items() >= planned.sysctls.items()
    assert (seen.bridges, seen.port_security) == (desired.bridges, desired.port_security)


def test_an_empty_plan_removes_all_that_both_agents_made(place: Place) -> None:
    for owner, plan in PLAN.items():
        place.settle(owner, plan(place.confs))
    for owner in ("l3", "dhcp", "l3"):
        assert converge(place.host, owner, HostPlan()).failures == {}
    for owner in PLAN:
        assert place.host.observe(owner) == HostPlan()


@pytest.mark.parametrize("owner", PLAN)
def test_every_operation_may_be_repeated(place: Place, owner: str) -> None:
    desired = PLAN[owner](place.confs)
    for aim in (desired, HostPlan()):
        for operation in operations(aim, place.host.observe(owner)):
            place.apply(operation, operation)
        assert operations(aim, place.host.observe(owner)) == ()


def test_an_agent_observes_its_own_namespaces_and_every_bridge(place: Place) -> None:
    for owner, plan in PLAN.items():
        place.settle(owner, plan(place.confs))
    seen = {owner: place.host.observe(owner) for owner in PLAN}
    assert {owner: set(each.namespaces) for owner, each in seen.items()} == {
        "dhcp": {QDHCP},
        "l3": {QROUTER},
    }
    for each in seen.values():
        (bridge,) = each.bridges
        assert bridge.devices == bridge.ours == {"tap0000000d-11", "tap0000000e-11"}


# -- What is refused -----------------------------------------------------------------------

NOWHERE = f"qrouter-{'9' * 8}-2222-3333-4444-555555555555"
MISSING = replace(LINK, bridge="brq99999999-99")
REFUSED: dict[str, op.Operation] = {
    "an address on a missing device": address("10.1.0.1/24", "qr-none"),
    "a route by a missing device": route("10.9.0.0/16", device="qr-none"),
    "a route by an unreachable next hop": route("10.9.0.0/16", via="10.77.0.1"),
    "a pair moved to a missing bridge": op.ChangeLink(namespace=QROUTER, link=MISSING),
    "a change of a missing pair": op.ChangeLink(namespace=QROUTER, link=SECOND),
    "an unknown sysctl": op.SetSysctl(namespace=QROUTER, path="net/ipv4/none", value="1"),
    "a tap on a missing bridge": op.PlugTap(tap=TAP, bridge="brq99999999-99"),
    "a missing tap": op.PlugTap(tap="tap88888888-88", bridge=BRIDGE.name),
    "a listener on a missing device": listening(device="qr-none", port_id="p", network_id="n"),
    "a bridge that has devices": op.DeleteBridge(name=BRIDGE.name),
    "a sysctl of a missing namespace": op.SetSysctl(
        namespace=NOWHERE, path=PROMOTE, value="1"
    ),
    "a pair of a missing namespace": op.AddLink(namespace=NOWHERE, link=SECOND),
    "an address in a missing namespace": op.AddAddress(
        namespace=NOWHERE, address=Address(device=DEVICE, cidr="10.1.0.1/24")
    ),
    "a listener in a missing namespace": op.OpenListener(
        namespace=NOWHERE, listener=replace(LISTENER, namespace=NOWHERE)
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_host_cannot_do_raises_and_changes_nothing(router: Place, what: str) -> None:
    router.boot(TAP)
    before = router.host.observe("l3")
    with pytest.raises((A9feError, OSError)):
        router.apply(REFUSED[what])
    assert router.host.observe("l3") == before


def test_a_pair_on_a_missing_bridge_raises_and_is_unlike_any_plan(router: Place) -> None:
    with pytest.raises((A9feError, OSError)):
        router.apply(op.AddLink(namespace=QROUTER, link=replace(SECOND, bridge="brq99999999-99")))
    found = router.space("l3", QROUTER).links - {LINK}
    assert found == {replace(SECOND, bridge="", mtu=0)}
    router.apply(op.ChangeLink(namespace=QROUTER, link=SECOND))
    assert router.space("l3", QROUTER).links == {LINK, SECOND}


def test_a_listener_on_a_bound_port_is_refused(place: Place) -> None:
    namespace_with_link(place, LINK, SECOND)
    on_device = {"port_id": "p", "network_id": "n"}
    place.apply(
        listening(device=LINK.inner, **on_device), listening(device=SECOND.inner, **on_device)
    )
    with pytest.raises((A9feError, OSError)):
        place.apply(listening())
    assert len(place.space("l3", QROUTER).listeners) == 2


# -- Links ---------------------------------------------------------------------------------


def test_a_change_of_a_pair_sets_its_mac_mtu_and_bridge(router: Place) -> None:
    router.apply(op.SetBridge(bridge=OTHER_BRIDGE))
    changed = replace(LINK, bridge=OTHER_BRIDGE.name, mac="fa:16:3e:00:00:99", mtu=1400)
    router.apply(op.ChangeLink(namespace=QROUTER, link=changed))
    assert router.space("l3", QROUTER).links == {changed}
    devices = {each.name: each.devices for each in router.host.observe("l3").bridges}
    assert devices == {BRIDGE.name: frozenset(), OTHER_BRIDGE.name: {LINK.outer}}


def test_a_pair_replaces_one_with_its_inner_or_its_outer_device(router: Place) -> None:
    router.apply(address("10.1.0.1/24"))
    for other in (replace(LINK, outer=SECOND.outer), SECOND):
        router.apply(op.AddLink(namespace=QROUTER, link=other))
        assert router.space("l3", QROUTER).links == {other}
        assert cidrs(router) == set()


def test_a_removed_pair_takes_its_addresses_and_routes_along(place: Place) -> None:
    namespace_with_link(place, LINK, SECOND)
    place.apply(
        address("10.1.0.1/24"),
        route("10.9.0.0/16", via="10.1.0.9"),
        address("10.2.0.1/24", SECOND.inner),
        route("10.8.0.0/16", via="10.2.0.9", device=SECOND.inner),
    )
    place.apply(op.DeleteLink(namespace=QROUTER, link=LINK))
    assert (cidrs(place), destinations(place)) == ({"10.2.0.1/24"}, {"10.8.0.0/16"})
    (bridge,) = place.host.observe("l3").bridges
    assert bridge.devices == {SECOND.outer}


# -- Addresses and routes ------------------------------------------------------------------


@pytest.mark.parametrize(("promote", "left"), [("1", {"10.1.0.2/24"}), ("0", set())])
def test_the_first_address_of_a_subnet_takes_the_others_unless_they_are_promoted(
    router: Place, promote: str, left: set[str]
) -> None:
    first = address("10.1.0.1/24")
    router.apply(op.SetSysctl(namespace=QROUTER, path=PROMOTE, value=promote))
    router.apply(first, address("10.1.0.2/24"), address("10.7.0.1/24"))
    router.apply(op.DeleteAddress(namespace=QROUTER, address=first.address))
    assert cidrs(router) == {*left, "10.7.0.1/24"}


def test_the_last_ipv4_address_of_a_device_takes_its_ipv4_routes_along(router: Place) -> None:
    first, last = address("10.1.0.1/24"), address("10.7.0.1/24")
    router.apply(first, last, route("10.9.0.0/16", via="10.1.0.9"), route("10.8.0.1/32"))
    router.apply(address("fd00::1/64"), route("fd00:9::/64", via="fd00::9"))
    router.apply(op.DeleteAddress(namespace=QROUTER, address=first.address))
    assert destinations(router) == {"10.9.0.0/16", "10.8.0.1/32", "fd00:9::/64"}
    router.apply(op.DeleteAddress(namespace=QROUTER, address=last.address))
    assert destinations(router) == {"fd00:9::/64"}


def test_a_route_replaces_the_one_to_its_destination(router: Place) -> None:
    router.apply(address("10.1.0.1/24"))
    for via in ("10.1.0.9", "10.1.0.8"):
        router.apply(route("0.0.0.0/0", via=via))
        (found,) = router.space("l3", QROUTER).routes
        assert found == Route(destination="0.0.0.0/0", via=via, device=DEVICE)


def test_a_next_hop_may_be_on_an_on_link_route(router: Place) -> None:
    router.apply(address("10.1.0.1/24"), route("10.9.0.1/32"), route("0.0.0.0/0", via="10.9.0.1"))
    assert destinations(router) == {"10.9.0.1/32", "0.0.0.0/0"}


# -- dnsmasq -------------------------------------------------------------------------------


def test_dnsmasq_is_observed_with_the_arguments_that_it_was_started_with(place: Place) -> None:
    place.settle("dhcp", PLAN["dhcp"](place.confs))
    running = host_plans.served(place.confs)
    changed = replace(running, arguments=(*running.arguments, "--log-dhcp"), hosts="", names="")
    place.apply(op.ReloadDnsmasq(namespace=QDHCP, dnsmasq=changed))
    found = place.space("dhcp", QDHCP).dnsmasq
    assert found == replace(changed, arguments=running.arguments)
    place.apply(op.RestartDnsmasq(namespace=QDHCP, dnsmasq=changed))
    assert place.space("dhcp", QDHCP).dnsmasq == changed


@pytest.mark.parametrize("operation", [op.RestartDnsmasq, op.ReloadDnsmasq])
def test_a_dnsmasq_that_is_not_there_is_started(place: Place, operation: type) -> None:
    place.settle("dhcp", PLAN["dhcp"](place.confs))
    wanted = host_plans.served(place.confs)
    place.apply(op.StopDnsmasq(namespace=QDHCP, dnsmasq=wanted))
    assert place.space("dhcp", QDHCP).dnsmasq is None
    place.apply(operation(namespace=QDHCP, dnsmasq=wanted))
    assert place.space("dhcp", QDHCP).dnsmasq == wanted


# -- Listeners -----------------------------------------------------------------------------


def test_a_listener_needs_no_address_of_its_namespace(router: Place) -> None:
    router.apply(listening(address="10.1.0.1"))
    assert {each.address for each in router.space("l3", QROUTER).listeners} == {"10.1.0.1"}


def test_a_listener_ends_with_its_device(place: Place) -> None:
    namespace_with_link(place, LINK, SECOND)
    bound = {"port_id": "p", "network_id": "n"}
    gone = listening(device=LINK.inner, **bound)
    place.apply(gone, listening(device=SECOND.inner, **bound))
    place.apply(op.CloseListener(namespace=QROUTER, listener=gone.listener))
    place.apply(op.DeleteLink(namespace=QROUTER, link=LINK))
    place.apply(op.AddLink(namespace=QROUTER, link=LINK))
    assert {each.device for each in place.space("l3", QROUTER).listeners} == {SECOND.inner}


def test_a_namespace_made_again_has_no_listener(router: Place) -> None:
    router.apply(listening())
    router.apply(
        op.CloseListener(namespace=QROUTER, listener=LISTENER),
        op.DeleteLink(namespace=QROUTER, link=LINK),
        op.DeleteNamespace(namespace=QROUTER),
        op.AddNamespace(namespace=QROUTER),
    )
    assert router.space("l3", QROUTER).listeners == frozenset()


# -- Filters, isolation, taps --------------------------------------------------------------


def test_any_filter_keeps_what_is_loaded_and_is_all_that_the_l3_agent_observes(
    place: Place,
) -> None:
    loaded = FILTERS, ANY_FILTER
    place.apply(*(op.SetPortSecurity(port_security=each) for each in loaded))
    assert place.host.observe("dhcp").port_security == FILTERS
    assert place.host.observe("l3").port_security == ANY_FILTER
    place.apply(op.SetPortSecurity(port_security=None))
    assert place.host.observe("dhcp").port_security is None
    assert place.host.observe("l3").port_security is None


def test_taps_are_set_and_removed_one_by_one(place: Place) -> None:
    one, two = frozenset({("taps", "")}), frozenset({("taps", ""), ("open", "")})
    place.apply(
        op.SetPortSecurity(port_security=FILTERS),
        op.SetTaps(taps={"tap1": one, "tap2": one, "tap3": one}),
        op.SetTaps(taps={"tap1": None, "tap2": two, "tap9": None}),
    )
    wanted = fingerprint.security({"tap2": two, "tap3": one})
    assert place.host.observe("dhcp").port_security == wanted
    look = Look(namespaces=frozenset(), bridges=frozenset(), taps=frozenset({"tap1", "tap2"}))
    assert place.host.observe("dhcp", look).port_security == fingerprint.security({"tap2": two})


def test_a_tap_on_no_bridge_is_observed_by_the_dhcp_agent_until_it_is_plugged(
    router: Place,
) -> None:
    router.boot(TAP)
    assert router.host.observe("dhcp").taps == {TAP: ""}
    assert router.host.observe("l3").taps == {}
    router.apply(op.PlugTap(tap=TAP, bridge=BRIDGE.name))
    assert router.host.observe("dhcp").taps == {}
    (bridge,) = router.host.observe("dhcp").bridges
    assert (bridge.devices, bridge.ours) == ({TAP, LINK.outer}, {LINK.outer})
    router.unplug(TAP)
    (bridge,) = router.host.observe("dhcp").bridges
    assert bridge.devices == {LINK.outer}


def test_isolation_is_set_and_cleared_of_a_device_on_the_bridge(router: Place) -> None:
    router.boot(TAP)

    def isolated() -> frozenset[str]:
        (bridge,) = router.host.observe("dhcp").bridges
        return bridge.isolated

    isolation = op.SetIsolation(bridge=BRIDGE.name, device=TAP, isolated=True)
    router.apply(isolation)
    assert isolated() == frozenset(), "it is on no bridge"
    router.apply(op.PlugTap(tap=TAP, bridge=BRIDGE.name), isolation)
    assert isolated() == {TAP}
    router.apply(replace(isolation, isolated=False))
    assert isolated() == frozenset()
