"""The hosts of networks, routers and instances. The change feed filters by them."""

from collections.abc import Collection

from sqlalchemy import Connection, Select, bindparam, or_, select

from a9fe.model.resources import ROUTER_INTERFACE_OWNERS
from a9fe.store.schema.tables import TABLES, instances, port_security_groups, ports

_bindings = TABLES["binding"].c
_groups = port_security_groups.c
_NETWORK_OWNED = "network:%"
_of_instance = ports.c.device_owner.not_like(_NETWORK_OWNED)
_of_router = ports.c.device_owner.in_(sorted(ROUTER_INTERFACE_OWNERS))
_on_network = ports.c.network_id == bindparam("network_id")
_on_host = ports.c.host == bindparam("host")

_BOUND_HOSTS = select(_bindings.host).where(
    _bindings.resource_id == bindparam("resource_id"), _bindings.kind == bindparam("kind")
)
_PORT_HOSTS = select(ports.c.host).where(_on_network).distinct()
_ROUTER_HOSTS = _PORT_HOSTS.where(_of_router)
_HAS_PORT = select(ports.c.id).where(_on_network, _on_host).limit(1)
_NETWORKS_HERE = select(ports.c.network_id).where(_on_host).distinct()
_ROUTED_HERE = _NETWORKS_HERE.where(_of_router)
_NETWORKS_OF = select(ports.c.network_id).where(
    ports.c.device_id == bindparam("device_id"), _of_instance
)
_NETWORKS_WITH = (
    select(ports.c.network_id)
    .join(port_security_groups, _groups.port_id == ports.c.id)
    .where(_groups.security_group_id == bindparam("security_group_id"))
    .distinct()
)

_SERVED_BY_DHCP = select(_bindings.resource_id).where(
    _bindings.host == bindparam("host"), _bindings.kind == "dhcp"
)
_routers = ports.alias("routers")
_SERVED_BY_ROUTER = select(_routers.c.network_id).where(
    _routers.c.host == bindparam("host"),
    _routers.c.device_owner.in_(sorted(ROUTER_INTERFACE_OWNERS)),
)
_ANSWERED = (
    select(instances.c.id)
    .join(ports, ports.c.device_id == instances.c.id)
    .where(
        instances.c.id.in_(bindparam("ids", expanding=True)),
        ports.c.project_id == instances.c.project_id,
        or_(
            _on_host,
            ports.c.network_id.in_(_SERVED_BY_DHCP),
            ports.c.network_id.in_(_SERVED_BY_ROUTER),
        ),
    )
    .distinct()
)


class Locations:
    """Queries about hosts, inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        """Use the transaction of `connection`."""
        self._connection = connection

    def _texts(self, query: Select[str], **of: str) -> frozenset[str]:
        return frozenset(self._connection.execute(query, of).scalars())

    def bound_hosts(self, kind: str, resource_id: str) -> frozenset[str]:
        """Return the hosts whose agents serve a network ("dhcp") or a router ("l3")."""
        return self._texts(_BOUND_HOSTS, kind=kind, resource_id=resource_id)

    def port_hosts(self, network_id: str) -> frozenset[str]:
        """Return the hosts to which ports of a network are bound."""
        return self._texts(_PORT_HOSTS, network_id=network_id) - {""}

    def router_hosts(self, network_id: str) -> frozenset[str]:
        """Return the hosts whose L3 agents serve a router with a port on a network."""
        return self._texts(_ROUTER_HOSTS, network_id=network_id) - {""}

    def has_port(self, network_id: str, host: str) -> bool:
        """Return whether a port of a network is bound to a host."""
        return bool(self._texts(_HAS_PORT, network_id=network_id, host=host))

    def networks_here(self, host: str) -> frozenset[str]:
        """Return the networks with ports that are bound to a host."""
        return self._texts(_NETWORKS_HERE, host=host)

    def routed_here(self, host: str) -> frozenset[str]:
        """Return the networks with a port of a router that a host's L3 agent serves."""
        return self._texts(_ROUTED_HERE, host=host)

    def networks_of(self, device_id: str) -> frozenset[str]:
        """Return the networks of an instance's ports."""
        return self._texts(_NETWORKS_OF, device_id=device_id) if device_id else frozenset()

    def answered(self, host: str, instance_ids: Collection[str]) -> frozenset[str]:
        """Return the instances, among those given, that read their metadata on a host.

        They have a port, owned by their own project, that is bound to the host or is on a network
        that an agent of the host serves.
        """
        if not host or not instance_ids:
            return frozenset()
        query = {"host": host, "ids": sorted(instance_ids)}
        return frozenset(self._connection.execute(_ANSWERED, query).scalars())

    def devices_on(self, network_ids: Collection[str]) -> frozenset[str]:
        """Return the ids of the instances with ports on networks."""
        query = select(ports.c.device_id).where(
            ports.c.network_id.in_(sorted(network_ids)),
            ports.c.device_id != "",
            _of_instance,
        )
        return frozenset(self._connection.execute(query.distinct()).scalars())

    def networks_with(self, security_group_id: str) -> frozenset[str]:
        """Return the networks of the ports in a security group."""
        return self._texts(_NETWORKS_WITH, security_group_id=security_group_id)

    def beside(self, network_id: str) -> frozenset[str]:
        """Return the other networks of the instances that have a port on a network."""
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
