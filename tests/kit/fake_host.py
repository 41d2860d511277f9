"""A host that behaves like the kernel's, without a kernel.

It applies the operations of plan.operations and refuses what the kernel refuses: an address on a
missing device, a pair on a missing bridge, a route by an unreachable next hop. As in the kernel,
a removed link loses its addresses and routes. tests/contract/linux checks both.

It is stricter than the kernel in two ways. It raises where a caller leaves the order of plan.diff:
a bridge without filters, a namespace removed before its links, dnsmasq and listeners, a link
removed before its listeners. And it lists in `needless` the operations that changed nothing or
replaced an object: the kernel takes them, but a plan should not need them.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod
from ipaddress import ip_address, ip_interface, ip_network

from a9fe.plan import names, sysctls
from a9fe.plan import operations as op
from a9fe.plan.filters import fingerprint
from a9fe.plan.host import (
    ANY_FILTER,
    Address,
    Bridge,
    Dnsmasq,
    HostPlan,
    NamespacePlan,
    PortSecurity,
    Radvd,
    Route,
    Uplink,
    Veth,
)
from a9fe.plan.operations import Operation
from a9fe.plan.parts import Look
from a9fe.wire.message import Listener

PATTERNS = {"l3": names.ROUTER_NAMESPACE, "dhcp": names.DHCP_NAMESPACE}
PROMOTE = "net/ipv4/conf/all/promote_secondaries"


WRONG_MTU = 0  # of an incomplete pair, as the kernel's observation shows it; no plan has it


class Refused(OSError):
    """The kernel would refuse the operation."""


def require(condition: object, why: str) -> None:
    if not condition:
        raise Refused(why)


@dataclass
class Space:
    """A namespace. Its addresses are in the order in which they were added."""

    links: dict[str, Veth] = field(default_factory=dict)
    addresses: list[Address] = field(default_factory=list)
    routes: dict[str, Route] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=lambda: dict.fromkeys(sysctls.PATHS, "0"))
    iptables: dict[int, str] = field(default_factory=dict)  # by IP version
    dnsmasq: Dnsmasq | None = None
    radvd: Radvd | None = None
    listeners: dict[str, Listener] = field(default_factory=dict)

    def remove_link(self, inner: str) -> None:
        self.links.pop(inner, None)
        self.addresses = [a for a in self.addresses if a.device != inner]
        self.forget_routes(inner, {4, 6})

    def forget_routes(self, device: str, versions: set[int]) -> None:
        self.routes = {
            destination: route
            for destination, route in self.routes.items()
            if route.device != device or ip_network(destination).version not in versions
        }

    def reaches(self, route: Route) -> bool:
        """Return whether the next hop is in a subnet or on-link route of the device."""
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
        self.uplinks: dict[str, str] = {}  # the device of each bridge's uplink
        self.taps: dict[str, str] = {}  # a VM's device -> its bridge, "" for none
        self.port_security: PortSecurity | None = None
        self.isolated: set[str] = set()
        self.applied: list[Operation] = []
        self.needless: list[Operation] = []
        self.observations = 0
        self.failing: Callable[[Operation], None] = lambda operation: None
        self.lock = threading.Lock()

    # The interface of linux.host.Host

    def observe(self, owner: str, look: Look | None = None) -> HostPlan:
        with self.lock:
            self.observations += 1
            bridges = self.bridges if look is None else self.bridges.keys() & look.bridges
            spaces = self.spaces if look is None else self.spaces.keys() & look.namespaces
            return HostPlan(
                bridges=frozenset(self._bridge(name) for name in bridges),
                uplinks=frozenset(
                    Uplink(bridge=bridge, device=device)
                    for bridge, device in self.uplinks.items()
                    if look is None or bridge in look.bridges
                ),
                namespaces={
                    name: self._observed(name, self.spaces[name])
                    for name in spaces
                    if PATTERNS[owner].fullmatch(name)
                },
                port_security=self._filters(owner, look),
                taps=self._observed_taps(look) if owner == "dhcp" else {},
            )

    def named(self, owner: str) -> frozenset[str]:
        with self.lock:
            return frozenset((*self.bridges, *filter(PATTERNS[owner].fullmatch, self.spaces)))

    def recognise(self, filters: PortSecurity) -> bool:
        return filters in (self.port_security, ANY_FILTER)

    def apply(self, operation: Operation) -> None:
        with self.lock:
            self.failing(operation)
            self._do(operation)
            self.applied.append(operation)

    # For tests

    def devices(self, bridge: str) -> frozenset[str]:
        outers = {
            link.outer: link.bridge for s in self.spaces.values() for link in s.links.values()
        }
        on = outers | self.taps | {device: bridge for bridge, device in self.uplinks.items()}
        return frozenset(device for device, where in on.items() if where == bridge)

    def plug(self, tap: str, bridge: str) -> None:
        """Put a VM's device on a bridge, as a booting VM does."""
        with self.lock:
            require(bridge in self.bridges, f"{bridge} does not exist")
            self.taps[tap] = bridge

    def unplug(self, tap: str) -> None:
        with self.lock:
            del self.taps[tap]

    def _bridge(self, name: str) -> Bridge:
        devices = self.devices(name)
        return Bridge(
            name=name,
            mtu=self.bridges[name],
            devices=devices,
            ours=devices & (self._outers() | {*self.uplinks.values()}),
            isolated=devices & self.isolated,
        )

    def _observed_taps(self, look: Look | None) -> dict[str, str]:
        unplugged = {tap: "" for tap, bridge in self.taps.items() if bridge not in self.bridges}
        if look is None:
            return unplugged
        elsewhere = {t: b for t, b in self.taps.items() if b in self.bridges.keys() - look.bridges}
        return {t: b for t, b in (unplugged | elsewhere).items() if t in look.taps}

    def _filters(self, owner: str, look: Look | None) -> PortSecurity | None:
        if self.port_security is None or owner == "l3":
            return self.port_security and ANY_FILTER
        if look is None:
            return self.port_security
        loaded = self.port_security.taps
        return fingerprint.security({tap: loaded[tap] for tap in look.taps if tap in loaded})

    def _observed(self, name: str, space: Space) -> NamespacePlan:
        return NamespacePlan(
            name=name,
            links=frozenset(space.links.values()),
            addresses=frozenset(space.addresses),
            routes=frozenset(space.routes.values()),
            sysctls=dict(space.sysctls),
            iptables=space.iptables.get(4, ""),
            ip6tables=space.iptables.get(6, ""),
            dnsmasq=space.dnsmasq,
            radvd=space.radvd,
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

    def _note(self, operation: Operation, *, needless: bool) -> None:
        if needless:
            self.needless.append(operation)

    @singledispatchmethod
    def _do(self, operation: Operation) -> None:
        raise NotImplementedError(operation)

    @_do.register
    def _(self, o: op.SetPortSecurity) -> None:
        if o.port_security != ANY_FILTER or self.port_security is None:
            self.port_security = o.port_security

    @_do.register
    def _(self, o: op.SetTaps) -> None:
        require(self.port_security, "no filters")
        changed = self.port_security.taps | o.taps
        left = {d: elements for d, elements in changed.items() if elements is not None}
        self._note(o, needless=left == self.port_security.taps)
        self.port_security = fingerprint.security(left)

    @_do.register
    def _(self, o: op.SetIsolation) -> None:
        if o.device in self.devices(o.bridge):
            (self.isolated.add if o.isolated else self.isolated.discard)(o.device)

    @_do.register
    def _(self, o: op.SetBridge) -> None:
        require(self.port_security, "nothing filters the bridge")
        self.bridges[o.bridge.name] = o.bridge.mtu

    @_do.register
    def _(self, o: op.PlugTap) -> None:
        require(o.bridge in self.bridges, f"{o.bridge} does not exist")
        require(o.tap in self.taps, f"{o.tap} does not exist")
        self.taps[o.tap] = o.bridge

    @_do.register
    def _(self, o: op.SetUplink) -> None:
        require(o.uplink.bridge in self.bridges, f"{o.uplink.bridge} does not exist")
        require(o.uplink.device, "not in bridge_mappings")
        require(o.uplink.bridge not in self.uplinks, "it has another uplink")
        require(o.uplink.device not in self.uplinks.values(), f"{o.uplink.device} is in use")
        self.uplinks[o.uplink.bridge] = o.uplink.device

    @_do.register
    def _(self, o: op.DeleteUplink) -> None:
        self._note(o, needless=self.uplinks.get(o.uplink.bridge) != o.uplink.device)
        self.uplinks.pop(o.uplink.bridge, None)

    @_do.register
    def _(self, o: op.DeleteBridge) -> None:
        require(not self.devices(o.name), f"bridge {o.name} is in use")
        self._note(o, needless=o.name not in self.bridges)
        self.bridges.pop(o.name, None)

    @_do.register
    def _(self, o: op.AddNamespace) -> None:
        self._note(o, needless=o.namespace in self.spaces)
        self.spaces.setdefault(o.namespace, Space())

    @_do.register
    def _(self, o: op.DeleteNamespace) -> None:
        self._note(o, needless=o.namespace not in self.spaces)
        space = self.spaces.get(o.namespace, Space())
        require(not space.links, "links would remain in the host's namespace")
        require(space.dnsmasq is None, "dnsmasq would keep running")
        require(space.radvd is None, "radvd would keep running")
        require(not space.listeners, "the proxy would keep its listeners")
        self.spaces.pop(o.namespace, None)

    @_do.register
    def _(self, o: op.SetSysctl) -> None:
        space = self._space(o.namespace)
        require(o.path in space.sysctls, f"no sysctl {o.path}")
        space.sysctls[o.path] = o.value

    @_do.register
    def _(self, o: op.SetIptables) -> None:
        self._space(o.namespace).iptables[o.ip_version] = o.rules

    @_do.register
    def _(self, o: op.AddLink) -> None:
        space = self._space(o.namespace)
        self._note(o, needless=o.link.inner in space.links or o.link.outer in self._outers())
        space.remove_link(o.link.inner)
        for each in self.spaces.values():
            for inner, link in list(each.links.items()):
                if link.outer == o.link.outer:
                    each.remove_link(inner)
        space.links[o.link.inner] = replace(o.link, bridge="", mtu=WRONG_MTU)
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
        self._note(o, needless=o.link.inner not in space.links)
        bound = [each.key for each in space.listeners.values() if each.device == o.link.inner]
        require(not bound, f"{bound} would outlive their link")
        space.remove_link(o.link.inner)

    @_do.register
    def _(self, o: op.AddAddress) -> None:
        space = self._space(o.namespace)
        require(o.address.device in space.links, f"{o.address.device} does not exist")
        self._note(o, needless=o.address in space.addresses)
        if o.address not in space.addresses:
            space.addresses.append(o.address)

    @_do.register
    def _(self, o: op.DeleteAddress) -> None:
        space = self._space(o.namespace)
        self._note(o, needless=o.address not in space.addresses)
        if o.address not in space.addresses:
            return
        subnet = ip_interface(o.address.cidr).network
        same = [
            a
            for a in space.addresses
            if a.device == o.address.device and ip_interface(a.cidr).network == subnet
        ]
        first = same[0] == o.address
        gone = same if first and space.sysctls[PROMOTE] != "1" else [o.address]
        space.addresses = [a for a in space.addresses if a not in gone]
        left = [a for a in space.addresses if a.device == o.address.device and "." in a.cidr]
        if not left and subnet.version == 4:
            space.forget_routes(o.address.device, {4})

    @_do.register
    def _(self, o: op.SetRoute) -> None:
        space = self._space(o.namespace)
        require(o.route.device in space.links, f"{o.route.device} does not exist")
        require(not o.route.via or space.reaches(o.route), f"{o.route.via} is unreachable")
        space.routes[o.route.destination] = o.route

    @_do.register
    def _(self, o: op.DeleteRoute) -> None:
        space = self._space(o.namespace)
        self._note(o, needless=o.route.destination not in space.routes)
        space.routes.pop(o.route.destination, None)

    @_do.register
    def _(self, o: op.StartDnsmasq) -> None:
        space = self._space(o.namespace)
        self._note(o, needless=space.dnsmasq is not None)
        space.dnsmasq = o.dnsmasq

    @_do.register
    def _(self, o: op.RestartDnsmasq) -> None:
        space = self._space(o.namespace)
        self._note(o, needless=space.dnsmasq is None)
        space.dnsmasq = o.dnsmasq

    @_do.register
    def _(self, o: op.ReloadDnsmasq) -> None:
        """SIGHUP reads the files again and leaves the arguments as they are."""
        space = self._space(o.namespace)
        self._note(o, needless=space.dnsmasq is None)
        old = space.dnsmasq or o.dnsmasq
        space.dnsmasq = replace(o.dnsmasq, arguments=old.arguments, interface=old.interface)

    @_do.register
    def _(self, o: op.StopDnsmasq) -> None:
        space = self._space(o.namespace)
        self._note(o, needless=space.dnsmasq is None)
        space.dnsmasq = None

    @_do.register
    def _(self, o: op.StartRadvd) -> None:
        space = self._space(o.namespace)
        self._note(o, needless=space.radvd is not None)
        space.radvd = o.radvd

    @_do.register
    def _(self, o: op.ReloadRadvd) -> None:
        space = self._space(o.namespace)
        self._note(o, needless=space.radvd is None)
        space.radvd = o.radvd

    @_do.register
    def _(self, o: op.StopRadvd) -> None:
        space = self._space(o.namespace)
        self._note(o, needless=space.radvd is None)
        space.radvd = None

    @_do.register
    def _(self, o: op.OpenListener) -> None:
        space = self._space(o.namespace)
        require(not o.listener.device or o.listener.device in space.links, "no such device")
        same = space.listeners.get(o.listener.key)
        self._note(o, needless=same == o.listener or bool(same and o.listener.device))
        for other in space.listeners.values():
            if other.key == o.listener.key:
                continue
            both = {other.device, o.listener.device}
            if (":" in other.address) != (":" in o.listener.address):
                continue  # IPv6 sockets are for IPv6 only
            taken = other.port == o.listener.port and (len(both) == 1 or "" in both)
            require(not taken, f"{other.key} is bound")
        space.listeners[o.listener.key] = o.listener

    @_do.register
    def _(self, o: op.CloseListener) -> None:
        space = self._space(o.namespace)
        self._note(o, needless=o.listener.key not in space.listeners)
        space.listeners.pop(o.listener.key, None)
