"""A router with two internal networks and a gateway on a flat provider network."""

from a9fe.model.resources import Resource
from tests.kit.fake_model import bound, gateway, interface, network, router, subnet

NET, SECOND_NET = network(1), network(2)
SUBNET = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
SECOND = subnet(2, SECOND_NET, "10.2.0.0/24", "10.2.0.1")
EXTERNAL = network(3, external=True, network_type="flat", physical_network="physnet1")
OUTSIDE = subnet(3, EXTERNAL, "203.0.113.0/24", "203.0.113.1", created_at="2026-01-01T00:00:00Z")
ROUTER = router(1)
GATEWAY = gateway(4, ROUTER, EXTERNAL, (OUTSIDE, "203.0.113.10"))
PROVIDER_MODEL: tuple[Resource, ...] = (
    *(NET, SUBNET, SECOND_NET, SECOND, EXTERNAL, OUTSIDE, ROUTER, GATEWAY),
    interface(1, ROUTER, NET, (SUBNET, "10.1.0.1")),
    interface(2, ROUTER, SECOND_NET, (SECOND, "10.2.0.1")),
    bound("l3", ROUTER),
)
