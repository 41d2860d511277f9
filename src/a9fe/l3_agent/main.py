"""The L3 agent's process: its role, and the privileges that it keeps."""

from collections.abc import Mapping

from a9fe.host_agent.process import serve
from a9fe.host_agent.role import Role, host_has_ipv6, ra_confs
from a9fe.linux.processes import privileges
from a9fe.plan import model_view, uplinks
from a9fe.plan.model_view import ModelView
from a9fe.plan.parts import Part
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import L3Settings
from a9fe.runtime import tasks
from a9fe.runtime.config import Config

OWNER = "l3"


def run(config: Config) -> None:
    """Run until SIGTERM or SIGINT. Needs root; keeps the capabilities that namespaces need."""
    privileges.require_root("a9fe l3-agent")
    role = make_role(config)
    privileges.limit_capabilities()
    tasks.run(lambda: serve(config, role))


def make_role(config: Config) -> Role:
    """Return the role of the L3 agent on config.host."""
    settings = L3Settings(
        enable_metadata_proxy=config.enable_metadata_proxy,
        metadata_port=config.metadata_port,
        metadata_access_mark=int(config.metadata_access_mark, 0),
        ra_confs=ra_confs(config),
        min_rtr_adv_interval=config.min_rtr_adv_interval,
        max_rtr_adv_interval=config.max_rtr_adv_interval,
        ipv6_on_host=host_has_ipv6(),
        bridge_mappings=uplinks.mappings(config.bridge_mappings),
    )
    return Role(
        owner=OWNER,
        agent_type="L3 agent",
        binary="neutron-l3-agent",
        parts=lambda model: l3.all_parts(model, config.host),
        plan=lambda model, part: l3.plan_part(model, config.host, settings, part),
        ports=lambda model, part: l3.ports(model, config.host, part),
        counts=lambda model, part: counts(model, config.host, part),
        settings={"agent_mode": "legacy"},
    )


def counts(model: ModelView, host: str, part: Part) -> Mapping[str, int]:
    """Return the part's share of what the agent reports of itself, with Neutron's keys."""
    is_here = part.kind == "router" and model_view.is_bound(model, OWNER, host, part.id)
    ports = len(l3.ports(model, host, part))
    floating = len(tuple(model.floating_ips_by_router(part.id))) if is_here else 0
    return {
        "routers": int(is_here),
        "interfaces": ports if part.kind == "router" else 0,
        "ex_gw_ports": ports if part.kind == "network" else 0,
        "floating_ips": floating,
    }
