"""The resources that are created, shown, listed, updated and deleted alike."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from a9fe.model.compute import Flavor, Image, KeypairRecord
from a9fe.model.errors import NotFound
from a9fe.model.resources import Agent, Instance, Network, Port, Router, Subnet
from a9fe.server import (
    agents,
    instances,
    networks,
    ports,
    records,
    routers,
    scheduling,
    tables,
)
from a9fe.server.attributes import (
    AttributeTable,
    Extra,
    Values,
    read_create,
    read_update,
    show,
)
from a9fe.server.call import Call
from a9fe.server.listing import matches, page, read_query

ALL: frozenset[str] = frozenset()
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A kind of resource and what may be done with it; None: not by this way."""

    table: AttributeTable
    cls: type[Any]
    create: Callable[[Call, Values], Any] | None = None
    update: Callable[[Call, Any, Values], Any]
    delete: Callable[[Call, Any], None]
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
    call: Call, found: Iterable[Any], table: AttributeTable, fields: frozenset[str]
) -> list[Json]:
    """The answers for resources."""
    items = list(found)
    extra = _extra(call, table, items)
    answers = [show(table, item, extra, fields) for item in items]
    if table.kind == "instance" and (not fields or "ports" in fields):
        _add_ports(call, items, answers)
    return answers


def _extra(call: Call, table: AttributeTable, items: list[Any]) -> Extra:
    subnet_ids: dict[str, list[str]] = {}
    if table.kind == "network":
        one = items[0].id if len(items) == 1 else None
        where: dict[str, str] = {"network_id": one} if one else {}
        for subnet in call.session.find(Subnet, **where):
            subnet_ids.setdefault(subnet.network_id, []).append(subnet.id)
    return Extra(
        subnet_ids=subnet_ids,
        now=call.now,
        agent_down_time=call.settings.agent_down_time,
        dns_domain=call.settings.dns_domain,
    )


def _add_ports(call: Call, found: list[Instance], answers: list[Json]) -> None:
    one = {"device_id": found[0].id} if len(found) == 1 else {}
    of: dict[str, list[Json]] = {instance.id: [] for instance in found}
    ours = [port for port in call.session.find(Port, **one) if port.device_id in of]
    for port, answer in zip(ours, shown(call, ours, tables.PORT, ALL), strict=True):
        of[port.device_id].append(answer)
    for instance, answer in zip(found, answers, strict=True):
        answer["ports"] = of[instance.id]


def one_shown(call: Call, resource: object, table: AttributeTable) -> Json:
    """The whole answer for a resource."""
    return shown(call, [resource], table, ALL)[0]


def list_all(call: Call, collection: Collection, given: Mapping[str, list[str]]) -> list[Json]:
    """What a list answers."""
    table = collection.table
    query = read_query(table, given)
    found = call.session.find(collection.cls, **query.where)
    whole = [item for item in shown(call, found, table, ALL) if matches(query, item)]
    items = page(query, whole)
    return [_chosen(item, query.fields) for item in items]


def _chosen(item: Json, fields: frozenset[str]) -> Json:
    return {k: v for k, v in item.items() if k in fields} if fields else item


def require(call: Call, collection: Collection, id: str) -> Any:  # noqa: ANN401 - its class
    """The resource. Raises NotFound with the API's name of its kind."""
    found = call.session.get(collection.cls, id)
    if found is None:
        raise NotFound(collection.table.kind, id)
    return found


def create(call: Call, collection: Collection, document: object) -> Json:
    """Make one from the inner object of a body."""
    assert collection.create is not None
    values = read_create(collection.create_table or collection.table, document)
    return one_shown(call, collection.create(call, values), collection.table)


def update(call: Call, collection: Collection, id: str, document: object) -> Json:
    """Change one by the inner object of a body."""
    old = require(call, collection, id)
    values = read_update(collection.table, document)
    return one_shown(call, collection.update(call, old, values), collection.table)


def delete(call: Call, collection: Collection, id: str) -> None:
    """Remove one."""
    collection.delete(call, require(call, collection, id))
