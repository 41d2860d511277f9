"""How hosts, networks, ports and instances are related now, read once for a batch of changes."""

from collections.abc import Callable, Iterable

from a9fe.model.resources import Port, is_network_owner
from a9fe.server.feed.roles import Follower, PortRelation, Service, followers_serving
from a9fe.store import Session


def belongs_to_instance(port: Port) -> bool:
    """Return whether the port may be an instance's. Neutron's own ports are "network:*"."""
    return bool(port.device_id) and may_be_instance(port.device_owner)


def may_be_instance(device_owner: str) -> bool:
    """Return whether a port with that device_owner may be an instance's."""
    return not is_network_owner(device_owner)


class Relations:
    """Answers from the database of one transaction; those about networks are kept."""

    def __init__(self, session: Session) -> None:
        """Nothing is read before it is needed."""
        self._locations = session.locations
        self._serving: dict[str, frozenset[Follower]] = {}
        self._bound: dict[str, frozenset[str]] = {}
        self._holds: dict[PortRelation, Callable[[Follower, Port], bool]] = {
            PortRelation.ON_HOST: lambda follower, port: port.host == follower.host,
            PortRelation.SERVED: lambda follower, port: follower in self.serving(port.network_id),
            PortRelation.UNBOUND: self._is_unbound,
            PortRelation.INSTANCE_SERVED: self._is_of_served_instance,
        }

    def is_sent(self, follower: Follower, port: Port) -> bool:
        """Return whether the follower is sent the port."""
        return any(self._holds[relation](follower, port) for relation in follower.role.ports)

    def serving(self, network_id: str) -> frozenset[Follower]:
        """Return the possible followers that serve a network."""
        if network_id not in self._serving:
            by_dhcp = _followers(Service.DHCP, self._bound_hosts(network_id))
            by_router = _followers(Service.ROUTER, self._locations.router_hosts(network_id))
            self._serving[network_id] = by_dhcp | by_router
        return self._serving[network_id]

    def hosts_of(self, network_id: str) -> frozenset[str]:
        """Return the hosts that a network is of."""
        return self._bound_hosts(network_id) | self._locations.port_hosts(network_id)

    def is_of_host(self, network_id: str, host: str) -> bool:
        """Return whether a network is of a host."""
        is_bound = host in self._bound_hosts(network_id)
        return is_bound or self._locations.has_port(network_id, host)

    def serves_instance(self, follower: Follower, instance_id: str) -> bool:
        """Return whether an instance has a port on a network that the follower serves."""
        return any(follower in self.serving(n) for n in self._locations.networks_of(instance_id))

    def _is_unbound(self, follower: Follower, port: Port) -> bool:
        return not port.host and self.is_of_host(port.network_id, follower.host)

    def _is_of_served_instance(self, follower: Follower, port: Port) -> bool:
        return belongs_to_instance(port) and self.serves_instance(follower, port.device_id)

    def _bound_hosts(self, network_id: str) -> frozenset[str]:
        if network_id not in self._bound:
            self._bound[network_id] = self._locations.bound_hosts("dhcp", network_id)
        return self._bound[network_id]


def _followers(by: Service, hosts: Iterable[str]) -> frozenset[Follower]:
    return frozenset(follower for host in hosts for follower in followers_serving(by, host))
