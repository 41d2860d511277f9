"""The bridges of a host: one for each network of the model, so that any VM can be plugged in."""

from a9fe.model.resources import Network, Port
from a9fe.model.rules import addresses as rules
from a9fe.plan import model_view, names
from a9fe.plan.host import Bridge, Veth
from a9fe.plan.model_view import ModelView


def bridges(view: ModelView, network_id: str) -> frozenset[Bridge]:
    """The bridge of a network of the model; none if there is no such network."""
    network = model_view.get(view, Network, "network", network_id)
    if network is None:
        return frozenset()
    return frozenset({Bridge(name=names.bridge(network_id), mtu=rules.device_mtu(network.mtu))})


def link(network: Network, port: Port, inner: str) -> Veth:
    """The pair of a router or DHCP port; `inner` is its end in the namespace."""
    return Veth(
        inner=inner,
        outer=names.outer_device(port.id),
        bridge=names.bridge(network.id),
        mac=port.mac_address,
        mtu=rules.device_mtu(network.mtu),
    )
