"""The core of hop 2, without headers: a lookup key in, the requesting port or a refusal out.

Hop 2 uses it behind the proxy's headers, and the host shape behind the connection's facts.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from a9fe.http import trace
from a9fe.metadata_agent.lookup_key import LookupKey
from a9fe.metadata_agent.port_lookup import NetworkView, has_all_ports, identify, is_unchanged
from a9fe.model.resources import Port
from a9fe.wire.freshness import NOT_FOUND, Freshness, unconfirmed
from a9fe.wire.refusals import Refusal

# Replica and connection disagree: close the connection, so that the guest makes another one.
ENDS_CONNECTION = frozenset(
    {
        Refusal.WIRE_DIFFERS,
        Refusal.WRONG_MAC,
        Refusal.MAC_UNKNOWN,
        Refusal.CONNECTION_TOO_OLD,
        Refusal.OTHER_OWNER,
    }
)


class Source(NetworkView, Protocol):
    """What the look-up reads from the replica."""

    @property
    def version(self) -> object:
        """A value that differs after each change: until then a port that was found is found."""
        ...

    def freshness(self, now: float) -> Freshness:
        """Return how up to date the replica is at `now`, UNIX seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFinder:
    """Finds ports in a replica.

    `host` is this host's name. `confirm` updates the source from the server and returns whether
    that succeeded; only then is a miss 404. `now()` is in UNIX seconds. `source_lost_after`:
    seconds without the server after which the source counts as lost.
    """

    host: str
    source: Source
    confirm: Callable[[], Awaitable[bool]]
    source_lost_after: float
    now: Callable[[], float]

    def find(self, key: LookupKey) -> Port | Refusal:
        """Return the port, or the refusal by what the replica has now.

        A refusal with status 404 must be confirmed before it is an answer (`confirmed`).
        """
        freshness = self.source.freshness(self.now())
        found = identify(self.source, key, freshness, self.source_lost_after)
        trace.identified()
        return found

    async def confirmed(self, key: LookupKey) -> tuple[Port | Refusal, bool]:
        """Confirm a miss with the server and look up again.

        Return also whether the replica has all that the server had when this was called.
        """
        certain = await self.confirm()
        found = self.find(key)
        if isinstance(found, Refusal) and not certain:
            found = unconfirmed(found)
        elif isinstance(found, Refusal) and self._may_lack_ports(key):
            found = Refusal.WIRE_DIFFERS
        return found, certain

    def refusal_after_wait(self, key: LookupKey, port: Port) -> Refusal | None:
        """Return why an answer for `port` must not be sent, None if the port is still the one.

        A request may wait long, and the address may have another port by then.
        """
        if is_unchanged(self.source, key, port):
            return None
        now = self.find(key)
        if isinstance(now, Refusal):
            return unconfirmed(now)
        return None if owner_of(now) == owner_of(port) else Refusal.OTHER_OWNER

    def _may_lack_ports(self, key: LookupKey) -> bool:
        """Return whether the server may know ports of the network that the replica is not sent.

        So it is after a network moved to another host, while its namespace still exists here.
        """
        return key.by_our_proxy and not has_all_ports(self.source, key, self.host)


def is_miss(found: Port | Refusal) -> bool:
    """Return whether the look-up found nothing, which the server may know better."""
    return isinstance(found, Refusal) and found.value.status == NOT_FOUND


def owner_of(port: Port) -> bytes:
    """Return the port and its instance, which may change: a connection serves one such pair."""
    return f"{port.id}/{port.device_id}".encode()


def facts_of(key: LookupKey) -> Mapping[str, str]:
    """Return the key's fields for the log line of a refusal."""
    facts = {"address": key.guest_address}
    if key.network_id:
        facts["network"] = key.network_id
    else:
        facts["router"] = key.router_id
    if key.interface is not None:
        facts["interface"] = key.interface.port_id
    if key.guest_mac:
        facts["mac"] = key.guest_mac
    return facts
