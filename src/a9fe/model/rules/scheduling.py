"""The choice of agents for a network or router: alive agents with the fewest bindings. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from a9fe.model.resources import Agent

DHCP_AGENT = "DHCP agent"
L3_AGENT = "L3 agent"
AGENT_TYPES = frozenset(
    {DHCP_AGENT, L3_AGENT, "Metadata agent", "Metadata proxy", "Metadata service"}
    | {"Open vSwitch agent", "Linux bridge agent"}
)
"""Agent types that a host's token may report: a9fe's, and Neutron's on compute hosts."""
AGENT_TYPE = {"dhcp": DHCP_AGENT, "l3": L3_AGENT}
"""The agent type by kind of binding."""


def timestamp(now: float) -> str:
    """Return UNIX seconds as ISO 8601 UTC, in whole seconds."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """Return the UNIX seconds of a text of `timestamp`; 0 for ""."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def alive(agent: Agent, now: float, agent_down_time: float) -> bool:
    """Return whether the agent's last heartbeat is at most `agent_down_time` seconds old."""
    return now - seconds(agent.heartbeat_timestamp) <= agent_down_time


def choose(
    agents: Iterable[Agent], load: Mapping[str, int], count: int, *, now: float, down_time: float
) -> tuple[Agent, ...]:
    """Return up to `count` alive, enabled agents; fewest bindings first, then by host.

    `load` is the number of bindings by agent id.
    """
    usable = [a for a in agents if a.admin_state_up and alive(a, now, down_time)]
    usable.sort(key=lambda a: (load.get(a.id, 0), a.host, a.id))
    return tuple(usable[:count])
