"""Which port asks: the look-up, and how sure its failure is. Pure over a view of the replica.

| found on the network, or on the networks of the router | fresh    | not fresh               |
|---------------------------------------------------------|----------|-------------------------|
| one port of an instance                                 | the port | the port                |
| none; the router has no network                         | 404      | 503                     |
| several                                                 | 404      | 503                     |
| one port, but of no instance (network:*, no device_id)  | 404      | 503                     |
"""

from collections.abc import Iterable
from typing import Protocol

from a9fe.metadata_agent.question import Question
from a9fe.model.resources import ROUTER_INTERFACE_OWNERS, Port
from a9fe.wire.refusals import Refusal

NETWORK_OWNED = "network:"  # device_owner of ports that Neutron itself uses


class Freshness(Protocol):
    """How much a replica's silence means. `lost_for` in seconds."""

    @property
    def ever_synced(self) -> bool:
        """It has been complete once, perhaps before a restart."""
        ...

    @property
    def synced_now(self) -> bool:
        """The feed is followed, and complete."""
        ...

    @property
    def lost_for(self) -> float:
        """Seconds since it last was."""
        ...


class PortView(Protocol):
    """What is known of ports."""

    def ports_by_address(self, network_id: str, ip: str) -> tuple[Port, ...]:
        """The ports of that network with that address, in canonical text."""
        ...

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        """The ports with that device_id."""
        ...


def identify(
    view: PortView, question: Question, freshness: Freshness, source_lost_after: float
) -> Port | Refusal:
    """The instance's port that asks, or why there is none, or why that is not certain.

    A port found is served however old the replica is: guests keep their metadata while the
    server is away.
    """
    found = _look_up(view, question)
    if isinstance(found, Port):
        return found
    return doubt(freshness, source_lost_after) or found


def doubt(freshness: Freshness, source_lost_after: float) -> Refusal | None:
    """Why what is not known may exist all the same, None where it does not."""
    if not freshness.ever_synced:
        return Refusal.NOT_SYNCED
    if freshness.lost_for > source_lost_after:
        return Refusal.SOURCE_LOST
    return None if freshness.synced_now else Refusal.NOT_SYNCED


def networks_of_router(view: PortView, router_id: str) -> frozenset[str]:
    """The networks that a router has an interface on."""
    ports = view.ports_by_device(router_id) if router_id else ()
    return frozenset(p.network_id for p in ports if p.device_owner in ROUTER_INTERFACE_OWNERS)


def _look_up(view: PortView, question: Question) -> Port | Refusal:
    networks: Iterable[str] = (
        (question.network_id,)
        if question.network_id
        else networks_of_router(view, question.router_id)
    )
    ports = [port for id in networks for port in view.ports_by_address(id, question.address)]
    if not ports:
        return Refusal.NO_PORT
    if len(ports) > 1:
        return Refusal.SEVERAL_PORTS
    port = ports[0]
    if not port.device_id or port.device_owner.startswith(NETWORK_OWNED):
        return Refusal.NO_INSTANCE_ON_PORT
    return port
