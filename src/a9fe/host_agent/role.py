"""The differences between the L3 agent and the DHCP agent."""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from dataclasses import dataclass

from a9fe.api_client.state_reports import Configurations
from a9fe.host_agent.converge import Outcome
from a9fe.linux.listeners.proxy_link import ProxyLink
from a9fe.model.resources import Port
from a9fe.plan.host import HostPlan
from a9fe.plan.model_view import ModelView
from a9fe.plan.parts import Part
from a9fe.plan.problems import ByPart
from a9fe.runtime.config import Config

DHCP_DIRECTORY, RA_DIRECTORY = "dhcp", "ra"  # below state_path
IPV6_SETTINGS = "/proc/sys/net/ipv6"
Tasks = Mapping[str, Callable[[], Awaitable[None]]]
"""Functions that run until cancelled, by name."""


def no_tasks(config: Config, proxy: ProxyLink) -> Tasks:
    """Return no additional tasks."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One agent.

    `owner` ("l3", "dhcp") selects its feed, its replica and its kernel objects. `agent_type` and
    `binary` are Neutron's. `parts` are all parts of the host; of each part, `plan` is the desired
    state, `ports` are those whose status the agent reports, `unrouted` the subnets whose router is
    not in place yet, and `counts` are added up for `agent show`, beside `settings`. `after_pass`
    is called after every pass, and returns the problems that it found beside its failures; `tasks`
    run beside the loop.
    """

    owner: str
    agent_type: str
    binary: str
    parts: Callable[[ModelView], Iterable[Part]]
    plan: Callable[[ModelView, Part], HostPlan]
    ports: Callable[[ModelView, Part], Iterable[Port]]
    counts: Callable[[ModelView, Part], Mapping[str, int]]
    settings: Configurations
    unrouted: Callable[[ModelView, Part], Set[str]] = lambda _model, _part: frozenset()
    after_pass: Callable[[ModelView, Outcome], ByPart] = lambda _model, _outcome: {}
    tasks: Callable[[Config, ProxyLink], Tasks] = no_tasks


def dhcp_confs(config: Config) -> str:
    """Return the directory in which each network's dnsmasq has a directory."""
    return os.path.join(os.path.abspath(config.state_path), DHCP_DIRECTORY)


def ra_confs(config: Config) -> str:
    """Return the directory in which each router's radvd has a directory."""
    return os.path.join(os.path.abspath(config.state_path), RA_DIRECTORY)


def host_has_ipv6() -> bool:
    """Return whether the kernel has IPv6, and so its sysctls."""
    return os.path.isdir(IPV6_SETTINGS)
