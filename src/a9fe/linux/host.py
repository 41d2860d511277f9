"""The host of an agent: observe our objects, and apply one operation (plan.operations).

Call it in one thread at a time. The calling thread never leaves its namespace. Each operation may
be repeated.
"""

import os
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

import structlog

from a9fe.linux import observation, radvd
from a9fe.linux.dhcp import dnsmasq
from a9fe.linux.kernel import conntrack, links, namespace, rtnetlink, uplinks
from a9fe.linux.kernel.announce import Announcer
from a9fe.linux.kernel.numbers import Numbers
from a9fe.linux.kernel.shared_addresses import SharedAddresses
from a9fe.linux.rulesets.iptables import Iptables
from a9fe.linux.rulesets.nftables import Nftables
from a9fe.plan import ipv6, names
from a9fe.plan import operations as op
from a9fe.plan.filters import fingerprint
from a9fe.plan.filters.connect_limit import ConnectLimit
from a9fe.plan.host import ANY_FILTER, Address, HostPlan, PortSecurity, Veth
from a9fe.plan.mark import Mark, owner_of
from a9fe.plan.parts import Look
from a9fe.runtime import failpoints
from a9fe.wire.message import Listener

log = structlog.get_logger("a9fe.linux")


class Proxy(Protocol):
    """The connection to the metadata proxy, which serves the listeners: proxy_link.ProxyLink."""

    def open(self, listener: Listener, /) -> None:
        """Let the proxy serve the listener. Raises A9feError or OSError."""
        ...

    def close(self, listener: Listener, /) -> None:
        """Let the proxy close the listener."""
        ...

    def observed(
        self, cookies: Mapping[str, int], spaces: Collection[str] | None = None, /
    ) -> dict[str, frozenset[Listener]]:
        """Return the listeners that the proxy serves in `spaces`, None for all, by namespace.

        `cookies` maps names of namespaces to their numbers; listeners of deleted namespaces of the
        same name are left out.
        """
        ...


class Host:
    """The kernel of this host for one agent."""

    def __init__(
        self, proxy: Proxy, dhcp_confs: str, mark: Mark, connects: ConnectLimit | None = None
    ) -> None:
        """`dhcp_confs`: the parent of each network's dnsmasq directory; that of each router's
        radvd is beside it. `mark`: of this installation; identifies our objects. `connects`: the
        limit of each VM; None: no limit.
        """
        self._proxy = proxy
        self._mark = mark
        self._foreign = ForeignLog()
        self.numbers = Numbers()
        confs = os.path.abspath(dhcp_confs)
        beside = os.path.join(os.path.dirname(confs), observation.L3.confs)
        self._confs = {observation.DHCP.name: confs, observation.L3.name: beside}
        self._iptables = Iptables()
        self._nftables = Nftables(mark, connects)
        self._announcer = Announcer()
        self._shared = SharedAddresses()
        self._recovered = False
        self._steps = self._table()

    def observe(self, owner: str, look: Look | None = None) -> HostPlan:
        """Return the objects of an agent (`owner` is "l3" or "dhcp") and our bridges: all, or
        those of `look`. The filters of some taps are None if they are unknown.
        """
        return namespace.in_thread(lambda: self._observe(observation.OWNERS[owner], look))

    def named(self, owner: str) -> frozenset[str]:
        """The names of all namespaces and bridges that may be the agent's. O(names)."""
        bridges = (name for _, name in socket.if_nameindex() if names.BRIDGE.fullmatch(name))
        return frozenset((*observation.named_namespaces(observation.OWNERS[owner]), *bridges))

    def recognise(self, filters: PortSecurity) -> bool:
        """Whether exactly these filters are loaded; they are then known, so that SetTaps can
        change them.
        """
        return filters == ANY_FILTER or self._nftables.recognise(filters)

    def apply(self, operation: op.Operation) -> Callable[[], None] | None:
        """Apply one operation. Raises A9feError or OSError.

        The result is None, or what remains to do, which waits for another process: call it.
        """
        name = type(operation).__name__
        with failpoints.operation(name):
            if isinstance(operation, op.StartDnsmasq):
                rest = dnsmasq.begin(operation.namespace, operation.dnsmasq)
                return partial(_end, f"{name}Rest", rest)
            self._steps[type(operation)](operation)
        return None

    def _observe(self, owner: observation.Owner, look: Look | None) -> HostPlan:
        if not self._recovered:
            recover(owner, self._confs[owner.name], self._mark)
            self._recovered = True
        if look is None:
            home, spaces = observation.Home.read(self._mark), observation.named_namespaces(owner)
        else:
            home = observation.Home.read_some(self._mark, look.bridges, look.taps)
            spaces = [space for space in look.namespaces if os.path.lexists(namespace.path(space))]
        seen, unreadable = self._look(spaces, owner, home)
        cookies = {space: found.cookie for space, found in seen.items()}
        listening = self._proxy.observed(cookies, None if look is None else look.namespaces)
        plans = {
            space: observation.as_plan(
                space,
                found,
                home,
                observation.daemon_of(space, owner, self._confs[owner.name]),
                listening.get(space, frozenset()),
            )
            for space, found in seen.items()
        }
        self._foreign.log(_foreign_bridges(home), None if look is None else look.bridges)
        return HostPlan(
            bridges=home.bridges(),
            uplinks=frozenset(home.uplinks()),
            namespaces=plans,
            port_security=self._filters(owner, look),
            taps=home.taps() if owner is observation.DHCP else {},
            unreadable=unreadable,
        )

    def _look(
        self, spaces: Iterable[str], owner: observation.Owner, home: observation.Home
    ) -> tuple[dict[str, observation.Inside], dict[str, str]]:
        """Our namespaces with their contents; those that cannot be read, with the reason."""
        seen: dict[str, observation.Inside] = {}
        foreign: dict[str, str] = {}
        unreadable: dict[str, str] = {}
        for space in spaces:
            try:
                seen[space] = observation.look_inside(space, owner, home, self._iptables)
                self.numbers.learn(space)
            except namespace.NotOurs as error:
                foreign[space] = str(error)
            except namespace.NoSuchNamespace:
                continue
            except OSError as error:
                unreadable[space] = f"cannot be read: {error}"
        self._foreign.log(foreign, spaces)
        return seen, unreadable

    def _filters(self, owner: observation.Owner, look: Look | None) -> PortSecurity | None:
        """Only the DHCP agent knows the elements; the L3 agent accepts any complete table."""
        if owner is observation.DHCP and look is not None:
            taps = self._nftables.loaded(look.taps)
            return None if taps is None else fingerprint.security(taps)
        found = self._nftables.observe()
        if owner is observation.DHCP or found is None:
            return found
        return ANY_FILTER if found.marker else None

    def _table(self) -> dict[type, Callable[..., None]]:
        return {
            op.SetPortSecurity: lambda o: self._nftables.apply(o.port_security),
            op.SetTaps: lambda o: self._nftables.change(o.taps),
            op.SetBridge: lambda o: links.set_bridge(o.bridge, self._mark),
            op.PlugTap: lambda o: links.plug(o.tap, o.bridge, self._mark),
            op.SetIsolation: lambda o: links.isolate(o.bridge, o.device, isolated=o.isolated),
            op.SetUplink: lambda o: uplinks.set_uplink(o.uplink, self._mark),
            op.DeleteUplink: lambda o: uplinks.delete_uplink(o.uplink, self._mark),
            op.DeleteBridge: lambda o: self._delete_bridge(o.name),
            op.AddNamespace: lambda o: self._add_namespace(o.namespace),
            op.DeleteNamespace: lambda o: self._delete_namespace(o.namespace),
            op.SetSysctl: lambda o: _set_sysctl(o.namespace, o.path, o.value),
            op.SetIptables: lambda o: self._iptables.apply(o.namespace, o.rules, o.ip_version),
            op.AddLink: lambda o: links.add_veth(o.namespace, o.link, self._mark),
            op.ChangeLink: lambda o: self._change_link(o.namespace, o.link),
            op.DeleteLink: lambda o: self._delete_link(o.namespace, o.link.inner, o.link.outer),
            op.AddAddress: lambda o: self._add_address(o.namespace, o.address),
            op.DeleteAddress: lambda o: _delete_address(o.namespace, o.address),
            op.SetRoute: lambda o: links.set_route(o.namespace, o.route),
            op.DeleteRoute: lambda o: links.delete_route(o.namespace, o.route),
            op.RestartDnsmasq: lambda o: dnsmasq.start(o.namespace, o.dnsmasq),
            op.ReloadDnsmasq: lambda o: dnsmasq.reload(o.namespace, o.dnsmasq),
            op.StopDnsmasq: lambda o: dnsmasq.DAEMON.remove(o.dnsmasq.directory),
            op.StartRadvd: lambda o: radvd.start(o.namespace, o.radvd),
            op.ReloadRadvd: lambda o: radvd.reload(o.namespace, o.radvd),
            op.StopRadvd: lambda o: radvd.DAEMON.remove(o.radvd.directory),
            op.OpenListener: lambda o: self._proxy.open(o.listener),
            op.CloseListener: lambda o: self._proxy.close(o.listener),
        }

    def _add_address(self, space: str, address: Address) -> None:
        """Announce it, because neighbours may have cached another MAC."""
        if ipv6.is_shared(address):
            self._shared.add(space, address)
        else:
            links.add_address(space, address)
        self._announcer.announce(space, address.device)

    def _change_link(self, space: str, link: Veth) -> None:
        """Announce all its addresses, because its MAC or bridge may have changed."""
        links.change_veth(space, link, self._mark)
        self._announcer.announce(space, link.inner)

    def _delete_namespace(self, space: str) -> None:
        """End our processes in it first, because they would keep it alive without a name."""
        owner = observation.owner_of(space)
        if owner is not None:
            confs = self._confs[owner.name]
            owner.daemon.end_in(space, confs)
            owner.daemon.remove(owner.directory(confs, space))
        namespace.delete(space, self._mark)
        self._iptables.forget(space)

    def _add_namespace(self, space: str) -> None:
        """Also end a daemon that still runs in a former namespace of that name."""
        made = namespace.create(space, self._mark)
        owner = observation.owner_of(space)
        if made and owner:
            directory = owner.directory(self._confs[owner.name], space)
            if os.path.isdir(directory):
                owner.daemon.stop(directory)

    def _delete_bridge(self, name: str) -> None:
        """Raise LinkError if a device is attached: another process may have attached one."""
        home = observation.Home.read_some(self._mark, {name}, ())
        if any(bridge.name == name and bridge.devices for bridge in home.bridges()):
            raise links.LinkError(f"bridge {name}: not deleted, devices are attached")
        links.delete_link(name, self._mark)

    def _delete_link(self, space: str, inner: str, outer: str) -> None:
        with suppress(namespace.NoSuchNamespace):
            links.delete_link(inner, self._mark, inside=space)
        if outer and _is_veth(outer):
            links.delete_link(outer, self._mark)


class ForeignLog:
    """Logs each foreign object with one of our names once, until it is gone or changes owner."""

    def __init__(self) -> None:
        """Start without objects."""
        self._logged: dict[str, str] = {}

    def log(self, found: Mapping[str, str], among: Iterable[str] | None) -> None:
        """Log reasons by name. `among`: the names that were looked at; None: all of their kind."""
        for name, reason in found.items():
            if self._logged.get(name) != reason:
                log.warning("foreign object left alone", reason=reason)
        for name in among or ():
            self._logged.pop(name, None)
        self._logged |= found


def _foreign_bridges(home: observation.Home) -> dict[str, str]:
    return {
        name: f"bridge {name}: left alone, it is {owner_of(alias)}"
        for name, alias in home.foreign_bridges().items()
    }


def recover(owner: observation.Owner, confs: str, mark: Mark) -> None:
    """Remove leftovers of a crash or a reboot that the difference does not show.

    These are broken handles of our namespaces, and processes and files of daemons in namespaces
    that no longer exist.
    """
    for space in observation.named_namespaces(owner):
        if not namespace.exists(space) and namespace.mark_of(space) == mark.text:
            log.info("broken namespace handle removed", namespace=space)
            namespace.delete(space, mark)
    for space, directory in observation.daemon_directories(owner, confs):
        if not namespace.exists(space):
            owner.daemon.remove(directory)


def _end(name: str, rest: Callable[[], None]) -> None:
    with failpoints.operation(name):
        rest()


def _set_sysctl(space: str, path: str, value: str) -> None:
    with namespace.inside(space):
        namespace.write_sysctl(path, value)


def _delete_address(space: str, address: Address) -> None:
    """With a floating IP its connections end: the rules see only the first packet of each."""
    floating, _, length = address.cidr.partition("/")
    if names.is_gateway_device(address.device) and length == "32":
        with namespace.inside(space):
            conntrack.forget([floating])
    links.delete_address(space, address)


def _is_veth(name: str) -> bool:
    found = rtnetlink.find(name)
    return found is not None and found.kind == "veth"
