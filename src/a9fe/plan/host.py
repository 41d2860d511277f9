"""The desired (and the observed) state of a host as one comparable value.

A plan has all our objects that should exist; an observation is the same value read from the
kernel. If both are equal, there are no operations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from a9fe.wire.message import Listener

DEFAULT_ROUTE = "0.0.0.0/0"
PID_FILE = "pid"  # of a daemon, in its directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A Linux bridge in the host's own namespace, one per network. `mtu` in bytes.

    The other fields are observed only, and not compared. `devices` are the names of all devices on
    it, so that it is not deleted under a VM; `ours` those of our device group; `isolated` those
    with port isolation (plan.filters.admission).
    """

    name: str
    mtu: int
    devices: frozenset[str] = field(default=frozenset(), compare=False)
    ours: frozenset[str] = field(default=frozenset(), compare=False)
    isolated: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Uplink:
    """The way from a network's bridge to a physical network (plan.uplinks).

    `device` is the host's interface or bridge. A plan has `whole` True; an observation has False
    for a damaged one, and `bridge` "" for an interface of ours that is on none of our bridges.
    """

    bridge: str
    device: str
    whole: bool = True
    physical_network: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Veth:
    """A veth pair: `outer` on `bridge` in the host's namespace, `inner` with `mac` in ours."""

    inner: str
    outer: str
    bridge: str
    mac: str
    mtu: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Address:
    """An address in CIDR form on a device of a namespace.

    `usable` False is only observed: the kernel is still looking for a duplicate of the address, or
    has found one (plan.ipv6).
    """

    device: str
    cidr: str
    usable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Route:
    """A static route of a namespace. `via` "" means on-link by `device`."""

    destination: str
    via: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dnsmasq:
    """A dnsmasq of one network: its arguments and its files.

    `arguments` (without the program's name) change -> restart; a file changes -> SIGHUP. Files
    are whole texts, in `directory`: `hosts` in "host" (leases), `names` in "addn_hosts" (DNS),
    `options` in "opts". dnsmasq itself writes "leases" and "pid" there. `next_hops`
    are the announced next hops to metadata, `lease` is in s (-1: infinite), and `left_out` are
    the values that are not written, with reasons. These three are not compared, because
    an observation does not have them.
    """

    network_id: str
    interface: str
    arguments: tuple[str, ...]
    hosts: str
    options: str
    names: str = ""
    directory: str = ""
    next_hops: frozenset[str] = field(default=frozenset(), compare=False)
    lease: int = field(default=-1, compare=False)
    left_out: tuple[str, ...] = field(default=(), compare=False)


TapElements = frozenset[tuple[str, str]]
"""What one tap has in the sets of plan.filters.bridge_filter: a set's name, and the key after the
device ("" if the device is the whole key)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Radvd:
    """A radvd of one router: its file "radvd.conf", a whole text, in `directory`.

    The file changes -> SIGHUP. radvd itself writes "pid" and "log" there. `running` False is only
    observed: the files are there, and radvd does not run.
    """

    router_id: str
    directory: str
    config: str
    running: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSecurity:
    """The filters of taps: the elements of each tap, by device name.

    Only `marker` is compared: the fingerprint of `taps` (plan.filters.fingerprint), which an
    observation of the whole host reads back without the elements. A part has its own taps and
    their marker. ANY_FILTER stands for whatever is loaded.
    """

    marker: str
    taps: Mapping[str, TapElements] = field(default_factory=dict, compare=False)


ANY_FILTER = PortSecurity(marker="any")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespacePlan:
    """A router or DHCP namespace with its contents.

    `sysctls` maps a path below /proc/sys ("net/ipv4/ip_forward") to its value; an observation
    may hold more paths than a plan. `iptables` is the IPv4 ruleset of the tables mangle, nat and
    filter in the form of plan.routers.iptables.canonical, "" for none; `ip6tables` is the same
    for IPv6. `routes` are the static ones only: no routes the kernel made for an address; one for
    each destination; the default is "0.0.0.0/0".
    """

    name: str
    links: frozenset[Veth] = frozenset()
    addresses: frozenset[Address] = frozenset()
    routes: frozenset[Route] = frozenset()
    sysctls: dict[str, str] = field(default_factory=dict)
    iptables: str = ""
    ip6tables: str = ""
    dnsmasq: Dnsmasq | None = None
    radvd: Radvd | None = None
    listeners: frozenset[Listener] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """All objects of one agent on a host. `namespaces` maps names to contents.

    `port_security` None: no nftables table of ours. The DHCP agent plans the elements; the L3
    agent only plans that a table exists (ANY_FILTER) before it puts a device on a bridge. `taps`
    are VMs' devices that may be on this host, by name, each with its bridge; an observation has
    those that are up and on no bridge, with "", and of some parts also those on another part's
    bridge. `unreadable` are namespaces that could not be observed, with the reason. `taps` and
    `unreadable` are not compared.
    """

    bridges: frozenset[Bridge] = frozenset()
    uplinks: frozenset[Uplink] = frozenset()
    namespaces: dict[str, NamespacePlan] = field(default_factory=dict)
    port_security: PortSecurity | None = None
    taps: dict[str, str] = field(default_factory=dict, compare=False)
    unreadable: dict[str, str] = field(default_factory=dict, compare=False)
