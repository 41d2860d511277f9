"""What an operation works with: one transaction, the settings, the caller."""

import secrets
import uuid
from dataclasses import dataclass
from typing import Protocol

from a9fe.model import rules
from a9fe.model.rules_scheduling import timestamp
from a9fe.store import Session


class Settings(Protocol):
    """The options that operations read; runtime.config.Config has them."""

    @property
    def host(self) -> str:
        """This host's name, to which instances' ports are bound by default."""

    @property
    def base_mac(self) -> str:
        """The prefix of MACs."""

    @property
    def agent_down_time(self) -> int:
        """Seconds without a heartbeat after which an agent is not alive."""

    @property
    def dhcp_agents_per_network(self) -> int:
        """How many DHCP agents serve a network."""

    @property
    def global_physnet_mtu(self) -> int:
        """The MTU of networks that ask for none."""

    @property
    def max_dns_nameservers(self) -> int:
        """Most name servers of a subnet."""

    @property
    def max_subnet_host_routes(self) -> int:
        """Most host routes of a subnet."""

    @property
    def dns_domain(self) -> str:
        """The domain of ports' names."""

    @property
    def default_availability_zone(self) -> str:
        """The zone of instances and agents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One API call inside its transaction. `project_id` is the caller's; `now` UNIX seconds."""

    session: Session
    settings: Settings
    now: float
    project_id: str

    @property
    def at(self) -> str:
        """The time of the call, ISO 8601."""
        return timestamp(self.now)

    def random_mac(self) -> str:
        """A MAC on base_mac."""
        return rules.random_mac(self.settings.base_mac, secrets.token_bytes(6))


def new_id() -> str:
    """A fresh resource id."""
    return str(uuid.uuid4())
