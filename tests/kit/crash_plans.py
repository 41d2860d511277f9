"""Phases of a host whose changes take every kind of operation, and a process killed in one."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from a9fe.host_agent.converge import converge
from a9fe.linux.host import Host
from a9fe.model.resources import COMPUTE_OWNER, FixedIp, Port
from a9fe.plan import names
from a9fe.plan.filters.port_security import of_network
from a9fe.plan.host import (
    ANY_FILTER,
    Address,
    Bridge,
    HostPlan,
    NamespacePlan,
    Radvd,
    Route,
    Uplink,
    Veth,
)
from a9fe.plan.operations import Operation, SetTaps
from a9fe.plan.routers.iptables import ruleset
from a9fe.runtime import failpoints
from tests.kit.conditions import eventually
from tests.kit.host_plans import (
    BRIDGE,
    NETWORK,
    QDHCP,
    QROUTER,
    ROUTER,
    FakeProxy,
    dhcp_plan,
    router_plan,
    served,
)
from tests.lab.places import MARK

OWNERS = ("dhcp", "l3")
VM = Port(
    id="0000000f-1111-4000-8000-000000000001",
    network_id=NETWORK,
    mac_address="fa:16:3e:00:00:01",
    device_owner=COMPUTE_OWNER,
    fixed_ips=(FixedIp(subnet_id="s", ip_address="10.1.0.5"),),
)
OTHER_VM = replace(VM, id="0000001f-1111-4000-8000-000000000001", mac_address="fa:16:3e:00:00:21")
STRANGER = "stranger0"  # a device of no port
VM_TAP = names.outer_device(VM.id)
UPLINK = Uplink(bridge=BRIDGE.name, device="br-ex", physical_network="physnet1")
OTHER_LINK = Veth(
    inner="qr-0000001e-11",
    outer="tap0000001e-11",
    bridge=BRIDGE.name,
    mac="fa:16:3e:00:00:13",
    mtu=BRIDGE.mtu,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The plan of each agent, which the host has next after the phase before.

    `direct` are operations that lead to the DHCP agent's plan and that no whole pass has.
    """

    name: str
    plans: dict[str, HostPlan]
    direct: tuple[Operation, ...] = ()


def phases(confs: str) -> tuple[Phase, ...]:
    """Return the phases in their order; the host is empty before the first and after the last."""
    dhcp, router = dhcp_plan(confs), router_plan().namespaces[QROUTER]
    space = dhcp.namespaces[QDHCP]
    two_links = replace(router, links=router.links | {OTHER_LINK})
    smaller = Bridge(name=BRIDGE.name, mtu=1400)
    changed = _changed(space, smaller.mtu)
    more = served(confs, hosts=served(confs).hosts + "fa:16:3e:00:00:09,h9,10.1.0.9\n")
    args = (*more.arguments, "--dhcp-authoritative")
    restarted = replace(served(confs), arguments=args)
    other_rules = ruleset({"filter": ("-A FORWARD -j DROP",)})
    narrow = replace(router, links=_of_mtu(router, smaller.mtu), iptables=other_rules)
    advertising = replace(narrow, radvd=_radvd(confs, "on"))
    silent = replace(narrow, radvd=_radvd(confs, "off"))
    reloaded = replace(changed, dnsmasq=replace(more, arguments=args))
    direct = SetTaps(taps=of_network((OTHER_VM,), (), "").taps)
    empty = Phase(name="empty", plans={owner: HostPlan() for owner in OWNERS})
    return (
        empty,
        _phase("built", BRIDGE, space, two_links, vms=()),
        _phase("changed", smaller, replace(changed, dnsmasq=restarted), advertising),
        _phase("reloaded", smaller, reloaded, silent),
        _phase("one port more", smaller, reloaded, silent, (VM, OTHER_VM), direct),
        _phase("without DHCP", smaller, replace(changed, dnsmasq=None), narrow, (VM, OTHER_VM)),
        empty,
    )


def _phase(
    name: str,
    bridge: Bridge,
    dhcp: NamespacePlan,
    router: NamespacePlan,
    vms: tuple[Port, ...] = (VM,),
    *direct: Operation,
) -> Phase:
    bridges = frozenset({bridge})
    taps = dict.fromkeys((names.outer_device(port.id) for port in vms), BRIDGE.name)
    uplinks = frozenset() if vms else frozenset({UPLINK})
    ours = HostPlan(
        bridges=bridges,
        namespaces={QDHCP: dhcp},
        port_security=of_network(vms, (), ""),
        taps=taps,
        uplinks=uplinks,
    )
    theirs = HostPlan(
        bridges=bridges,
        namespaces={QROUTER: router},
        port_security=ANY_FILTER,
        uplinks=uplinks,
    )
    return Phase(name=name, plans={"dhcp": ours, "l3": theirs}, direct=direct)


def _changed(space: NamespacePlan, mtu: int) -> NamespacePlan:
    """Other MTU, address, route and listener."""
    device = next(iter(space.links)).inner
    (listener,) = space.listeners
    return replace(
        space,
        links=_of_mtu(space, mtu),
        addresses=frozenset({Address(device=device, cidr="10.1.0.3/24")}),
        routes=frozenset({Route(destination="10.9.0.2/32", via="", device=device)}),
        listeners=frozenset({replace(listener, port=8080)}),
    )


def _radvd(confs: str, advertises: str) -> Radvd:
    return Radvd(
        router_id=ROUTER,
        directory=f"{os.path.dirname(confs)}/ra/{ROUTER}",
        config=f"interface {OTHER_LINK.inner} {{ AdvSendAdvert {advertises}; }};\n",
    )


def _of_mtu(space: NamespacePlan, mtu: int) -> frozenset[Veth]:
    return frozenset(replace(link, mtu=mtu) for link in space.links)


def passes(confs: str, before: Phase, phase: Phase, owners: Sequence[str] = OWNERS) -> None:
    """Make the agents' passes that lead from one phase to the next."""
    proxy = FakeProxy()
    for plan in before.plans.values():
        for listener in (one for space in plan.namespaces.values() for one in space.listeners):
            proxy.open(listener)
    for owner in owners:
        host = Host(proxy, confs, MARK)
        if phase.direct and owner == "dhcp":
            converge(host, owner, before.plans[owner])
            for operation in phase.direct:
                rest = host.apply(operation)
                assert rest is None, "it would have to be called"
        converge(host, owner, phase.plans[owner])


def reach(confs: str, phase: Phase) -> FakeProxy:
    """Let agents without memory make one pass each, from any state; none may fail."""
    proxy = FakeProxy()
    for owner in OWNERS:
        first = converge(Host(proxy, confs, MARK), owner, phase.plans[owner])
        assert first.failures == {}, (phase.name, first.failures)
    return proxy


def settle(confs: str, phase: Phase) -> None:
    """As `reach`; and then all is as planned."""
    proxy = reach(confs, phase)
    for owner in OWNERS:
        second = converge(Host(proxy, confs, MARK), owner, phase.plans[owner])
        assert second.failures == {}, (phase.name, second.failures)
        assert second.applied == (), (phase.name, second.applied)


def in_child(work: Callable[[], None]) -> None:
    """Do `work` in a child process, so that this one has no threads when it forks."""
    assert run_armed(lambda _: None, work) == 0, "see the traceback above"


def run_armed(action: Callable[[str], None], work: Callable[[], None]) -> int:
    """Run `work` in a child process with armed failpoints; return as os.waitpid does."""
    return os.waitpid(_start_armed(action, work), 0)[1]


def _start_armed(action: Callable[[str], None], work: Callable[[], None]) -> int:
    # A lock that another thread holds at the fork stays locked in the child.
    eventually(lambda: threading.active_count() == 1, what="the end of earlier tests' threads")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            failpoints.arm(action)
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - the child must not go on as pytest
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid


def killed_at(*ends: tuple[str, Callable[[], None]]) -> None:
    """Run each work in a child process that ends as by `kill -9` at its point; all at once."""
    pids = [_start_armed(_kill_at(point), work) for point, work in ends]
    for pid, (point, _) in zip(pids, ends, strict=True):
        status = os.waitpid(pid, 0)[1]
        assert os.WIFSIGNALED(status), f"{point} is not reached"
        assert os.WTERMSIG(status) == signal.SIGKILL


def _kill_at(point: str) -> Callable[[str], None]:
    def action(reached: str) -> None:
        if reached == point:
            failpoints.kill()

    return action
