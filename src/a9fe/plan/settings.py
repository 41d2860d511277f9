"""The options that planning depends on, with Neutron's names, meanings and units."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class L3Settings:
    """Options of the L3 agent. `ipv6_on_host`: whether the host's kernel has IPv6 at all.

    `bridge_mappings`: interface or bridge by physical network (plan.uplinks.mappings).
    `ra_confs` is the parent of the directories of the routers' radvd. Router advertisements are
    sent at random intervals between `min_rtr_adv_interval` and `max_rtr_adv_interval`, in seconds.
    """

    enable_metadata_proxy: bool = True
    metadata_port: int = 9697
    metadata_access_mark: int = 0x1
    ra_confs: str = "/var/lib/a9fe/ra"
    min_rtr_adv_interval: int = 30
    max_rtr_adv_interval: int = 100
    ipv6_on_host: bool = True
    bridge_mappings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpSettings:
    """Options of the DHCP agent. `dhcp_lease_duration` in seconds, -1 for infinite.

    `dhcp_confs` is the parent of the directories of the networks' dnsmasq.
    """

    dhcp_confs: str
    enable_isolated_metadata: bool = True
    force_metadata: bool = False
    enable_metadata_network: bool = False
    dhcp_lease_duration: int = 86400
    dnsmasq_dns_servers: tuple[str, ...] = ()
    dnsmasq_lease_max: int = 2**24
    dns_domain: str = "openstacklocal"
    ipv6_on_host: bool = True
    bridge_mappings: Mapping[str, str] = field(default_factory=dict)

    @property
    def serves_isolated(self) -> bool:
        """Whether DHCP namespaces may serve metadata."""
        return self.force_metadata or self.enable_isolated_metadata
