"""The desired (and the observed) state of a host as one comparable value.

A plan says all that should exist of ours; an observation is the same value read from the kernel.
Applying a plan to a host that already looks so makes zero operations.
"""

from dataclasses import dataclass, field

from a9fe.wire.message import Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A Linux bridge in the host's own namespace, one a network. `mtu` in bytes."""

    name: str
    mtu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Veth:
    """A pair: `outer` on `bridge` in the host's namespace, `inner` in ours with the MAC."""

    inner: str
    outer: str
    bridge: str
    mac: str
    mtu: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Address:
    """An address in CIDR form on a device of a namespace."""

    device: str
    cidr: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Route:
    """A static route of a namespace. `via` "" means on-link by `device`."""

    destination: str
    via: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dnsmasq:
    """A dnsmasq of one network: its arguments and its files.

    `arguments` change -> restart; `hosts` or `options` change -> SIGHUP. Files are whole texts.
    """

    network_id: str
    interface: str
    arguments: tuple[str, ...]
    hosts: str
    options: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespacePlan:
    """One namespace of ours and all that is in it.

    `sysctls` maps a path below /proc/sys ("net/ipv4/ip_forward") to its value. `iptables` is the
    IPv4 ruleset in iptables-save form without comments and counters, "" for none of ours.
    """

    name: str
    links: frozenset[Veth] = frozenset()
    addresses: frozenset[Address] = frozenset()
    routes: frozenset[Route] = frozenset()
    sysctls: dict[str, str] = field(default_factory=dict)
    iptables: str = ""
    dnsmasq: Dnsmasq | None = None
    listeners: frozenset[Listener] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """All of ours on a host, for one agent. `namespaces` by name."""

    bridges: frozenset[Bridge] = frozenset()
    namespaces: dict[str, NamespacePlan] = field(default_factory=dict)
