"""A host that behaves like the kernel's, without a kernel.

It takes the operations of plan.operations, and refuses what the kernel would: an address on a
missing device, a pair on a missing bridge, a route by a next hop that is on no link. What the
kernel takes along, it takes along: a link's addresses and routes, a namespace's everything.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod
from ipaddress import ip_address, ip_interface, ip_network

from a9fe.plan import names, sysctls
from a9fe.plan import operations as op
from a9fe.plan.host import (
    ANY_FILTER,
    Address,
    Bridge,
    Dnsmasq,
    HostPlan,
    NamespacePlan,
    PortSecurity,
    Route,
    Veth,
)
from a9fe.plan.operations import Operation
from a9fe.wire.message import Listener

PATTERNS = {"l3": names.ROUTER_NAMESPACE, "dhcp": names.DHCP_NAMESPACE}
PROMOTE = "net/ipv4/conf/all/promote_secondaries"
NONLOCAL = "net/ipv4/ip_nonlocal_bind"


class Refused(OSError):
    """What the kernel would not do."""


def require(condition: object, why: str) -> None:
    if not condition:
        raise Refused(why)


@dataclass
class Space:
    """A namespace: addresses in the order in which they were added."""

    links: dict[str, Veth] = field(default_factory=dict)
    addresses: list[Address] = field(default_factory=list)
    routes: dict[str, Route] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=lambda: dict.fromkeys(sysctls.PATHS, "0"))
    iptables: str = ""
    dnsmasq: Dnsmasq | None = None
    listeners: dict[str, Listener] = field(default_factory=dict)

    def forget_device(self, device: str) -> None:
        self.addresses = [a for a in self.addresses if a.device != device]
        self.routes = {d: r for d, r in self.routes.items() if r.device != device}

    def reaches(self, route: Route) -> bool:
        """Whether the next hop is on a link of the device."""
        hop = ip_address(route.via)
        blocks = [ip_interface(a.cidr).network for a in self.addresses if a.device == route.device]
        blocks += [
            ip_network(r.destination)
            for r in self.routes.values()
            if r.device == route.device and not r.via
        ]
        return any(hop in block for block in blocks)


class FakeHost:
    """`failing` may raise for an operation before it has any effect; `applied` is a log."""

    def __init__(self) -> None:
        self.spaces: dict[str, Space] = {}
        self.bridges: dict[str, int] = {}
        self.taps: dict[str, str] = {}  # a VM's device -> its bridge
        self.port_security: PortSecurity | None = None
        self.isolated: set[str] = set()
        self.applied: list[Operation] = []
        self.observations = 0
        self.failing: Callable[[Operation], None] = lambda operation: None
        self.lock = threading.Lock()

    # The adapter's interface

    def observe(self, owner: str) -> HostPlan:
        with self.lock:
            self.observations += 1
            return HostPlan(
                bridges=frozenset(
                    Bridge(
                        name=name,
                        mtu=mtu,
                        devices=self.devices(name),
                        ours=self.devices(name) & self._outers(),
                        isolated=self.devices(name) & self.isolated,
                    )
                    for name, mtu in self.bridges.items()
                ),
                namespaces={
                    name: self._observed(name, space)
                    for name, space in self.spaces.items()
                    if PATTERNS[owner].fullmatch(name)
                },
                port_security=self._filters(owner),
                taps={tap: "" for tap, on in self.taps.items() if on not in self.bridges},
            )

    def apply(self, operation: Operation) -> None:
        with self.lock:
            self.failing(operation)
            self._do(operation)
            self.applied.append(operation)

    # What tests ask and do

    def devices(self, bridge: str) -> frozenset[str]:
        outers = {
            link.outer: link.bridge for s in self.spaces.values() for link in s.links.values()
        }
        on = outers | self.taps
        return frozenset(device for device, where in on.items() if where == bridge)

    def plug(self, tap: str, bridge: str) -> None:
        """A VM boots."""
        with self.lock:
            require(bridge in self.bridges, f"{bridge} does not exist")
            self.taps[tap] = bridge

    def unplug(self, tap: str) -> None:
        with self.lock:
            del self.taps[tap]

    def _filters(self, owner: str) -> PortSecurity | None:
        return self.port_security and (self.port_security if owner == "dhcp" else ANY_FILTER)

    def _observed(self, name: str, space: Space) -> NamespacePlan:
        return NamespacePlan(
            name=name,
            links=frozenset(space.links.values()),
            addresses=frozenset(space.addresses),
            routes=frozenset(space.routes.values()),
            sysctls=dict(space.sysctls),
            iptables=space.iptables,
            dnsmasq=space.dnsmasq,
            listeners=frozenset(
                each
                for each in space.listeners.values()
                if not each.device or each.device in space.links
            ),
        )

    def _space(self, name: str) -> Space:
        require(name in self.spaces, f"namespace {name} does not exist")
        return self.spaces[name]

    def _outers(self) -> set[str]:
        return {link.outer for space in self.spaces.values() for link in space.links.values()}

    @singledispatchmethod
    def _do(self, operation: Operation) -> None:
        raise NotImplementedError(operation)

    @_do.register
    def _(self, o: op.SetPortSecurity) -> None:
        if o.port_security != ANY_FILTER or self.port_security is None:
            self.port_security = o.port_security

    @_do.register
    def _(self, o: op.SetIsolation) -> None:
        (self.isolated.add if o.isolated else self.isolated.discard)(o.device)

    @_do.register
    def _(self, o: op.SetBridge) -> None:
        require(self.port_security, "nothing filters the bridge")
        self.bridges[o.bridge.name] = o.bridge.mtu

    @_do.register
    def _(self, o: op.PlugTap) -> None:
        require(o.bridge in self.bridges, f"{o.bridge} does not exist")
        self.taps[o.tap] = o.bridge

    @_do.register
    def _(self, o: op.DeleteBridge) -> None:
        require(o.name in self.bridges, f"bridge {o.name} does not exist")
        require(not self.devices(o.name), f"bridge {o.name} is in use")
        del self.bridges[o.name]

    @_do.register
    def _(self, o: op.AddNamespace) -> None:
        require(o.namespace not in self.spaces, "namespace exists")
        self.spaces[o.namespace] = Space()

    @_do.register
    def _(self, o: op.DeleteNamespace) -> None:
        space = self._space(o.namespace)
        require(not space.links, "links would leak")
        require(space.dnsmasq is None, "a dnsmasq would be orphaned")
        require(not space.listeners, "the proxy would keep a listener of nothing")
        del self.spaces[o.namespace]

    @_do.register
    def _(self, o: op.SetSysctl) -> None:
        space = self._space(o.namespace)
        require(o.path in space.sysctls, f"no sysctl {o.path}")
        space.sysctls[o.path] = o.value

    @_do.register
    def _(self, o: op.SetIptables) -> None:
        self._space(o.namespace).iptables = o.rules

    @_do.register
    def _(self, o: op.AddLink) -> None:
        space = self._space(o.namespace)
        require(o.link.inner not in space.links, f"{o.link.inner} exists")
        require(o.link.outer not in self._outers(), f"{o.link.outer} exists")
        require(o.link.bridge in self.bridges, f"bridge {o.link.bridge} does not exist")
        space.links[o.link.inner] = o.link

    @_do.register
    def _(self, o: op.ChangeLink) -> None:
        space = self._space(o.namespace)
        old = space.links.get(o.link.inner)
        require(old and old.outer == o.link.outer, f"{o.link.inner} is not that pair")
        require(o.link.bridge in self.bridges, f"bridge {o.link.bridge} does not exist")
        space.links[o.link.inner] = o.link

    @_do.register
    def _(self, o: op.DeleteLink) -> None:
        space = self._space(o.namespace)
        require(o.link.inner in space.links, f"{o.link.inner} does not exist")
        on_it = [each.key for each in space.listeners.values() if each.device == o.link.inner]
        require(not on_it, f"{on_it} would stand for a wire that is no more")
        del space.links[o.link.inner]
        space.forget_device(o.link.inner)

    @_do.register
    def _(self, o: op.AddAddress) -> None:
        space = self._space(o.namespace)
        require(o.address.device in space.links, f"{o.address.device} does not exist")
        require(o.address not in space.addresses, f"{o.address.cidr} exists")
        space.addresses.append(o.address)

    @_do.register
    def _(self, o: op.DeleteAddress) -> None:
        space = self._space(o.namespace)
        require(o.address in space.addresses, f"{o.address.cidr} does not exist")
        block = ip_interface(o.address.cidr).network
        same = [
            a
            for a in space.addresses
            if a.device == o.address.device and ip_interface(a.cidr).network == block
        ]
        first = same[0] == o.address
        gone = same if first and space.sysctls[PROMOTE] != "1" else [o.address]
        space.addresses = [a for a in space.addresses if a not in gone]
        if not any(a.device == o.address.device for a in space.addresses):
            space.forget_device(o.address.device)

    @_do.register
    def _(self, o: op.SetRoute) -> None:
        space = self._space(o.namespace)
        require(o.route.device in space.links, f"{o.route.device} does not exist")
        require(not o.route.via or space.reaches(o.route), f"{o.route.via} is unreachable")
        space.routes[o.route.destination] = o.route

    @_do.register
    def _(self, o: op.DeleteRoute) -> None:
        space = self._space(o.namespace)
        require(o.route.destination in space.routes, f"no route to {o.route.destination}")
        del space.routes[o.route.destination]

    @_do.register
    def _(self, o: op.StartDnsmasq) -> None:
        space = self._space(o.namespace)
        require(space.dnsmasq is None, "a dnsmasq runs already")
        require(o.dnsmasq.interface in space.links, f"{o.dnsmasq.interface} does not exist")
        space.dnsmasq = o.dnsmasq

    @_do.register
    def _(self, o: op.RestartDnsmasq) -> None:
        space = self._space(o.namespace)
        require(space.dnsmasq is not None, "no dnsmasq runs")
        require(o.dnsmasq.interface in space.links, f"{o.dnsmasq.interface} does not exist")
        space.dnsmasq = o.dnsmasq

    @_do.register
    def _(self, o: op.ReloadDnsmasq) -> None:
        """SIGHUP reads the files again, and the arguments stay what they were."""
        space = self._space(o.namespace)
        require(space.dnsmasq is not None, "no dnsmasq runs")
        assert space.dnsmasq is not None
        old = space.dnsmasq
        space.dnsmasq = replace(o.dnsmasq, arguments=old.arguments, interface=old.interface)

    @_do.register
    def _(self, o: op.StopDnsmasq) -> None:
        space = self._space(o.namespace)
        require(space.dnsmasq is not None, "no dnsmasq runs")
        space.dnsmasq = None

    @_do.register
    def _(self, o: op.OpenListener) -> None:
        space = self._space(o.namespace)
        held = {a.cidr.split("/")[0] for a in space.addresses} | {"0.0.0.0"}
        may = o.listener.address in held or space.sysctls[NONLOCAL] == "1"
        require(may, f"cannot bind {o.listener.address}")
        require(not o.listener.device or o.listener.device in space.links, "no such device")
        for other in space.listeners.values():
            both = {other.device, o.listener.device}
            taken = other.port == o.listener.port and (len(both) == 1 or "" in both)
            require(not taken, f"{other.key} is bound")
        space.listeners[o.listener.key] = o.listener

    @_do.register
    def _(self, o: op.CloseListener) -> None:
        space = self._space(o.namespace)
        require(o.listener.key in space.listeners, f"{o.listener.key} is not bound")
        del space.listeners[o.listener.key]
