"""Changes of a project's quotas (Neutron's quotas API)."""

from dataclasses import dataclass

from a9fe.api_tables import converters as to
from a9fe.api_tables.envelope import member
from a9fe.model.errors import InvalidInput

QUOTA_KINDS = (
    "network",
    "subnet",
    "port",
    "router",
    "security_group",
    "security_group_rule",
    "floatingip",
    "subnetpool",
    "rbac_policy",
)
"""Kinds that Neutron's API has quotas for."""
LIMIT = to.integer(-1, 2**31 - 1)
_IGNORED = frozenset({"tenant_id", "project_id", "force", "check_limit"})


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaChange:
    """New limits by kind; -1 is no limit.

    `force`: set a limit below what the project uses; None if it is not given.
    """

    limits: dict[str, int]
    force: bool | None


def read_quota(document: object) -> QuotaChange:
    """Read the body {"quota": {...}}. Raises BadRequest or InvalidInput."""
    given = member(document, "quota")
    if not isinstance(given, dict):
        raise InvalidInput("quota", given, "an object")
    limits = {name: value for name, value in given.items() if name not in _IGNORED}
    for name in limits:
        if name not in QUOTA_KINDS:
            known = ", ".join(sorted(QUOTA_KINDS))
            raise InvalidInput(name, "unknown resource", f"one of {known}")
    force = given.get("force")
    return QuotaChange(
        limits={name: LIMIT(name, value) for name, value in limits.items()},
        force=None if force is None else to.boolean("force", force),
    )
