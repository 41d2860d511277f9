"""Which hosts a network, a router or an instance is on: what the feed is filtered by."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from a9fe.model.resources import ROUTER_INTERFACE_OWNERS
from a9fe.store.schema import TABLES, port_security_groups, ports

_bindings = TABLES["binding"].c
_NETWORK_OWNED = "network:%"


class Parts:
    """Questions about hosts, inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is read before it is asked for."""
        self._connection = connection

    def bound_hosts(self, kind: str, resource_id: str) -> frozenset[str]:
        """The hosts whose agents serve a network ("dhcp") or a router ("l3")."""
        query = select(_bindings.host).where(
            _bindings.resource_id == resource_id, _bindings.kind == kind
        )
        return frozenset(self._connection.execute(query).scalars())

    def port_hosts(self, network_id: str) -> frozenset[str]:
        """The hosts that have a port of a network."""
        query = select(ports.c.host).where(ports.c.network_id == network_id).distinct()
        return frozenset(self._connection.execute(query).scalars()) - {""}

    def router_hosts(self, network_id: str) -> frozenset[str]:
        """The hosts that have a router on a network."""
        owners = ports.c.device_owner.in_(sorted(ROUTER_INTERFACE_OWNERS))
        query = select(ports.c.host).where(ports.c.network_id == network_id, owners).distinct()
        return frozenset(self._connection.execute(query).scalars()) - {""}

    def has_port(self, network_id: str, host: str) -> bool:
        """Whether a host has a port of a network."""
        query = select(ports.c.id).where(ports.c.network_id == network_id, ports.c.host == host)
        return self._connection.execute(query.limit(1)).first() is not None

    def networks_here(self, host: str) -> frozenset[str]:
        """The networks that a host has ports of."""
        query = select(ports.c.network_id).where(ports.c.host == host).distinct()
        return frozenset(self._connection.execute(query).scalars())

    def routed_here(self, host: str) -> frozenset[str]:
        """The networks that a router on a host is on."""
        owners = ports.c.device_owner.in_(sorted(ROUTER_INTERFACE_OWNERS))
        query = select(ports.c.network_id).where(ports.c.host == host, owners).distinct()
        return frozenset(self._connection.execute(query).scalars())

    def networks_of(self, device_id: str) -> frozenset[str]:
        """The networks that an instance has ports on."""
        query = select(ports.c.network_id).where(
            ports.c.device_id == device_id, ports.c.device_owner.not_like(_NETWORK_OWNED)
        )
        return frozenset(self._connection.execute(query).scalars()) if device_id else frozenset()

    def devices_on(self, network_ids: Collection[str]) -> frozenset[str]:
        """The ids of the instances (or what else ports are said to belong to) on networks."""
        query = select(ports.c.device_id).where(
            ports.c.network_id.in_(sorted(network_ids)),
            ports.c.device_id != "",
            ports.c.device_owner.not_like(_NETWORK_OWNED),
        )
        return frozenset(self._connection.execute(query.distinct()).scalars())

    def networks_with(self, security_group_id: str) -> frozenset[str]:
        """The networks of the ports in a security group."""
        link = port_security_groups.c
        query = select(ports.c.network_id).join(port_security_groups, link.port_id == ports.c.id)
        found = query.where(link.security_group_id == security_group_id).distinct()
        return frozenset(self._connection.execute(found).scalars())

    def beside(self, network_id: str) -> frozenset[str]:
        """Other networks of the instances on a network."""
        here, there = ports.alias(), ports.alias()
        query = (
            select(there.c.network_id)
            .join(here, here.c.device_id == there.c.device_id)
            .where(
                here.c.network_id == network_id,
                here.c.device_id != "",
                here.c.device_owner.not_like(_NETWORK_OWNED),
                there.c.network_id != network_id,
            )
        )
        return frozenset(self._connection.execute(query.distinct()).scalars())
