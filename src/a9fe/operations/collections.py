"""The resources that are created, shown, listed, updated and deleted alike."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from a9fe.api_tables import group_tables, pool_tables
from a9fe.api_tables import neutron_tables as tables
from a9fe.api_tables.attributes import (
    AttributeTable,
    Extra,
    Values,
    check_changeable,
    read_create,
    read_update,
    show,
)
from a9fe.api_tables.listing import links, read_query, scoped
from a9fe.model.compute import Flavor, Image, KeypairRecord
from a9fe.model.errors import A9feError
from a9fe.model.port_order import in_order
from a9fe.model.rbac import RbacPolicy
from a9fe.model.resources import (
    Agent,
    Instance,
    Network,
    Port,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from a9fe.model.subnet_pools import AddressGroup, AddressScope, FloatingIp, SubnetPool
from a9fe.operations import access, quota_limits
from a9fe.operations.agents import agents, scheduling
from a9fe.operations.answer_context import extra_of
from a9fe.operations.instances import instances, records
from a9fe.operations.networks import (
    address_groups,
    networks,
    ports,
    security_groups,
    sharing,
    subnet_pools,
)
from a9fe.operations.routers import floating_ips, routers
from a9fe.operations.transaction import Transaction

ALL: frozenset[str] = frozenset()
Json = dict[str, Any]


class RevisionMismatch(A9feError):
    """The resource's revision number is not the one in If-Match."""

    status = 412
    type = "RevisionNumberConstraintFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A kind of resource and what may be done with it; None: not by this way.

    `prepare` makes what a list should have.
    """

    table: AttributeTable
    cls: type[Any]
    create: Callable[[Transaction, Values], Any] | None = None
    update: Callable[[Transaction, Any, Values], Any]
    delete: Callable[[Transaction, Any], None]
    prepare: Callable[[Transaction], None] | None = None
    create_table: AttributeTable | None = None


COLLECTIONS: dict[str, Collection] = {
    c.table.plural: c
    for c in (
        Collection(
            table=tables.NETWORK,
            cls=Network,
            create=networks.create,
            update=networks.update,
            delete=networks.delete,
        ),
        Collection(
            table=tables.SUBNET,
            cls=Subnet,
            create=networks.create_subnet,
            update=networks.update_subnet,
            delete=networks.delete_subnet,
        ),
        Collection(
            table=tables.PORT,
            cls=Port,
            create=ports.create,
            update=ports.update,
            delete=scheduling.delete_port,
        ),
        Collection(
            table=tables.ROUTER,
            cls=Router,
            create=routers.create,
            update=routers.update,
            delete=routers.delete,
        ),
        Collection(
            table=group_tables.SECURITY_GROUP,
            cls=SecurityGroup,
            create=security_groups.create,
            update=security_groups.update,
            delete=security_groups.delete,
            prepare=security_groups.prepare,
        ),
        Collection(
            table=group_tables.SECURITY_GROUP_RULE,
            cls=SecurityGroupRule,
            create=security_groups.create_rule,
            update=security_groups.update_rule,
            delete=security_groups.delete_rule,
            prepare=security_groups.prepare,
        ),
        Collection(
            table=pool_tables.SUBNETPOOL,
            cls=SubnetPool,
            create=subnet_pools.create,
            update=subnet_pools.update,
            delete=subnet_pools.delete,
        ),
        Collection(
            table=pool_tables.ADDRESS_SCOPE,
            cls=AddressScope,
            create=subnet_pools.create_scope,
            update=subnet_pools.update_scope,
            delete=subnet_pools.delete_scope,
        ),
        Collection(
            table=pool_tables.FLOATINGIP,
            cls=FloatingIp,
            create=floating_ips.create,
            update=floating_ips.update,
            delete=floating_ips.delete,
        ),
        Collection(
            table=pool_tables.RBAC_POLICY,
            cls=RbacPolicy,
            create=sharing.create,
            update=sharing.update,
            delete=sharing.delete,
        ),
        Collection(
            table=pool_tables.ADDRESS_GROUP,
            cls=AddressGroup,
            create=address_groups.create,
            update=address_groups.update,
            delete=address_groups.delete,
        ),
        Collection(table=tables.AGENT, cls=Agent, update=agents.update, delete=agents.delete),
        Collection(
            table=tables.INSTANCE,
            cls=Instance,
            create=instances.create,
            update=instances.update,
            delete=instances.delete,
            create_table=tables.INSTANCE_REQUEST,
        ),
        Collection(
            table=records.FLAVOR,
            cls=Flavor,
            create=records.create_flavor,
            update=records.update_flavor,
            delete=records.delete_flavor,
        ),
        Collection(
            table=records.IMAGE,
            cls=Image,
            create=records.create_image,
            update=records.update_image,
            delete=records.delete_image,
        ),
        Collection(
            table=records.KEYPAIR,
            cls=KeypairRecord,
            create=records.create_keypair,
            update=records.update_keypair,
            delete=records.delete_keypair,
        ),
    )
}

OURS = ("instances", "flavors", "images", "keypairs")
"""The collections below /a9fe/v1; all others are Neutron's, below /v2.0."""


def shown(
    tx: Transaction, found: Iterable[Any], table: AttributeTable, fields: frozenset[str]
) -> list[Json]:
    """The answers for resources."""
    items = list(found)
    extra = extra_of(tx, table, [item.id for item in items])
    answers = [show(table, item, extra, fields) for item in items]
    if table.kind == "instance" and (not fields or "ports" in fields):
        _add_ports(tx, items, answers)
    return access.without_hidden(tx, table.kind, answers)


def _add_ports(tx: Transaction, found: list[Instance], answers: list[Json]) -> None:
    of: dict[str, list[Port]] = {instance.id: [] for instance in found}
    ours = tx.session.find(Port, device_id=list(of))
    told = {answer["id"]: answer for answer in shown(tx, ours, tables.PORT, ALL)}
    for port in ours:
        of[port.device_id].append(port)
    for instance, answer in zip(found, answers, strict=True):
        answer["ports"] = [told[port.id] for port in in_order(instance, of[instance.id])]


def one_shown(tx: Transaction, resource: object, table: AttributeTable) -> Json:
    """The whole answer for a resource."""
    return shown(tx, [resource], table, ALL)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page of a list; `links` None: it has no pages."""

    items: list[Json]
    links: list[dict[str, str]] | None


def list_all(
    tx: Transaction, collection: Collection, given: Mapping[str, list[str]], url: str = ""
) -> Listed:
    """What a list answers; `url` is its own, for the links."""
    table = collection.table
    access.check_filters(tx, table.kind, given)
    extra = Extra(now=tx.now, agent_down_time=tx.config.agent_down_time)
    query = read_query(table, given, extra, tx.config.pagination_max_limit)
    query = scoped(query, access.scope(tx))
    found = tx.session.page(collection.cls, query.page)
    more = links(query, given, url, [item.id for item in found]) if query.limited else None
    return Listed(items=shown(tx, found, table, query.fields), links=more)


def require(tx: Transaction, collection: Collection, id: str) -> Any:  # noqa: ANN401 - its class
    """The resource. Raises NotFound with the API's name of its kind."""
    return access.require(tx, collection.cls, id, collection.table.kind)


def create(tx: Transaction, collection: Collection, document: object) -> Json:
    """Make one from the inner object of a body."""
    assert collection.create is not None
    access.check_create(tx, collection.table.kind, document)
    values = read_create(collection.create_table or collection.table, document)
    access.check_made(tx, collection.table.kind, values)
    quota_limits.check(tx, collection.table.kind, values.get("project_id", tx.project_id))
    return one_shown(tx, collection.create(tx, values), collection.table)


def update(
    tx: Transaction,
    collection: Collection,
    id: str,
    document: object,
    constraint: int | None = None,
) -> Json:
    """Change one by the inner object of a body, if it has still the revision of `constraint`.

    What nobody may change is refused before the resource is looked for, as Neutron does.
    """
    check_changeable(collection.table, document)
    old = require(tx, collection, id)
    access.check_update(tx, old, document)
    _check_revision(old, constraint)
    values = read_update(collection.table, document)
    access.check_values(tx, values)
    return one_shown(tx, collection.update(tx, old, values), collection.table)


def _check_revision(found: Any, constraint: int | None) -> None:  # noqa: ANN401 - any resource
    current = getattr(found, "revision_number", constraint)
    if constraint is not None and current != constraint:
        raise RevisionMismatch(f"Constrained to {constraint}, but current revision is {current}")


def delete(
    tx: Transaction, collection: Collection, id: str, constraint: int | None = None
) -> None:
    """Remove one."""
    found = require(tx, collection, id)
    access.check_change(tx, found)
    _check_revision(found, constraint)
    collection.delete(tx, found)
