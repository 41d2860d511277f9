"""The process: its role, and the privileges it keeps."""

import os
from collections.abc import Awaitable, Callable, Mapping

from a9fe.api_client.state_reports import Configurations, keep_reporting
from a9fe.dhcp_agent.admission_log import AdmissionLog
from a9fe.host_agent.process import Role, dhcp_confs, host_has_ipv6, serve
from a9fe.linux.dhcp import leases
from a9fe.linux.listeners.proxy_link import ProxyLink
from a9fe.linux.processes import privileges
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.model_view import ModelView
from a9fe.plan.settings import DhcpSettings
from a9fe.runtime import tasks
from a9fe.runtime.config import Config

OWNER = "dhcp"


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Needs root, and keeps of it what namespaces take."""
    privileges.require_root("a9fe dhcp-agent")
    role = make_role(config)
    privileges.limit_capabilities()
    tasks.run(lambda: serve(config, role))


def make_role(config: Config) -> Role:
    """The DHCP agent of config.host."""
    settings = DhcpSettings(
        dhcp_confs=dhcp_confs(config),
        enable_isolated_metadata=config.enable_isolated_metadata,
        force_metadata=config.force_metadata,
        dhcp_lease_duration=config.dhcp_lease_duration,
        dnsmasq_dns_servers=config.dnsmasq_dns_servers,
        dnsmasq_lease_max=config.dnsmasq_lease_max,
        dns_domain=config.dns_domain,
        ipv6_on_host=host_has_ipv6(),
    )

    def in_use(network_id: str) -> Mapping[str, frozenset[str]]:
        directory = os.path.join(settings.dhcp_confs, network_id)
        return leases.in_use(directory, settings.dhcp_lease_duration)

    return Role(
        owner=OWNER,
        agent_type="DHCP agent",
        binary="neutron-dhcp-agent",
        plan=lambda model: dhcp.plan(model, config.host, settings, in_use),
        ports=lambda model: dhcp.ports(model, config.host),
        configurations=lambda model: configurations(model, config),
        look=AdmissionLog(config.host).look,
        more=proxy_heartbeat,
    )


def configurations(model: ModelView, config: Config) -> Configurations:
    """What the agent says of itself, with Neutron's keys."""
    served = tuple(dhcp.networks(model, config.host))
    return {
        "dhcp_driver": "dnsmasq",
        "dhcp_lease_duration": config.dhcp_lease_duration,
        "networks": len(served),
        "subnets": sum(len(network.served) for network in served),
        "ports": sum(len(network.ports) for network in served),
    }


def proxy_heartbeat(
    config: Config, proxy: ProxyLink
) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """Report the metadata proxy, which has no credential, while it is connected to us."""
    who = ("Metadata proxy", "a9fe-metadata-proxy")
    return {"proxy heartbeat": lambda: keep_reporting(config, *who, lives=lambda: proxy.connected)}
