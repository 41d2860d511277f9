"""List, create, update and delete resources of any collection, with all checks of the caller."""

from collections.abc import Mapping
from dataclasses import dataclass

from a9fe.api_tables.attributes import AnswerContext, check_changeable, read_create, read_update
from a9fe.api_tables.listing import links, read_query, scoped
from a9fe.api_tables.typed_requests import UNSET, Request, Unset, given
from a9fe.model.errors import A9feError
from a9fe.model.resources import Resource
from a9fe.operations import access, quotas
from a9fe.operations.answers import one_shown, shown
from a9fe.operations.collections import Collection
from a9fe.operations.transaction import Json, Transaction


class RevisionMismatch(A9feError):
    """The resource's revision number is not the one in If-Match."""

    status = 412
    type = "RevisionNumberConstraintFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page of a list. `links`: to the pages beside it; None if the list has no pages."""

    items: list[Json]
    links: list[dict[str, str]] | None


def list_all(
    tx: Transaction, collection: Collection, given: Mapping[str, list[str]], url: str = ""
) -> Listed:
    """List the resources that the caller sees; `given` is the query, `url` the URL for links."""
    table = collection.table
    access.check_filters(tx, table.kind, given)
    context = AnswerContext(now=tx.now, agent_down_time=tx.config.agent_down_time)
    query = read_query(table, given, context, tx.config.pagination_max_limit)
    query = scoped(query, access.scope(tx))
    found = tx.session.page(collection.cls, query.page)
    more = links(query, given, url, [item.id for item in found]) if query.limited else None
    return Listed(items=shown(tx, found, table, query.fields), links=more)


def require(tx: Transaction, collection: Collection, id: str) -> Resource:
    """Return the resource, if the caller sees it. Raises NotFound."""
    return access.require(tx, collection.cls, id, collection.table.kind)


def create(tx: Transaction, collection: Collection, document: object) -> Json:
    """Create a resource from the inner object of a body; return its answer."""
    assert collection.create is not None
    assert collection.request is not None
    kind, table = collection.table.kind, collection.create_table or collection.table
    access.check_create(tx, kind, document)
    new = read_create(table, collection.request, document)
    access.check_request(tx, kind, new)
    quotas.check(tx, kind, _project(tx, new))
    return one_shown(tx, collection.create(tx, new), collection.table)


def _project(tx: Transaction, new: Request) -> str:
    project_id: str | Unset = getattr(new, "project_id", UNSET)
    return given(project_id, tx.project_id)


def update(
    tx: Transaction,
    collection: Collection,
    id: str,
    document: object,
    constraint: int | None = None,
) -> Json:
    """Change a resource by the inner object of a body; return its answer.

    `constraint` is the revision that it must still have. An attribute that nobody may change is
    refused before the resource is looked up, as in Neutron.
    """
    check_changeable(collection.table, document)
    old = require(tx, collection, id)
    access.check_update(tx, old, document)
    _check_revision(old, constraint)
    change = read_update(collection.table, collection.change, document)
    access.check_references(tx, change)
    return one_shown(tx, collection.update(tx, old, change), collection.table)


def _check_revision(found: Resource, constraint: int | None) -> None:
    current = getattr(found, "revision_number", constraint)
    if constraint is not None and current != constraint:
        raise RevisionMismatch(f"Constrained to {constraint}, but current revision is {current}")


def delete(
    tx: Transaction, collection: Collection, id: str, constraint: int | None = None
) -> None:
    """Delete a resource; `constraint` is the revision that it must still have."""
    found = require(tx, collection, id)
    access.check_change(tx, found)
    _check_revision(found, constraint)
    collection.delete(tx, found)
