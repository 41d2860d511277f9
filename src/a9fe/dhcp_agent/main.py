"""The DHCP agent's process: its role, and the privileges that it keeps."""

import os
from collections.abc import Mapping, Set

from a9fe.api_client.state_reports import keep_reporting
from a9fe.dhcp_agent.admission_log import AdmissionLog
from a9fe.host_agent.converge import Outcome
from a9fe.host_agent.process import serve
from a9fe.host_agent.role import Role, Tasks, dhcp_confs, host_has_ipv6
from a9fe.linux.dhcp import leases
from a9fe.linux.listeners.proxy_link import ProxyLink
from a9fe.linux.processes import privileges
from a9fe.plan import port_status, problems, uplinks
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.filters import admission
from a9fe.plan.model_view import ModelView
from a9fe.plan.parts import Part
from a9fe.plan.settings import DhcpSettings
from a9fe.runtime import tasks
from a9fe.runtime.config import Config

OWNER = "dhcp"


def run(config: Config) -> None:
    """Run until SIGTERM or SIGINT. Needs root; keeps the capabilities that namespaces need."""
    privileges.require_root("a9fe dhcp-agent")
    role = make_role(config)
    privileges.limit_capabilities()
    tasks.run(lambda: serve(config, role))


def make_role(config: Config) -> Role:
    """Return the role of the DHCP agent on config.host."""
    settings = DhcpSettings(
        dhcp_confs=dhcp_confs(config),
        enable_isolated_metadata=config.enable_isolated_metadata,
        force_metadata=config.force_metadata,
        enable_metadata_network=config.enable_metadata_network,
        dhcp_lease_duration=config.dhcp_lease_duration,
        dnsmasq_dns_servers=config.dnsmasq_dns_servers,
        dnsmasq_lease_max=config.dnsmasq_lease_max,
        dns_domain=config.dns_domain,
        ipv6_on_host=host_has_ipv6(),
        bridge_mappings=uplinks.mappings(config.bridge_mappings),
    )

    log = AdmissionLog()

    def in_use(network_id: str) -> Mapping[str, frozenset[str]]:
        directory = os.path.join(settings.dhcp_confs, network_id)
        return leases.in_use(directory, settings.dhcp_lease_duration)

    return Role(
        owner=OWNER,
        agent_type="DHCP agent",
        binary="neutron-dhcp-agent",
        parts=dhcp.all_parts,
        plan=lambda model, part: dhcp.plan_part(model, config.host, settings, part, in_use),
        ports=lambda model, part: dhcp.ports(model, config.host, part),
        counts=lambda model, part: counts(model, config.host, part),
        settings={
            "dhcp_driver": "dnsmasq",
            "dhcp_lease_duration": config.dhcp_lease_duration,
        },
        unrouted=lambda model, part: unrouted(model, config, part),
        after_pass=lambda model, outcome: after_pass(model, config.host, outcome, log),
        tasks=proxy_heartbeat,
    )


def after_pass(
    model: ModelView, host: str, outcome: Outcome, log: AdmissionLog
) -> problems.ByPart:
    """Log what is refused; return the problems of ports whose taps the filters refuse."""
    found = admission.refused(model, host, outcome.desired, outcome.observed)
    log.passed(found, outcome)
    return problems.of_refused_taps(found, outcome.plans)


def unrouted(model: ModelView, config: Config, part: Part) -> Set[str]:
    """Return the subnets of a network whose VMs read metadata from a router not yet in place."""
    if part.kind != "network" or config.force_metadata:
        return frozenset()
    return port_status.unrouted(model, part.id)


def counts(model: ModelView, host: str, part: Part) -> Mapping[str, int]:
    """Return the part's share of what the agent reports of itself, with Neutron's keys."""
    network = dhcp.served(model, host, part.id) if part.kind == "network" else None
    if network is None:
        return {"networks": 0, "subnets": 0, "ports": 0}
    return {"networks": 1, "subnets": len(network.served), "ports": len(network.ports)}


def proxy_heartbeat(config: Config, proxy: ProxyLink) -> Tasks:
    """Report the metadata proxy while it is connected: it has no API token of its own."""
    kind = ("Metadata proxy", "a9fe-metadata-proxy")
    return {
        "proxy heartbeat": lambda: keep_reporting(config, *kind, is_alive=lambda: proxy.connected)
    }
