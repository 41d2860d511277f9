"""Which devices on our bridges are known, and why others are refused.

The kernel forwards nothing between a known and an unknown device (plan.filters.bridge_filter),
whether an agent runs or not. Port isolation stops frames between two unknown devices of one
bridge as soon as the DHCP agent sees them.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass

from a9fe.model.resources import Port
from a9fe.plan import names
from a9fe.plan.filters import port_security
from a9fe.plan.host import ANY_FILTER, Bridge, HostPlan, PortSecurity
from a9fe.plan.model_view import ModelView
from a9fe.plan.operations import SetIsolation
from a9fe.plan.port_status import ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Refused:
    """A device on a bridge of ours whose frames are dropped, and why. `port`: the id of the port
    whose tap it is, and that is not ACTIVE elsewhere; "" for none.
    """

    device: str
    bridge: str
    network: str
    reason: str
    port: str = ""


def effective(desired: HostPlan, observed: HostPlan) -> PortSecurity | None:
    """The planned filter without taps that are on another network's bridge."""
    if desired.port_security is None or not desired.port_security.taps:
        return desired.port_security
    return port_security.without(desired.port_security, _misplaced(desired, observed))


def isolations(filters: PortSecurity | None, observed: HostPlan) -> Iterator[SetIsolation]:
    """Isolate exactly the devices on our bridges that are unknown to the effective filters.

    O(devices).
    """
    if filters is None or filters == ANY_FILTER:
        return  # the L3 agent knows no taps
    for bridge in observed.bridges:
        unknown = _unknown(bridge, filters)
        for device in sorted(unknown ^ bridge.isolated):
            yield SetIsolation(bridge=bridge.name, device=device, isolated=device in unknown)


def refused(
    model: ModelView, host: str, desired: HostPlan, observed: HostPlan
) -> frozenset[Refused]:
    """All devices refused now on the observed bridges."""
    security = effective(desired, observed)
    if security is None or security == ANY_FILTER:
        return frozenset()
    found = [(bridge, _unknown(bridge, security)) for bridge in observed.bridges]
    if not any(unknown for _, unknown in found):
        return frozenset()
    return frozenset(
        Refused(
            device=device,
            bridge=bridge.name,
            network=_network_id(model, bridge.name),
            reason=_reason(device, port := _port(model, device), bridge, host),
            port=port.id if port is not None and _waits(port) else "",
        )
        for bridge, unknown in found
        for device in unknown
    )


def _waits(port: Port) -> bool:
    """Whether somebody waits for the tap: not if the VM runs elsewhere, or the port is off."""
    return port.admin_state_up and port.status != ACTIVE


def _network_id(model: ModelView, bridge: str) -> str:
    found = model.networks_by_short_id(bridge.removeprefix(names.bridge("")))
    return next((network.id for network in found), "")


def _port(model: ModelView, device: str) -> Port | None:
    if not names.OUTER_DEVICE.fullmatch(device):
        return None
    return next(iter(model.ports_by_short_id(device.removeprefix(names.outer_device("")))), None)


def _reason(device: str, port: Port | None, bridge: Bridge, host: str) -> str:
    if port is None:
        if names.OUTER_DEVICE.fullmatch(device):
            return "no port on this host has this device name; deleted, or bound to another host?"
        return "no port device; expected the name tap and the first 11 characters of a port id"
    if port.host not in {"", host}:
        return f"port {port.id} is bound to host {port.host}, this is {host}"
    if names.bridge(port.network_id) != bridge.name:
        return f"port {port.id} belongs on bridge {names.bridge(port.network_id)}"
    if not port.admin_state_up:
        return f"port {port.id} has admin_state_up false"
    return f"port {port.id} has owner {port.device_owner}; only a9fe's agents make its device"


def _unknown(bridge: Bridge, security: PortSecurity) -> frozenset[str]:
    others = bridge.devices - bridge.ours
    return frozenset(device for device in others if device not in security.taps)


def _misplaced(desired: HostPlan, observed: HostPlan) -> Set[str]:
    """Planned taps on another bridge of ours, observed or not."""
    on = {device: bridge.name for bridge in observed.bridges for device in bridge.devices}
    places = {**observed.taps, **on}.items()
    return {tap for tap, bridge in places if bridge and desired.taps.get(tap, bridge) != bridge}
