"""Finds the requesting port, and how certain a failure is. Pure over a view of the replica.

The look-up is on one network: that of the DHCP namespace, or the one that the router's interface
is wired to. Neutron's proxy sends no interface; then all networks of the router count.

| found there                                            | fresh    | not fresh               |
|---------------------------------------------------------|----------|-------------------------|
| one port of an instance                                 | the port | the port                |
| none; the router has no network                         | 404      | 503                     |
| several                                                 | 404      | 503                     |
| one port, but of no instance (network:*, no device_id)  | 404      | 503                     |
| one port, whose ids cannot be sent in a header          | 404      | 503                     |

The proxy's facts about the connection must agree with the model, else it is 503 however fresh the
model is, since one of the two is outdated. The interface must be the router's, on that network,
with that local address. The port must have the connection's MAC, and must have had this address,
MAC, network and instance before the connection was made.
"""

from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import Protocol

from a9fe.metadata_agent.lookup_key import Question, Wire
from a9fe.model.resources import ROUTER_INTERFACE_OWNERS, Port
from a9fe.model.rules.text import fits_header
from a9fe.wire.freshness import Freshness, uncertainty
from a9fe.wire.refusals import Refusal

NETWORK_OWNED = "network:"  # device_owner of ports that Neutron itself uses


class PortView(Protocol):
    """What is known of ports."""

    def ports_by_address(self, network_id: str, ip: str) -> tuple[Port, ...]:
        """The ports of that network with that address, in canonical text."""
        ...

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        """The ports with that device_id."""
        ...

    def ports_by_mac(self, network_id: str, mac: str) -> tuple[Port, ...]:
        """The ports of that network with that MAC (lower case)."""
        ...

    def port(self, id: str) -> Port | None:
        """The port with that id."""
        ...

    def unchanged_since(self, port_id: str) -> float:
        """Since when the port has its network, MAC, addresses and device.

        In seconds of CLOCK_MONOTONIC; 0.0 if before the start.
        """
        ...


def identify(
    view: PortView, question: Question, freshness: Freshness, source_lost_after: float
) -> Port | Refusal:
    """The instance's port that asks, or why there is none, or why that is not certain.

    A port found is served however old the replica is: guests keep their metadata while the
    server is away.
    """
    if question.wire is not None and not _agrees(view, question.wire, question.router_id):
        return Refusal.WIRE_DIFFERS
    found = _look_up(view, question)
    if isinstance(found, Port):
        return _refused_to(view, question, found) or found
    return uncertainty(freshness, source_lost_after) or found


def is_still(view: PortView, question: Question, port: Port) -> bool:
    """Whether port and wire are unchanged since the look-up (a quick check)."""
    wire = question.wire
    return view.port(port.id) is port and (wire is None or _agrees(view, wire, question.router_id))


def _agrees(view: PortView, wire: Wire, router_id: str) -> bool:
    """Whether the model has the interface as the request says."""
    port = view.port(wire.port_id)
    return (
        port is not None
        and port.device_id == router_id
        and port.device_owner in ROUTER_INTERFACE_OWNERS
        and port.network_id == wire.network_id
        and wire.local in [ip.ip_address for ip in port.fixed_ips]
    )


def _refused_to(view: PortView, question: Question, port: Port) -> Refusal | None:
    """Why the connection cannot be the port's; None if it can."""
    if question.mac and question.mac != port.mac_address.lower():
        return Refusal.WRONG_MAC
    made = question.connected_at
    if made is not None and made < view.unchanged_since(port.id):
        return Refusal.CONNECTION_TOO_OLD
    return None


def networks_of_router(view: PortView, router_id: str) -> frozenset[str]:
    """The networks that a router has an interface on."""
    ports = view.ports_by_device(router_id) if router_id else ()
    return frozenset(p.network_id for p in ports if p.device_owner in ROUTER_INTERFACE_OWNERS)


def mac_of_link_local(address: str) -> str:
    """The MAC in a link-local EUI-64 address (RFC 4291 appendix A), "" for other addresses."""
    if not address.startswith("fe80:"):
        return ""
    interface = IPv6Address(address).packed[8:]
    if interface[3:5] != b"\xff\xfe":
        return ""
    return bytes([interface[0] ^ 2, *interface[1:3], *interface[5:]]).hex(":")


def _networks(view: PortView, question: Question) -> Iterable[str]:
    if question.network_id:
        return (question.network_id,)
    if question.wire is not None:
        return (question.wire.network_id,)
    return networks_of_router(view, question.router_id)


def _look_up(view: PortView, question: Question) -> Port | Refusal:
    networks = _networks(view, question)
    mac = mac_of_link_local(question.address)
    if mac:  # as Neutron does: link-local addresses are in no model
        ports = [port for id in networks for port in view.ports_by_mac(id, mac)]
    else:
        ports = [port for id in networks for port in view.ports_by_address(id, question.address)]
    if not ports:
        return Refusal.NO_PORT
    if len(ports) > 1:
        return Refusal.SEVERAL_PORTS
    port = ports[0]
    if not port.device_id or port.device_owner.startswith(NETWORK_OWNED):
        return Refusal.NO_INSTANCE_ON_PORT
    if not (fits_header(port.device_id) and fits_header(port.project_id)):
        return Refusal.UNUSABLE_ID
    return port
