"""The interfaces of a router that have IPv6, and their addresses."""

from collections.abc import Iterable, Iterator

from a9fe.model.resources import Network, Port, Subnet
from a9fe.plan import ipv6, model_view, names
from a9fe.plan.host import Address
from a9fe.plan.model_view import ModelView
from a9fe.plan.routers.radvd import Interface
from a9fe.plan.settings import L3Settings


def interfaces(
    model: ModelView, internal: Iterable[Port], settings: L3Settings
) -> tuple[Interface, ...]:
    """Those of a router's internal interfaces that have an address on an IPv6 subnet."""
    return tuple(_interfaces(model, internal)) if settings.ipv6_on_host else ()


def _interfaces(model: ModelView, internal: Iterable[Port]) -> Iterator[Interface]:
    for port in internal:
        network = model_view.get(model, Network, "network", port.network_id)
        found = [
            model_view.get(model, Subnet, "subnet", ip.subnet_id)
            for ip in port.fixed_ips
            if ":" in ip.ip_address
        ]
        subnets = tuple(subnet for subnet in found if subnet is not None)
        if network is not None and subnets:
            yield Interface(port=port, network=network, subnets=subnets)


def addresses(found: Iterable[Interface], settings: L3Settings) -> Iterator[Address]:
    """The IPv6 addresses of these interfaces, with the metadata address on each."""
    for one in found:
        device = names.router_device(one.port.id)
        yield from ipv6.of_port(one.port, one.subnets, device)
        if settings.enable_metadata_proxy:
            yield ipv6.metadata(device)
