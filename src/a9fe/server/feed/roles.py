"""Followers of the feed, and the table of what each role is sent (ROLES). Pure.

A network is "of a host" if a DHCP agent there serves it, or the host has a port of it. A follower
is sent the networks and subnets of its host; one that follows instances, also those of the
instances. Bindings are those of the host, routers those bound to the host, floating IPs those of
such a router, instances those with a port on a served network, security groups those of the ports
that are sent. A follower of all hosts (host "*") is sent all resources of its kinds.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple


class PortRelation(Enum):
    """Why a port is sent to a follower."""

    ON_HOST = auto()
    """The port is on the follower's host."""
    SERVED = auto()
    """The port is on a network that the follower serves."""
    UNBOUND = auto()
    """The port has no host, and its network is of the follower's host: its tap needs filters."""
    INSTANCE_SERVED = auto()
    """The port's instance has another port on a network that the follower serves."""


class Service(Enum):
    """How a host serves a network."""

    DHCP = auto()
    """A DHCP agent on the host has a binding of the network."""
    ROUTER = auto()
    """A router on the host has an interface on the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What one kind of follower is sent.

    `kinds` in the order in which a snapshot sends them. `ports` in the order in which they are
    looked up, the cheapest first.
    """

    kinds: tuple[str, ...]
    serves_by: frozenset[Service]
    ports: tuple[PortRelation, ...]

    @property
    def follows_instances(self) -> bool:
        """Whether it is sent instances, and all of the model that their guests read."""
        return "instance" in self.kinds


DHCP, ROUTER = Service.DHCP, Service.ROUTER
ON_HOST, SERVED = PortRelation.ON_HOST, PortRelation.SERVED

ROLES: dict[str, Role] = {
    "l3": Role(
        kinds=("network", "subnet", "port", "router", "floatingip", "binding"),
        serves_by=frozenset({ROUTER}),
        ports=(ON_HOST, SERVED),
    ),
    "dhcp": Role(
        kinds=("network", "subnet", "port", "binding"),
        serves_by=frozenset({DHCP}),
        ports=(ON_HOST, SERVED, PortRelation.UNBOUND),
    ),
    "metadata": Role(
        kinds=("network", "port", "router"),
        serves_by=frozenset({DHCP, ROUTER}),
        ports=(ON_HOST, SERVED),
    ),
    "service": Role(
        kinds=("network", "subnet", "security_group", "port", "instance"),
        serves_by=frozenset({DHCP, ROUTER}),
        ports=(ON_HOST, SERVED, PortRelation.INSTANCE_SERVED),
    ),
}
"""By the name that a follower gives as `agent`."""


class Follower(NamedTuple):
    """One reader of the feed: a role on a host."""

    host: str
    agent: str

    @property
    def role(self) -> Role:
        """What it is sent."""
        return ROLES[self.agent]

    def __str__(self) -> str:
        """Return it as logs show it, e.g. "l3@host1"."""
        return f"{self.agent}@{self.host}"


def followers_serving(by: Service, host: str) -> frozenset[Follower]:
    """Return the possible followers on `host` that serve a network which the host serves so."""
    return frozenset(
        Follower(host, agent) for agent, role in ROLES.items() if by in role.serves_by
    )
