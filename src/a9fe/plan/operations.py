"""The operations that change a host from its observed to its planned state.

Each is one small change of the kernel, as a frozen value. Each is idempotent in a9fe.linux.host:
adding an existing object or deleting a missing one is no error, so that an interrupted pass can be
repeated. `namespace` is a name below /run/netns.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from a9fe.model.resources import METADATA_IPV6
from a9fe.plan import ipv6
from a9fe.plan.host import (
    Address,
    Bridge,
    Dnsmasq,
    PortSecurity,
    Radvd,
    Route,
    TapElements,
    Uplink,
    Veth,
)
from a9fe.wire.message import Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPortSecurity:
    """Load our nftables tables, or change their elements, in one transaction; None removes them.

    ANY_FILTER: load tables without elements if there are none. They drop every VM's frames.
    """

    port_security: PortSecurity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTaps:
    """Set the filters of these taps in one transaction, by device; None: the tap is unknown.

    The other taps stay. Fails without an effect if the loaded elements are not known.
    """

    taps: Mapping[str, TapElements | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBridge:
    """Make the bridge if it is missing, set its MTU, bring it up.

    In the host's namespace, STP off, forward delay 0, and with IPv6 disabled on it before it is
    up: the host itself must not be reachable from tenants' networks.
    """

    bridge: Bridge


@dataclass(frozen=True, slots=True, kw_only=True)
class PlugTap:
    """Put a VM's device, which is up and on no bridge, on its bridge."""

    tap: str
    bridge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetIsolation:
    """Set or clear port isolation of a device that is on `bridge`, which is ours."""

    bridge: str
    device: str
    isolated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUplink:
    """Connect a bridge of ours with the interface or bridge of its physical network.

    Fails, with the reason, for a device that is missing, that the host or another bridge uses, or
    that is ours. A bridge of the operator gets one end of a pair, and is not changed otherwise.
    """

    uplink: Uplink


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteUplink:
    """Remove the pair, or take the interface off our bridge; it stays up."""

    uplink: Uplink


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBridge:
    """Remove a bridge that has no devices, or only devices that earlier operations removed."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNamespace:
    """Make the namespace and bring its `lo` up."""

    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteNamespace:
    """Remove the namespace; links, dnsmasq, radvd and listeners in it were removed before."""

    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSysctl:
    """Write `value` to /proc/sys/`path` in the namespace."""

    namespace: str
    path: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetIptables:
    """Replace the tables mangle, nat and filter of an IP version (4 or 6) by `rules`.

    `rules` is a text as of plan.routers.iptables; "" empties the tables.
    """

    namespace: str
    rules: str
    ip_version: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AddLink:
    """Make the pair: MAC on the inner end, MTU on both, the outer end on its bridge, both up.

    A left-over device of ours with the outer end's name is replaced.
    """

    namespace: str
    link: Veth


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLink:
    """Set MAC, MTU and bridge of a pair that exists, and bring both ends up."""

    namespace: str
    link: Veth


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteLink:
    """Remove the pair (either end does), and with it its addresses and routes."""

    namespace: str
    link: Veth


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAddress:
    """Add an address to a device. Its broadcast address does not matter.

    The IPv6 metadata address (plan.ipv6) is added and looked for on the network. The operation
    fails with the reason until it is usable.
    """

    namespace: str
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAddress:
    """Remove an address; others of the same subnet stay (promote_secondaries is set)."""

    namespace: str
    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRoute:
    """Add the route, or replace the one to the same destination (`ip route replace`)."""

    namespace: str
    route: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRoute:
    """Remove the route to `route.destination`."""

    namespace: str
    route: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDnsmasq:
    """Write the files below `dnsmasq.directory` and start it in the namespace.

    dnsmasq daemonises itself; the operation is done when the started command exits with 0.
    """

    namespace: str
    dnsmasq: Dnsmasq


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartDnsmasq:
    """Stop the dnsmasq of `dnsmasq.network_id`, then start it as StartDnsmasq does."""

    namespace: str
    dnsmasq: Dnsmasq


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadDnsmasq:
    """Write the files, each by rename, then send SIGHUP."""

    namespace: str
    dnsmasq: Dnsmasq


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDnsmasq:
    """Stop the dnsmasq of `dnsmasq.network_id` and remove its directory."""

    namespace: str
    dnsmasq: Dnsmasq


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRadvd:
    """Write the file in `radvd.directory` and start it in the namespace.

    radvd daemonises itself; the operation is done when the started command exits with 0.
    """

    namespace: str
    radvd: Radvd


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadRadvd:
    """Write the file by rename, then send SIGHUP."""

    namespace: str
    radvd: Radvd


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRadvd:
    """Stop the radvd of `radvd.router_id`, which tells VMs so, and remove its directory."""

    namespace: str
    radvd: Radvd


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenListener:
    """Bind and listen in the listener's namespace, and hand the socket to the proxy.

    It replaces a socket with the same key, of a former namespace of that name. One without a
    device keeps its socket if it only serves another network or router from now on.
    """

    namespace: str
    listener: Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseListener:
    """Let the proxy close the socket, and close our copy."""

    namespace: str
    listener: Listener


HostOperation = (
    SetPortSecurity
    | SetTaps
    | SetBridge
    | SetIsolation
    | PlugTap
    | SetUplink
    | DeleteUplink
    | DeleteBridge
)
NamespaceOperation = (
    AddNamespace
    | DeleteNamespace
    | SetSysctl
    | SetIptables
    | AddLink
    | ChangeLink
    | DeleteLink
    | AddAddress
    | DeleteAddress
    | SetRoute
    | DeleteRoute
    | StartDnsmasq
    | RestartDnsmasq
    | ReloadDnsmasq
    | StopDnsmasq
    | StartRadvd
    | ReloadRadvd
    | StopRadvd
    | OpenListener
    | CloseListener
)
Operation = HostOperation | NamespaceOperation


FILTERS = "port-security"  # the scope of SetPortSecurity and SetTaps
_OF_DNSMASQ = StartDnsmasq | RestartDnsmasq | ReloadDnsmasq | StopDnsmasq
_OF_RADVD = StartRadvd | ReloadRadvd | StopRadvd
_OF_LISTENERS = OpenListener | CloseListener


def scope(operation: Operation) -> str:
    """The scope that a failure affects: "port-security", a bridge, device or namespace by name, or
    "<namespace> dnsmasq", "<namespace> radvd", "<namespace> listener",
    "<namespace> fe80::a9fe:a9fe" or "<bridge> uplink", on which nothing depends.
    """
    if isinstance(operation, HostOperation):
        return _host_scope(operation)
    part = _part(operation)
    return f"{operation.namespace} {part}" if part else operation.namespace


def _part(operation: NamespaceOperation) -> str:
    """The part of a namespace on which nothing depends, "" for the namespace itself."""
    if isinstance(operation, _OF_DNSMASQ):
        return "dnsmasq"
    if isinstance(operation, _OF_RADVD):
        return "radvd"
    if isinstance(operation, _OF_LISTENERS):
        return "listener"
    if isinstance(operation, AddAddress) and ipv6.is_shared(operation.address):
        return METADATA_IPV6
    return ""


def _host_scope(operation: HostOperation) -> str:
    if isinstance(operation, SetPortSecurity | SetTaps):
        return FILTERS
    if isinstance(operation, SetUplink | DeleteUplink):
        return uplink_scope(operation.uplink.bridge)
    if isinstance(operation, SetBridge):
        return operation.bridge.name
    if isinstance(operation, SetIsolation):
        return operation.device
    return operation.bridge if isinstance(operation, PlugTap) else operation.name


def uplink_scope(bridge: str) -> str:
    """The scope of a bridge's uplink."""
    return f"{bridge} uplink"


def is_spoilt(operation: Operation, failed: Container[str]) -> bool:
    """Whether the operation must be skipped because an earlier one failed in its scope.

    Without filters no bridge is made, and no device is put on a bridge.
    """
    if isinstance(operation, SetBridge | PlugTap | SetUplink) and FILTERS in failed:
        return True
    where = scope(operation)
    return where in failed or where.partition(" ")[0] in failed
