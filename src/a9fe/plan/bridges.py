"""The bridges of a host: one for each network of the model, so that any VM can be plugged in."""

from a9fe.model.resources import Network, Port
from a9fe.model.rules import addresses as rules
from a9fe.plan import names
from a9fe.plan.host import Bridge, Veth
from a9fe.plan.model_view import ModelView


def bridges(view: ModelView) -> frozenset[Bridge]:
    """One bridge for each network. O(networks)."""
    networks = (n for n in view.all("network") if isinstance(n, Network))
    return frozenset(
        Bridge(name=names.bridge(n.id), mtu=rules.device_mtu(n.mtu)) for n in networks
    )


def link(network: Network, port: Port, inner: str) -> Veth:
    """The pair of a router or DHCP port; `inner` is its end in the namespace."""
    return Veth(
        inner=inner,
        outer=names.outer_device(port.id),
        bridge=names.bridge(network.id),
        mac=port.mac_address,
        mtu=rules.device_mtu(network.mtu),
    )
