"""Finds the requesting port, and decides how certain a miss is. Pure over a view of the replica.

The look-up is on one network: that of the DHCP namespace, or the one that the router interface is
wired to. Neutron's proxy sends no interface, nor does ours on a metadata network
(enable_metadata_network); then all networks of the router count.

An IPv4 address is a port's fixed IP. An IPv6 address is a link-local one made from the port's MAC
(EUI-64, Neutron's rule) or a fixed IP. Any other IPv6 address (privacy, RFC 8981; stable and
opaque, RFC 7217) belongs to no port, and the port is the one with the guest MAC.

| found there                                             | certain  | uncertain |
|---------------------------------------------------------|----------|-----------|
| one port of an instance                                 | the port | the port  |
| no port, or the router has no network                   | 404      | 503       |
| several ports                                           | 404      | 503       |
| one port without an instance (network:*, no device_id)  | 404      | 503       |
| one port whose ids cannot be sent in a header           | 404      | 503       |
| no port, an IPv6 address, and our proxy sent no MAC     | 503      | 503       |

The proxy's facts about the connection must agree with the replica. If they do not, one of the two
is outdated and the answer is 503, however fresh the replica is: the interface must be the
router's, on that network, with that local address; the port must have the guest MAC (or, on a
metadata network, the router, which forwards its VMs' requests), and must
have had its address, MAC, network and instance since before the connection was made.
"""

from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import Protocol

from a9fe.metadata_agent.lookup_key import LookupKey, RouterInterface
from a9fe.model.resources import (
    DHCP_OWNER,
    METADATA_IPV6,
    ROUTER_INTERFACE_OWNERS,
    Port,
    is_network_owner,
)
from a9fe.model.rules.text import fits_header
from a9fe.wire.freshness import Freshness, uncertainty
from a9fe.wire.refusals import Refusal


class PortView(Protocol):
    """The ports of a replica."""

    def ports_by_address(self, network_id: str, ip: str) -> tuple[Port, ...]:
        """Return the ports of that network with that address, in canonical text."""
        ...

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        """Return the ports with that device_id."""
        ...

    def ports_by_mac(self, network_id: str, mac: str) -> tuple[Port, ...]:
        """Return the ports of that network with that MAC (lower case)."""
        ...

    def port(self, id: str) -> Port | None:
        """Return the port with that id."""
        ...

    def unchanged_since(self, port_id: str) -> float:
        """Return when the port got its present network, MAC, addresses and device.

        In seconds of CLOCK_MONOTONIC; 0.0 if before this process started.
        """
        ...


class NetworkView(PortView, Protocol):
    """Also the ports of networks."""

    def ports_by_network(self, network_id: str) -> tuple[Port, ...]:
        """Return the ports of a network."""
        ...


def identify(
    view: PortView, key: LookupKey, freshness: Freshness, source_lost_after: float
) -> Port | Refusal:
    """Return the instance's port that the request came from, or the reason for a refusal.

    A port that is found is served however old the replica is, so that guests keep their metadata
    while the server is unreachable.
    """
    if key.interface is not None and not _is_wired(view, key.interface, key.router_id):
        return Refusal.WIRE_DIFFERS
    found = _look_up(view, key)
    if isinstance(found, Port):
        return _connection_refusal(view, key, found) or found
    return uncertainty(freshness, source_lost_after) or found


def is_unchanged(view: PortView, key: LookupKey, port: Port) -> bool:
    """Return whether port and interface are unchanged since the look-up (a quick check)."""
    interface = key.interface
    return view.port(port.id) is port and (
        interface is None or _is_wired(view, interface, key.router_id)
    )


def _is_wired(view: PortView, interface: RouterInterface, router_id: str) -> bool:
    """Return whether the replica's interface agrees with that of the request."""
    port = view.port(interface.port_id)
    return (
        port is not None
        and port.device_id == router_id
        and port.device_owner in ROUTER_INTERFACE_OWNERS
        and port.network_id == interface.network_id
        and _is_local(interface.local_address, port)
    )


def _is_local(address: str, port: Port) -> bool:
    """Return whether the interface has the address.

    The kernel redirects a connection to fe80::a9fe:a9fe to a link-local address of the interface.
    """
    return (
        address in [ip.ip_address for ip in port.fixed_ips]
        or address == METADATA_IPV6
        or mac_of_link_local(address) == port.mac_address.lower()
    )


def _connection_refusal(view: PortView, key: LookupKey, port: Port) -> Refusal | None:
    """Return why the connection cannot be the port's, None if it can."""
    if key.guest_mac and key.guest_mac not in {port.mac_address.lower(), *_forwarders(view, key)}:
        return Refusal.WRONG_MAC
    connected_at = key.connected_at
    if connected_at is not None and connected_at < view.unchanged_since(port.id):
        return Refusal.CONNECTION_TOO_OLD
    return None


def _forwarders(view: PortView, key: LookupKey) -> Iterable[str]:
    """MACs of the router that forwards requests to its metadata network (without an interface)."""
    if not key.router_id or key.interface is not None:
        return ()
    return [p.mac_address.lower() for p in _router_ports(view, key.router_id)]


def _router_ports(view: PortView, router_id: str) -> list[Port]:
    ports = view.ports_by_device(router_id) if router_id else ()
    return [port for port in ports if port.device_owner in ROUTER_INTERFACE_OWNERS]


def has_all_ports(view: NetworkView, key: LookupKey, host: str) -> bool:
    """Return whether a host's replica has all ports among which the key's port is looked up.

    The feed sends all ports of a network only if an agent of the host serves it: then the host has
    a DHCP port or a router interface on it. Of a router it sends all if the router is there.
    """
    network_id = key.network_id or (key.interface.network_id if key.interface else "")
    found = view.ports_by_network(network_id) if network_id else _router_ports(view, key.router_id)
    serving = ROUTER_INTERFACE_OWNERS | {DHCP_OWNER}
    return any(port.host == host and port.device_owner in serving for port in found)


def networks_of_router(view: PortView, router_id: str) -> frozenset[str]:
    """Return the networks that the router has an interface on."""
    return frozenset(port.network_id for port in _router_ports(view, router_id))


def mac_of_link_local(address: str) -> str:
    """Return the MAC in a link-local EUI-64 address (RFC 4291 appendix A), "" for any other."""
    if not address.startswith("fe80:"):
        return ""
    interface = IPv6Address(address).packed[8:]
    if interface[3:5] != b"\xff\xfe":
        return ""
    return bytes([interface[0] ^ 2, *interface[1:3], *interface[5:]]).hex(":")


def _networks(view: PortView, key: LookupKey) -> Iterable[str]:
    if key.network_id:
        return (key.network_id,)
    if key.interface is not None:
        return (key.interface.network_id,)
    return networks_of_router(view, key.router_id)


def _found(view: PortView, key: LookupKey) -> list[Port]:
    networks = _networks(view, key)
    mac = mac_of_link_local(key.guest_address)
    if mac:  # as in Neutron: no port has a link-local fixed IP
        ports = [port for id in networks for port in view.ports_by_mac(id, mac)]
    else:
        ports = [port for id in networks for port in view.ports_by_address(id, key.guest_address)]
    if not ports and ":" in key.guest_address and key.guest_mac:
        return [port for id in networks for port in view.ports_by_mac(id, key.guest_mac)]
    return ports


def _look_up(view: PortView, key: LookupKey) -> Port | Refusal:
    ports = _found(view, key)
    if not ports:
        unknown = ":" in key.guest_address and key.by_our_proxy and not key.guest_mac
        return Refusal.MAC_UNKNOWN if unknown else Refusal.NO_PORT
    if len(ports) > 1:
        return Refusal.SEVERAL_PORTS
    port = ports[0]
    if not port.device_id or is_network_owner(port.device_owner):
        return Refusal.NO_INSTANCE_ON_PORT
    if not (fits_header(port.device_id) and fits_header(port.project_id)):
        return Refusal.UNUSABLE_ID
    return port
