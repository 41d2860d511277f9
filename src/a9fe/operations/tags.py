"""Tags of resources (Neutron's standard-attr-tag)."""

from collections.abc import Set

from a9fe.api_tables.tags import TAG_MAX, check_number
from a9fe.model.errors import A9feError
from a9fe.model.resources import Resource
from a9fe.operations import access
from a9fe.operations.transaction import Transaction


class TagNotFound(A9feError):
    """A resource does not have the tag."""

    status = 404
    type = "TagNotFound"


def tags_of(tx: Transaction, resource: Resource) -> list[str]:
    """Return the tags of a resource, sorted."""
    return sorted(tx.session.tags.of([resource.id]).get(resource.id, ()))


def set_tags(tx: Transaction, resource: Resource, wanted: Set[str]) -> list[str]:
    """Replace the tags of a resource; return them, sorted. Raises InvalidInput for too many."""
    access.check_change(tx, resource)
    check_number(wanted)
    tags = sorted(wanted)
    if tags != tags_of(tx, resource):
        tx.session.retag(resource, tags)
    return tags


def add_tag(tx: Transaction, resource: Resource, name: str) -> None:
    """Add a tag to a resource."""
    set_tags(tx, resource, {*tags_of(tx, resource), name})


def remove_tag(tx: Transaction, resource: Resource, name: str) -> None:
    """Remove a tag from a resource. Raises TagNotFound."""
    access.check_change(tx, resource)
    check_tag(tx, resource, name)
    set_tags(tx, resource, set(tags_of(tx, resource)) - {name})


def check_tag(tx: Transaction, resource: Resource, name: str) -> None:
    """Raise TagNotFound unless the resource has the tag."""
    if name not in tags_of(tx, resource):
        raise TagNotFound(f"Tag {name[:TAG_MAX]!r} could not be found")
