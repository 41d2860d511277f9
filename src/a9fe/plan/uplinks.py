"""Uplinks: the ways from the bridges of flat networks to their physical networks.

`bridge_mappings` gives each physical network an interface or a bridge of the host. An interface is
put on the network's bridge. A bridge, which is the operator's, gets one end of a pair of ours
(plan.names); the other end is on the network's bridge.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from a9fe.model.resources import ROUTER_GATEWAY_OWNER, Network
from a9fe.plan import model_view, names
from a9fe.plan.host import HostPlan, Uplink
from a9fe.plan.model_view import ModelView

DEVICE = re.compile(r"[^\s/:%,]{1,15}")  # what the kernel accepts, without our separators
FLAT = "flat"


def mappings(items: Iterable[str]) -> dict[str, str]:
    """Device by physical network, from items in Neutron's syntax, "physnet1:br-ex".

    Raises ValueError for another form, and for a physical network or device that occurs twice.
    """
    found: dict[str, str] = {}
    for item in items:
        physical_network, separator, device = item.strip().partition(":")
        if not physical_network or not separator or not DEVICE.fullmatch(device):
            raise ValueError(f"{item!r}: expected <physical network>:<interface or bridge>")
        if physical_network in found or device in found.values():
            raise ValueError(f"{item!r}: physical network or device is mapped twice")
        found[physical_network] = device
    return found


def uplinks(
    view: ModelView, network_id: str, mapped: Mapping[str, str], *, for_gateways: bool = False
) -> frozenset[Uplink]:
    """The uplink of a network; none if it is not flat, or has no mapping on this host.

    With `for_gateways`, a network with a router's gateway has one without a mapping, too: its
    device is "", and to set it fails with the reason.
    """
    network = model_view.get(view, Network, "network", network_id)
    if network is None or network.network_type != FLAT:
        return frozenset()
    physical_network = network.physical_network or ""
    device = mapped.get(physical_network)
    if device is None and not (for_gateways and _has_gateway(view, network_id)):
        return frozenset()
    bridge = names.bridge(network_id)
    return frozenset(
        {Uplink(bridge=bridge, device=device or "", physical_network=physical_network)}
    )


def _has_gateway(view: ModelView, network_id: str) -> bool:
    ports = view.ports_by_network(network_id)
    return any(port.device_owner == ROUTER_GATEWAY_OWNER for port in ports)


def surplus(desired: HostPlan, observed: HostPlan, going: frozenset[str]) -> Iterator[Uplink]:
    """Observed uplinks to remove. `going`: the bridges that are deleted.

    Both agents plan the uplinks of their networks, so an uplink of a bridge that is not planned
    here stays as long as the bridge.
    """
    planned = {one.bridge: one.device for one in desired.uplinks}
    devices = {one.device: one.bridge for one in desired.uplinks}
    bridges = {bridge.name for bridge in desired.bridges}
    for one in sorted(observed.uplinks):
        wanted = planned.get(one.bridge) == one.device
        is_moved = devices.get(one.device, one.bridge) != one.bridge
        is_other = one.bridge in bridges and not wanted
        if one.bridge in going or not one.bridge or is_moved or is_other:
            yield one


def ports(observed: HostPlan) -> frozenset[str]:
    """The names of the devices that may be uplinks on our bridges."""
    return frozenset(
        name for one in observed.uplinks for name in (one.device, names.uplink(one.bridge))
    )
