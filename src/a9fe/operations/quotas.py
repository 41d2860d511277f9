"""Quotas: how many resources of each kind a project may have. Defaults are quota_* options."""

from a9fe.model.errors import OVER_QUOTA, Conflict
from a9fe.operations.transaction import Transaction
from a9fe.runtime.config import Config

ENFORCED = (
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


RECORDS = {"instance": "instances", "keypair": "key_pairs", "image": "image_count_total"}
"""Nova's and Glance's kinds, with the names of their quotas. Neutron's API does not show them."""


def defaults(config: Config) -> dict[str, int]:
    """Return the limits of a project without its own, by kind; -1 is no limit."""
    return {kind: getattr(config, f"quota_{kind}") for kind in ENFORCED}


def limits(tx: Transaction, project_id: str) -> dict[str, int]:
    """Return the limits of a project, by kind; -1 is no limit."""
    return {**defaults(tx.config), **tx.session.quotas.of(project_id)}


def check(tx: Transaction, kind: str, project_id: str, more: int = 1) -> None:
    """Raise Conflict (OverQuota) unless the project may create `more` resources of the kind."""
    if kind not in ENFORCED:
        return
    _check(tx, kind, kind, project_id, limits(tx, project_id)[kind], more)


def check_record(tx: Transaction, kind: str, project_id: str) -> None:
    """Raise Conflict (OverQuota) unless the project may create another of RECORDS."""
    _check(tx, kind, RECORDS[kind], project_id, record_limit(tx, kind), 1)


def record_limit(tx: Transaction, kind: str) -> int:
    """Return how many of RECORDS a project may have; -1 is no limit."""
    return int(getattr(tx.config, f"quota_{RECORDS[kind]}"))


def _check(
    tx: Transaction, kind: str, name: str, project_id: str, maximum: int, more: int
) -> None:
    if maximum < 0:
        return
    if tx.session.quotas.used(kind, project_id, at_most=maximum) + more > maximum:
        raise Conflict(OVER_QUOTA, f"Quota exceeded for resources: ['{name}']: limit {maximum}")
