"""Which agent serves a network or a router: the living one with the fewest. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from a9fe.model.resources import Agent

DHCP_AGENT = "DHCP agent"
L3_AGENT = "L3 agent"
AGENT_TYPES = frozenset(
    {DHCP_AGENT, L3_AGENT, "Metadata agent", "Metadata proxy", "Metadata service"}
    | {"Open vSwitch agent", "Linux bridge agent"}
)
"""Those that a token bound to a host may report: ours and Neutron's of a compute host."""
AGENT_TYPE = {"dhcp": DHCP_AGENT, "l3": L3_AGENT}
"""The agent type that a binding of each kind needs."""


def timestamp(now: float) -> str:
    """UNIX seconds as ISO 8601 UTC, to the second."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """The UNIX seconds of what `timestamp` made; 0 for an empty text."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def alive(agent: Agent, now: float, agent_down_time: float) -> bool:
    """Whether the agent's last heartbeat is newer than `agent_down_time` seconds."""
    return now - seconds(agent.heartbeat_timestamp) <= agent_down_time


def choose(
    agents: Iterable[Agent], load: Mapping[str, int], count: int, *, now: float, down_time: float
) -> tuple[Agent, ...]:
    """Up to `count` living, enabled agents; fewest bindings first, then by host.

    `load` is the number of bindings by agent id.
    """
    usable = [a for a in agents if a.admin_state_up and alive(a, now, down_time)]
    usable.sort(key=lambda a: (load.get(a.id, 0), a.host, a.id))
    return tuple(usable[:count])
