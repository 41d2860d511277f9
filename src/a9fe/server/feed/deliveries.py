"""What a batch of changes sends to each follower. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from a9fe.model.resources import ROUTER_INTERFACE_OWNERS, Resource
from a9fe.server.feed.roles import ROLES, Follower, PortRelation
from a9fe.store import Change


class Deliveries:
    """Collects what each follower is sent: one change for each resource, the newest.

    Followers that are not in the batch, or whose role does not have the kind, are sent nothing.
    """

    def __init__(self, followers: Collection[Follower]) -> None:
        """Deliver to `followers` only."""
        self.followers = frozenset(followers)
        self.of_instances = frozenset(f for f in followers if f.role.follows_instances)
        self._changes: dict[Follower, dict[tuple[str, str], Change]] = defaultdict(dict)

    def on(self, hosts: Iterable[str], relation: PortRelation | None = None) -> list[Follower]:
        """Return the followers on these hosts, or those whose role has a relation to ports."""
        agents = [a for a, role in ROLES.items() if relation is None or relation in role.ports]
        found = (Follower(host, agent) for host in hosts for agent in agents)
        return [follower for follower in found if follower in self.followers]

    def send(self, to: Iterable[Follower], revision: int, kind: str, what: Resource | str) -> None:
        """Send a resource, or the deletion of the one with this id.

        What is sent last replaces what was sent before; its revision is the highest of both.
        """
        resource = None if isinstance(what, str) else what
        id = what if isinstance(what, str) else what.id
        change = Change(revision=revision, kind=kind, id=id, resource=resource)
        for follower in to:
            if follower in self.followers and kind in follower.role.kinds:
                changes = self._changes[follower]
                before = changes.get((kind, id))
                if before and before.revision > revision:
                    changes[kind, id] = replace(change, revision=before.revision)
                else:
                    changes[kind, id] = change

    def sorted(self) -> dict[Follower, list[Change]]:
        """Return the changes of each follower that has some, by revision."""
        return {
            follower: sorted(changes.values(), key=lambda change: change.revision)
            for follower, changes in self._changes.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """Where ports and bindings were before the changes of a batch, by id.

    `serving`: hosts that served a network. `with_port`: hosts that had a port of a network.
    `networks`: networks that an instance had a port on.
    """

    serving: dict[str, frozenset[str]]
    with_port: dict[str, frozenset[str]]
    networks: dict[str, frozenset[str]]


def former(changes: Iterable[Change]) -> Former:
    """Return the former relations that the changes record. They may name too many hosts."""
    serving: dict[str, set[str]] = defaultdict(set)
    with_port: dict[str, set[str]] = defaultdict(set)
    networks: dict[str, set[str]] = defaultdict(set)
    for change in changes:
        for before in change.before:
            with_port[before.network_id].add(before.host)
            if change.kind == "binding" or before.device_owner in ROUTER_INTERFACE_OWNERS:
                serving[before.network_id].add(before.host)
            if change.kind == "port" and before.device_id:
                networks[before.device_id].add(before.network_id)
    return Former(
        serving=_frozen(serving), with_port=_frozen(with_port), networks=_frozen(networks)
    )


def _frozen(sets: dict[str, set[str]]) -> dict[str, frozenset[str]]:
    return {id: frozenset(found) for id, found in sets.items()}
