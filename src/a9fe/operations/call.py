"""What an operation works with: one transaction, the settings, the caller."""

import secrets
import uuid
from dataclasses import dataclass
from typing import Protocol

from a9fe.model.policy import Caller
from a9fe.model.rules import addresses as rules
from a9fe.model.rules.scheduling import timestamp
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
    def dhcp_domain(self) -> str:
        """The domain behind instances' host names."""

    @property
    def region_name(self) -> str:
        """The region that guests read."""

    @property
    def vendordata_jsonfile_path(self) -> str:
        """The vendor data's file; "" for none."""

    @property
    def vendordata_providers(self) -> tuple[str, ...]:
        """What vendor data is served (Nova's names)."""

    @property
    def pagination_max_limit(self) -> int:
        """The longest page of a list; -1: any."""

    @property
    def quota_network(self) -> int:
        """Networks that a project may make; -1: any number. So are the others."""

    @property
    def quota_subnet(self) -> int:
        """Subnets of a project."""

    @property
    def quota_port(self) -> int:
        """Ports of a project."""

    @property
    def quota_router(self) -> int:
        """Routers of a project."""

    @property
    def quota_security_group(self) -> int:
        """Security groups of a project."""

    @property
    def quota_security_group_rule(self) -> int:
        """Security group rules of a project."""

    @property
    def quota_instances(self) -> int:
        """Instances of a project (Nova)."""

    @property
    def quota_key_pairs(self) -> int:
        """Key pairs of a project (Nova)."""

    @property
    def quota_image_count_total(self) -> int:
        """Images of a project (Glance)."""

    @property
    def max_allowed_address_pair(self) -> int:
        """Most allowed address pairs of a port."""

    @property
    def quota_floatingip(self) -> int:
        """Floating IPs of a project."""

    @property
    def quota_subnetpool(self) -> int:
        """Subnet pools of a project."""

    @property
    def quota_rbac_policy(self) -> int:
        """RBAC policies of a project."""

    @property
    def default_availability_zone(self) -> str:
        """The zone of instances and agents."""

    @property
    def identity_issuer(self) -> str:
        """In whose name hosts sign identities, a URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One API call inside its transaction; `now` in UNIX seconds."""

    session: Session
    settings: Settings
    now: float
    caller: Caller

    @property
    def project_id(self) -> str:
        """The caller's project."""
        return self.caller.project_id

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
