"""Quotas: how many of each kind a project may make. Defaults are options (Neutron's quota_*)."""

from a9fe.model.errors import Conflict
from a9fe.server.call import Call, Settings

ENFORCED = ("network", "subnet", "port", "router", "security_group", "security_group_rule")
NOT_MADE = {"floatingip": 50, "rbac_policy": 10, "subnetpool": -1}
"""Kinds that Neutron has and a9fe does not: shown and set, never reached."""


def defaults(settings: Settings) -> dict[str, int]:
    """The limits of a project that has none of its own; -1: none."""
    return {**{kind: getattr(settings, f"quota_{kind}") for kind in ENFORCED}, **NOT_MADE}


def limits(call: Call, project_id: str) -> dict[str, int]:
    """The limits of a project."""
    return {**defaults(call.settings), **call.session.quotas.of(project_id)}


def check(call: Call, kind: str, project_id: str, more: int = 1) -> None:
    """Room for so many more. Raises OverQuota."""
    if kind not in ENFORCED:
        return
    maximum = limits(call, project_id)[kind]
    if maximum < 0:
        return
    if call.session.quotas.used(kind, project_id, at_most=maximum) + more > maximum:
        raise Conflict("OverQuota", f"Quota exceeded for resources: ['{kind}']: {maximum} at most")
