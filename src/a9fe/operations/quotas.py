"""Quotas: how many resources of each kind a project may have. Defaults are quota_* options."""

from a9fe.api_tables.quota_requests import QUOTA_KINDS, QuotaChange
from a9fe.model.errors import OVER_QUOTA, Conflict, InvalidInput, NotFound
from a9fe.operations import access
from a9fe.operations.transaction import Transaction
from a9fe.runtime.config import Config

RECORDS = {"instance": "instances", "keypair": "key_pairs", "image": "image_count_total"}
"""Nova's and Glance's kinds, with the names of their quotas. Neutron's API does not show them."""


def defaults(config: Config) -> dict[str, int]:
    """Return the limits of a project without its own, by kind; -1 is no limit."""
    return {kind: getattr(config, f"quota_{kind}") for kind in QUOTA_KINDS}


def limits(tx: Transaction, project_id: str) -> dict[str, int]:
    """Return the limits of a project, by kind; -1 is no limit."""
    return {**defaults(tx.config), **tx.session.quotas.of(project_id)}


def check(tx: Transaction, kind: str, project_id: str, more: int = 1) -> None:
    """Raise Conflict (OverQuota) unless the project may create `more` resources of the kind."""
    if kind not in QUOTA_KINDS:
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


def check_readable(tx: Transaction, project_id: str) -> None:
    """Raise Forbidden for the quotas of another project, unless the caller is an admin."""
    if project_id != tx.project_id:
        access.require_admin(tx, "quotas of other projects")


def changed_limits(tx: Transaction) -> dict[str, dict[str, int]]:
    """Return the limits of projects that have their own, by project. For admins."""
    access.require_admin(tx, "quotas")
    return {project_id: limits(tx, project_id) for project_id in tx.session.quotas.all()}


def used(tx: Transaction, kind: str, project_id: str) -> int:
    """Return how many resources of the kind a project has."""
    return tx.session.quotas.used(kind, project_id) if kind in QUOTA_KINDS else 0


def update(tx: Transaction, project_id: str, change: QuotaChange) -> dict[str, int]:
    """Set limits of a project; return all of its limits. For admins.

    A limit below the use is refused unless forced (Neutron since 2025.1): InvalidInput, or
    Conflict if the request has `force: false`.
    """
    access.require_admin(tx, "quotas")
    if not change.force:
        _check_used(tx, project_id, change)
    tx.session.quotas.set(project_id, change.limits)
    return limits(tx, project_id)


def _check_used(tx: Transaction, project_id: str, change: QuotaChange) -> None:
    for kind, limit in change.limits.items():
        present = used(tx, kind, project_id)
        if not 0 <= limit < present:
            continue
        words = f"Quota limit {limit} for {kind} must be greater than or equal to already used"
        message = f"{words} {present}; use force, or delete some"
        if change.force is False:
            raise Conflict("QuotaLimitBelowUse", message)
        expected = f"at least {present} (the usage), or force: true"
        raise InvalidInput(kind, limit, expected, type="HTTPBadRequest", words=message)


def delete(tx: Transaction, project_id: str) -> None:
    """Return a project to the default limits. For admins. Raises NotFound if it has no others."""
    access.require_admin(tx, "quotas")
    if not tx.session.quotas.of(project_id):
        raise NotFound("tenant_quota", project_id)
    tx.session.quotas.clear(project_id)
