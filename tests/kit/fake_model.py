"""A model in a dict, with the lookups that planning needs, and builders of resources."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from uuid import UUID

from a9fe.model.resources import (
    COMPUTE_OWNER,
    DHCP_OWNER,
    KIND_OF,
    ROUTER_GATEWAY_OWNER,
    ROUTER_INTERFACE_OWNER,
    Binding,
    FixedIp,
    Network,
    Port,
    Resource,
    Router,
    Subnet,
)
from a9fe.model.subnet_pools import FloatingIp
from a9fe.plan import names

HOST = "node1"


def uid(kind: int, number: int) -> str:
    """Return a UUID whose first 11 characters, which device names use, are unique."""
    return str(UUID(f"{kind:02x}{number:06x}-0000-4000-8000-000000000000"))


def mac(number: int) -> str:
    return f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}"


class FakeModel:
    """Resources by kind and id. A plan.model_view.ModelView."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self.resources: dict[tuple[str, str], Resource] = {}
        self.revision = 0
        for resource in resources:
            self.put(resource)

    def put(self, resource: Resource) -> None:
        self.resources[KIND_OF[type(resource)], resource.id] = resource
        self.revision += 1

    def drop(self, resource: Resource) -> None:
        self.resources.pop((KIND_OF[type(resource)], resource.id), None)
        self.revision += 1

    def get(self, kind: str, id: str) -> Resource | None:
        return self.resources.get((kind, id))

    def all(self, kind: str) -> Iterator[Resource]:
        return (r for (k, _), r in list(self.resources.items()) if k == kind)

    def ports_by_device(self, device_id: str) -> list[Port]:
        return [p for p in self._ports() if p.device_id == device_id and device_id]

    def floating_ips_by_router(self, router_id: str) -> list[FloatingIp]:
        found = (r for r in self.all("floatingip") if isinstance(r, FloatingIp))
        return [floating for floating in found if floating.router_id == router_id]

    def ports_by_network(self, network_id: str) -> list[Port]:
        return [p for p in self._ports() if p.network_id == network_id]

    def ports_by_short_id(self, short_id: str) -> list[Port]:
        return [p for p in self._ports() if p.id.startswith(short_id)]

    def networks_by_short_id(self, short_id: str) -> list[Network]:
        found = (r for r in self.all("network") if isinstance(r, Network))
        return [n for n in found if n.id.startswith(short_id)]

    def subnets_by_network(self, network_id: str) -> list[Subnet]:
        found = (r for r in self.all("subnet") if isinstance(r, Subnet))
        return [s for s in found if s.network_id == network_id]

    def bindings_by_resource(self, resource_id: str) -> list[Binding]:
        found = (r for r in self.all("binding") if isinstance(r, Binding))
        return [b for b in found if b.resource_id == resource_id]

    def _ports(self) -> Iterator[Port]:
        return (r for r in self.all("port") if isinstance(r, Port))


def network(number: int, **fields: object) -> Network:
    return replace(Network(id=uid(1, number), name=f"net{number}"), **fields)  # type: ignore[arg-type]


def subnet(number: int, of: Network, cidr: str, gateway: str | None, **fields: object) -> Subnet:
    plain = Subnet(id=uid(2, number), network_id=of.id, cidr=cidr, gateway_ip=gateway)
    return replace(plain, **fields)  # type: ignore[arg-type]


def port(number: int, of: Network, *ips: tuple[Subnet, str], **fields: object) -> Port:
    """Return a VM's port; `fields` replace attributes."""
    fixed = tuple(FixedIp(subnet_id=s.id, ip_address=a) for s, a in ips)
    plain = Port(
        id=uid(3, number),
        network_id=of.id,
        mac_address=mac(number),
        fixed_ips=fixed,
        device_id=uid(5, number),
        device_owner=COMPUTE_OWNER,
        host=HOST,
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def dhcp_port(number: int, of: Network, *ips: tuple[Subnet, str], host: str = HOST) -> Port:
    device = names.dhcp_device_id(host, of.id)
    return port(number, of, *ips, device_owner=DHCP_OWNER, device_id=device, host=host)


def interface(number: int, on: Router, of: Network, *ips: tuple[Subnet, str]) -> Port:
    return port(number, of, *ips, device_owner=ROUTER_INTERFACE_OWNER, device_id=on.id)


def gateway(number: int, on: Router, of: Network, *ips: tuple[Subnet, str]) -> Port:
    return port(number, of, *ips, device_owner=ROUTER_GATEWAY_OWNER, device_id=on.id)


def floating_ip(
    number: int, of: Network, address: str, through: Router, to: Port, **fields: object
) -> FloatingIp:
    """Return a floating IP, associated with the port's first address."""
    plain = FloatingIp(
        id=uid(6, number),
        floating_network_id=of.id,
        floating_ip_address=address,
        floating_port_id=uid(7, number),
        port_id=to.id,
        fixed_ip_address=to.fixed_ips[0].ip_address,
        router_id=through.id,
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def router(number: int, **fields: object) -> Router:
    return replace(Router(id=uid(4, number), name=f"router{number}"), **fields)  # type: ignore[arg-type]


def bound(kind: str, resource: Network | Router, host: str = HOST) -> Binding:
    agent = f"{kind}-agent-{host}"
    return Binding(
        id=f"{kind}:{agent}:{resource.id}",
        kind=kind,
        agent_id=agent,
        host=host,
        resource_id=resource.id,
    )
