"""JSON Schemas of a collection's requests and answers, from its attribute table."""

from collections.abc import Iterable
from typing import Any

from a9fe.api_tables import schemas
from a9fe.api_tables.attributes import Attribute, AttributeTable, Permission
from a9fe.api_tables.schemas import ANY, Component, Schema, enclosed, enclosed_list
from a9fe.operations.collections import COLLECTIONS, Collection

Json = dict[str, Any]
BULK_MAX = 1000  # resources in one POST


def _name_of(table: AttributeTable) -> str:
    """Return the name of a kind's schema, such as "SecurityGroup"."""
    return "".join(word.capitalize() for word in table.kind.split("_"))


def shown(plural: str) -> Component:
    """Return the schema of one resource in answers."""
    collection = COLLECTIONS[plural]
    table = collection.table
    schema = {"type": "object", "properties": _answered(table, collection.cls)}
    return Component(_name_of(table), schema)


def created(collection: Collection) -> Schema:
    """Return the schema of a POST's body: one resource, or several."""
    table = collection.table
    request = collection.create_table or table
    schema = _request_schema((a for a in request.attributes if a.create), create=True)
    one = Component(f"{_name_of(table)}Create", schema)
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": BULK_MAX}
    bodies = {table.kind: one, table.plural: many}
    return {"oneOf": [schemas.members((), **{name: body}) for name, body in bodies.items()]}


def created_answer(collection: Collection) -> Schema:
    """Return the schema of a POST's answer: one resource, or several."""
    table, schema = collection.table, shown(collection.table.plural)
    return {"anyOf": [enclosed(table.kind, schema), enclosed_list(table.plural, schema)]}


def updated(collection: Collection) -> Schema:
    """Return the schema of a PUT's body."""
    table = collection.table
    schema = _request_schema((a for a in table.attributes if a.update), create=False)
    return schemas.members((), **{table.kind: Component(f"{_name_of(table)}Update", schema)})


def _answered(table: AttributeTable, cls: type[Any]) -> Json:
    of_model = schemas.of_fields(cls)
    return {a.name: {**_shown(a, of_model), **_read_only(a)} for a in table.attributes if a.see}


def _shown(attribute: Attribute, of_model: dict[str, schemas.Schema]) -> Json:
    """Return an attribute's schema in answers: from ANSWER_SCHEMAS, else the model field's."""
    if attribute.name in ANSWER_SCHEMAS:
        return ANSWER_SCHEMAS[attribute.name]
    return dict(of_model.get(attribute.field, ANY))


ANSWER_SCHEMAS: dict[str, Json] = {
    "user_data": {"type": ["string", "null"], "format": "byte"},
    "tenant_id": {"type": "string"},
    "status": {"type": "string"},
    "alive": {"type": "boolean"},
    **{f"{name}_prefixlen": {"type": "string"} for name in ("min", "max", "default")},
}
"""Schemas of attributes whose form in answers differs from the model's."""

_FIXED_IP: Json = {
    "type": "object",
    "properties": {
        "subnet_id": {"type": "string", "format": "uuid"},
        "ip_address": {"type": "string", "examples": ["10.1.0.20"]},
    },
    "additionalProperties": False,
    "minProperties": 1,
}
REQUEST_SCHEMAS: dict[str, Json] = {
    "ip_version": {"type": "integer", "enum": [4, 6]},
    "dns_name": {"type": "string", "maxLength": 253},
    "dns_domain": {"type": "string", "maxLength": 253},
    "binding:profile": {"type": ["object", "null"]},
    "ethertype": {"type": "string", "enum": ["IPv4", "IPv6"]},
    "protocol": {"type": ["string", "integer", "null"], "description": "Protocol name or number"},
    "remote_ip_prefix": {"type": ["string", "null"], "examples": ["10.1.0.0/24"]},
    "external_gateway_info": {
        "type": ["object", "null"],
        "properties": {
            "network_id": {"type": "string", "format": "uuid"},
            "enable_snat": {"type": "boolean"},
            "external_fixed_ips": {"type": "array", "items": _FIXED_IP},
        },
        "additionalProperties": False,
    },
}
"""Schemas of attributes whose converters declare none."""


def _read_only(attribute: Attribute) -> Json:
    return {} if attribute.create or attribute.update else {"readOnly": True}


def _request_schema(attributes: Iterable[Attribute], *, create: bool) -> Json:
    chosen = list(attributes)
    properties: Json = {
        a.name: _attribute_schema(a, a.create if create else a.update) for a in chosen
    }
    if "project_id" in properties:
        properties["tenant_id"] = properties["project_id"]
    found: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [a.name for a in chosen if a.required] if create else []
    return {**found, "required": required} if required else found


def _attribute_schema(attribute: Attribute, permission: Permission) -> Json:
    assert attribute.convert is not None
    schema = dict(schemas.taken_by(attribute.convert) or REQUEST_SCHEMAS.get(attribute.name, ANY))
    if permission == "admin":
        schema["description"] = "Only admins may set this"
    default = attribute.default
    if isinstance(default, str | bool | int) and default != "":
        schema["default"] = default
    return schema
