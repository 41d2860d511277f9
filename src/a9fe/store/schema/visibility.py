"""The resources that a project sees: model.policy.sees as SQL. A test compares the two."""

from typing import Any

from sqlalchemy import Select, and_, false, or_, select, true
from sqlalchemy.sql.elements import BindParameter, ColumnElement

from a9fe.model.policy import SHARED
from a9fe.model.rbac import ACCESS_AS_SHARED
from a9fe.store.schema.rows import kind_of, table_of
from a9fe.store.schema.tables import TABLES

VISIBLE_TO = "visible_to"
"""The name of this condition in a search; its value is a project's id."""


def granted(project_id: str | BindParameter[str], *actions: str) -> Select[str]:
    """SELECT the ids of networks for which an RBAC policy names a project, with one of `actions`
    (default: any)."""
    policies = TABLES["rbac_policy"].c
    query: Select[Any] = select(policies.object_id).where(policies.target_project == project_id)
    return query.where(policies.action.in_(actions)) if actions else query


def visible_to(cls: type[Any], project_id: str | BindParameter[str]) -> ColumnElement[bool]:
    """Return the condition for rows that members of a project see."""
    kind, columns = kind_of(cls), table_of(cls).c
    networks = TABLES["network"].c
    if kind == "flavor":
        return columns.is_public.is_(true())
    if "project_id" not in columns:
        return false()
    own = columns.project_id == project_id
    if kind == "network":
        to_all = and_(columns.external.is_(true()), columns.external_to_some.is_(false()))
        named = columns.id.in_(granted(project_id))
        return or_(own, columns.shared.is_(true()), to_all, named)
    if kind == "subnet":
        theirs = or_(networks.project_id == project_id, networks.shared.is_(true()))
        named = columns.network_id.in_(granted(project_id, ACCESS_AS_SHARED))
        return or_(own, columns.network_id.in_(select(networks.id).where(theirs)), named)
    if kind == "port":
        mine = select(networks.id).where(networks.project_id == project_id)
        return or_(own, columns.network_id.in_(mine))
    if kind in SHARED:
        return or_(own, columns.shared.is_(true()))
    if kind == "image":
        return or_(own, columns.visibility.in_(["public", "community"]))
    return own
