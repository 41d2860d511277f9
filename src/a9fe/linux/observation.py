"""Our objects, read from the kernel as values of plan.host.

A damaged object (an end that is down, a wrong MTU, a lost peer, half a mark) is observed as a
value that equals no plan, so that the difference repairs it. Objects without our mark (plan.mark)
are not observed, whatever their name. An observation starts no process.
"""

import os
import re
import socket
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace

from a9fe.linux import radvd
from a9fe.linux.dhcp import dnsmasq
from a9fe.linux.kernel import namespace, rtnetlink, sysctl_files, way_back
from a9fe.linux.processes.daemons import Daemon
from a9fe.linux.rulesets.iptables import Iptables
from a9fe.plan import ipv6, names, sysctls
from a9fe.plan.host import Address, Bridge, Dnsmasq, NamespacePlan, Radvd, Route, Uplink, Veth
from a9fe.plan.mark import ALIAS_PREFIX, Mark
from a9fe.wire.message import Listener

WRONG_MTU = 0  # observed for a damaged device; equals no plan
VM_KINDS = ("tun", "veth")  # kinds of devices of VMs and namespace guests


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The names of an agent's objects: namespaces by pattern, devices in them by prefixes.

    A namespace's name is `stem` and an id. `daemon` is what runs in its namespaces: one for each,
    with a directory in the directory `confs` of state_path.
    """

    name: str
    pattern: re.Pattern[str]
    stem: str
    prefixes: tuple[str, ...]
    daemon: Daemon
    confs: str

    def directory(self, confs: str, space: str) -> str:
        """The directory of the daemon in a namespace; `confs` is the path of all of them."""
        return f"{confs}/{self.network_id(space)}"

    def network_id(self, space: str) -> str:
        """The network's or router's id in the name of a namespace, "" if it has another form."""
        found = self.pattern.fullmatch(space)
        return found.group(1) if found else ""


L3 = Owner(
    name="l3",
    pattern=names.ROUTER_NAMESPACE,
    stem=names.router_namespace(""),
    prefixes=(names.router_device(""), names.gateway_device("")),
    daemon=radvd.DAEMON,
    confs="ra",
)
DHCP = Owner(
    name="dhcp",
    pattern=names.DHCP_NAMESPACE,
    stem=names.dhcp_namespace(""),
    prefixes=(names.dhcp_device(""),),
    daemon=dnsmasq.DAEMON,
    confs="dhcp",
)
OWNERS = {owner.name: owner for owner in (L3, DHCP)}


def owner_of(space: str) -> Owner | None:
    """The agent whose namespaces have names like this one; None for none."""
    return next((owner for owner in OWNERS.values() if owner.network_id(space)), None)


def daemon_directories(owner: Owner, confs: str) -> Iterator[tuple[str, str]]:
    """The existing directories of an agent's daemons, each after the name of its namespace."""
    for id in sorted(os.listdir(confs)) if os.path.isdir(confs) else ():
        space = f"{owner.stem}{id}"
        if owner.network_id(space):
            yield space, f"{confs}/{id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The devices of the host's own namespace by index, and those on each bridge.

    `only`: the bridges that were asked for; None: all. Other devices are read when needed.
    """

    mark: Mark
    links: dict[int, rtnetlink.Link]
    ports: dict[int, list[rtnetlink.Link]]
    only: frozenset[str] | None = None

    @classmethod
    def read(cls, mark: Mark) -> "Home":
        """Read the calling thread's namespace; `mark` identifies our objects."""
        links = {link.index: link for link in rtnetlink.links()}
        ports: dict[int, list[rtnetlink.Link]] = {}
        for link in links.values():
            ports.setdefault(link.master, []).append(link)
        return cls(mark=mark, links=links, ports=ports)

    @classmethod
    def read_some(cls, mark: Mark, bridges: Set[str], taps: Iterable[str]) -> "Home":
        """Read these bridges with the devices on them, and these VMs' devices. O(these)."""
        found = [link for name in bridges if (link := rtnetlink.find(name)) is not None]
        ports = {link.index: rtnetlink.links_on(link.index) for link in found}
        links = {link.index: link for link in found}
        links |= {link.index: link for on in ports.values() for link in on}
        known = {link.name for link in links.values()}
        for tap in (*taps, *map(names.uplink, bridges)):
            if tap not in known and _exists(tap) and (link := rtnetlink.find(tap)) is not None:
                links[link.index] = link
        return cls(mark=mark, links=links, ports=ports, only=frozenset(bridges))

    def at(self, index: int) -> rtnetlink.Link | None:
        """The device with that index; None if there is none."""
        if index and index not in self.links and self.only is not None:
            found = rtnetlink.at(index)
            if found is not None:
                self.links[index] = found
        return self.links.get(index)

    def bridges(self) -> frozenset[Bridge]:
        """Our bridges that were asked for, with the devices on them."""
        asked = (x for x in self.links.values() if self.only is None or x.name in self.only)
        return frozenset(self._bridge(link) for link in asked if self.is_our_bridge(link))

    def _bridge(self, link: rtnetlink.Link) -> Bridge:
        ports = self.ports.get(link.index, ())
        trusted = (self.mark.group, self.mark.uplink_group)
        return Bridge(
            name=link.name,
            mtu=self._bridge_mtu(link),
            devices=self.on(link.index),
            ours=frozenset(port.name for port in ports if port.group in trusted),
            isolated=frozenset(port.name for port in ports if port.isolated),
        )

    def uplinks(self) -> Iterator[Uplink]:
        """The uplinks of our bridges, and interfaces of our uplink group that are on none."""
        for link in tuple(self.links.values()):
            if names.UPLINK.fullmatch(link.name) and self.owns(link):
                yield self._pair_to_foreign_bridge(link)
            elif link.group == self.mark.uplink_group:
                yield Uplink(bridge=self._our_bridge_of(link), device=link.name, whole=link.up)

    def _pair_to_foreign_bridge(self, inner: rtnetlink.Link) -> Uplink:
        outer = self.at(inner.peer)
        device = self.master_of(outer) if outer is not None else ""
        bridge = names.bridge_of_uplink(inner.name)
        are_up = inner.up and outer is not None and outer.up
        is_in_place = self._our_bridge_of(inner) == bridge and bool(device)
        whole = are_up and is_in_place and inner.group == self.mark.uplink_group
        return Uplink(bridge=bridge, device=device, whole=whole)

    def _our_bridge_of(self, link: rtnetlink.Link) -> str:
        """The bridge of ours that a device is on; "" for none."""
        master = self.at(link.master)
        return master.name if master is not None and self.is_our_bridge(master) else ""

    def taps(self) -> dict[str, str]:
        """Taps and pair ends with our names that are up and on no bridge, each with "".

        If some bridges were asked for, also those on other bridges of ours, each with its bridge.
        A VM's tap of libvirt has no mark. A tap with another mark is foreign.
        """
        found: dict[str, str] = {}
        for link in tuple(self.links.values()):
            if not self._is_tap(link):
                continue
            bridge = self.at(link.master)
            if bridge is None and link.up:
                found[link.name] = ""
            elif bridge is not None and self._is_other(bridge):
                found[link.name] = bridge.name
        return found

    def _is_other(self, bridge: rtnetlink.Link) -> bool:
        """Whether a bridge of ours was not asked for."""
        is_asked = self.only is None or bridge.name in self.only
        return not is_asked and self.is_our_bridge(bridge)

    def _is_tap(self, link: rtnetlink.Link) -> bool:
        return (
            link.kind in VM_KINDS
            and names.OUTER_DEVICE.fullmatch(link.name) is not None
            and (self.owns(link) or not link.alias.startswith(ALIAS_PREFIX))
        )

    def owns(self, link: rtnetlink.Link) -> bool:
        """Whether a device has our mark."""
        return self.mark.owns(link.alias, link.group)

    def is_our_bridge(self, link: rtnetlink.Link) -> bool:
        """Whether a bridge is ours: by mark, name and kind."""
        return is_bridge_by_name(link) and self.owns(link)

    def foreign_bridges(self) -> dict[str, str]:
        """Foreign bridges with our names, with their aliases."""
        found = (x for x in self.links.values() if is_bridge_by_name(x) and not self.owns(x))
        return {link.name: link.alias for link in found}

    def _bridge_mtu(self, link: rtnetlink.Link) -> int:
        return link.mtu if link.up and not link.stp and self._whole(link) else WRONG_MTU

    def _whole(self, link: rtnetlink.Link) -> bool:
        return self.mark.whole(link.alias, link.group)

    def on(self, bridge: int) -> frozenset[str]:
        """The names of the devices on a bridge."""
        return frozenset(port.name for port in self.ports.get(bridge, ()))

    def master_of(self, link: rtnetlink.Link) -> str:
        """The bridge of a device; "" for none."""
        master = self.at(link.master)
        return master.name if master else ""

    def pair(self, inner: rtnetlink.Link) -> Veth:
        """The pair of an inner end."""
        outer = self.at(inner.peer)
        lost = outer is None or outer.kind != "veth" or outer.peer != inner.index
        if outer is None or lost or not self.owns(outer):
            return Veth(inner=inner.name, outer="", bridge="", mac=inner.mac, mtu=inner.mtu)
        marked = self._whole(inner) and self._whole(outer)
        whole = marked and inner.up and outer.up and inner.mtu == outer.mtu
        return Veth(
            inner=inner.name,
            outer=outer.name,
            bridge=self.master_of(outer),
            mac=inner.mac,
            mtu=inner.mtu if whole else WRONG_MTU,
        )


def _exists(device: str) -> bool:
    try:
        socket.if_nametoindex(device)
    except OSError:
        return False
    return True


def is_bridge_by_name(link: rtnetlink.Link) -> bool:
    """Whether a device is a bridge with one of our names."""
    return link.kind == "bridge" and names.BRIDGE.fullmatch(link.name) is not None


def named_namespaces(owner: Owner) -> list[str]:
    """Namespaces with names of this agent, also foreign ones and broken handles."""
    return [name for name in namespace.handles() if owner.pattern.fullmatch(name)]


def our_namespaces(owner: Owner, mark: Mark) -> list[str]:
    """The agent's own namespaces by name, including broken handles, sorted."""
    return [name for name in named_namespaces(owner) if namespace.mark_of(name) == mark.text]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """The content of one of our namespaces; `cookie` is its number, `links` its ends of pairs."""

    cookie: int
    links: tuple[rtnetlink.Link, ...]
    addresses: frozenset[Address]
    routes: frozenset[Route]
    sysctls: dict[str, str]
    iptables: str
    ip6tables: str


def look_inside(space: str, owner: Owner, home: Home, iptables: Iptables) -> Inside:
    """Enter the namespace and read it. Raises NoSuchNamespace or NotOurs."""
    with namespace.inside(space):
        links = {link.index: link for link in rtnetlink.links()}
        found = namespace.mark_on(links[rtnetlink.LOOPBACK])
        if found != home.mark.text:
            raise namespace.NotOurs(f"namespace {space}", found)
        named = (i for i in links.values() if i.name.startswith(owner.prefixes))
        ours = {i.index: i for i in named if home.owns(i)}
        return Inside(
            cookie=namespace.own_cookie(),
            links=tuple(ours.values()),
            addresses=frozenset(_addresses(ours)),
            routes=frozenset(_routes(ours)),
            sysctls=sysctl_files.read(sysctls.PATHS),
            iptables=iptables.observe(space, 4) if owner is L3 else "",
            ip6tables=iptables.observe(space, 6) if owner is L3 else "",
        )


def as_plan(
    space: str,
    seen: Inside,
    home: Home,
    served: Dnsmasq | Radvd | None,
    listening: frozenset[Listener],
) -> NamespacePlan:
    """Return the content of a namespace as the value to compare with its plan."""
    return NamespacePlan(
        name=space,
        links=frozenset(home.pair(link) for link in seen.links),
        addresses=seen.addresses,
        routes=seen.routes,
        sysctls=seen.sysctls,
        iptables=seen.iptables,
        ip6tables=seen.ip6tables,
        dnsmasq=served if isinstance(served, Dnsmasq) else None,
        radvd=served if isinstance(served, Radvd) else None,
        listeners=listening,
    )


def daemon_of(space: str, owner: Owner, confs: str) -> Dnsmasq | Radvd | None:
    """The daemon that runs in a namespace; None if none runs."""
    id, directory = owner.network_id(space), owner.directory(confs, space)
    if owner is DHCP:
        return dnsmasq.observe(space, id, directory)
    return radvd.observe(space, id, directory)


def _addresses(ours: dict[int, rtnetlink.Link]) -> Iterator[Address]:
    for address in rtnetlink.addresses():
        if address.index in ours and not address.by_kernel:
            found = Address(device=ours[address.index].name, cidr=address.cidr)
            lacks_way = ipv6.is_shared(found) and not way_back.exists(address.index)
            yield replace(found, usable=address.usable and not lacks_way)


def _routes(ours: dict[int, rtnetlink.Link]) -> Iterator[Route]:
    for route in rtnetlink.static_routes():
        if route.index in ours:
            device = ours[route.index].name
            yield Route(destination=route.destination, via=route.via, device=device)
