"""The schemas of the API's document: from attribute tables, Nova's fields, and error bodies."""

from collections.abc import Iterable
from typing import Any

from a9fe.api_tables import schemas
from a9fe.api_tables.attributes import Attribute, AttributeTable, Permission
from a9fe.api_tables.schemas import ANY
from a9fe.operations.collections import COLLECTIONS, Collection
from a9fe.server.nova import fields as nova

Json = dict[str, Any]


def name_of(table: AttributeTable) -> str:
    """The name of a kind's schema: "SecurityGroup"."""
    return "".join(word.capitalize() for word in table.kind.split("_"))


def ref(name: str) -> Json:
    """A reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def components() -> Json:
    """Every schema by name."""
    found: Json = {}
    for collection in COLLECTIONS.values():
        found |= _of_collection(collection)
    tables: dict[str, tuple[nova.Field[Any], ...]] = {
        "Server": nova.DETAIL,
        "ServerSummary": nova.SUMMARY,
        "ServerFlavor": nova.FLAVOR_DETAIL,
        "ServerFlavorSummary": nova.FLAVOR_SUMMARY,
        "ServerKeypair": nova.KEYPAIR_DETAIL,
        "ServerKeypairSummary": nova.KEYPAIR_SUMMARY,
    }
    found |= {name: _of_fields(fields) for name, fields in tables.items()}
    return dict(sorted({**found, **_FAULTS}.items()))


def _of_collection(collection: Collection) -> Json:
    table, name = collection.table, name_of(collection.table)
    found = {name: {"type": "object", "properties": _answered(table, collection.cls)}}
    if collection.create is not None:
        request = collection.create_table or table
        found[f"{name}Create"] = _taken((a for a in request.attributes if a.create), create=True)
    found[f"{name}Update"] = _taken((a for a in table.attributes if a.update), create=False)
    return found


def _answered(table: AttributeTable, cls: type[Any]) -> Json:
    of_model = schemas.of_fields(cls)
    return {a.name: {**_shown(a, of_model), **_marks(a)} for a in table.attributes if a.see}


def _shown(attribute: Attribute, of_model: dict[str, schemas.Schema]) -> Json:
    """The schema of what is answered: the model's, where the attribute is a field of it."""
    if attribute.name in SHOWN_OTHERWISE:
        return SHOWN_OTHERWISE[attribute.name]
    return dict(of_model.get(attribute.field, ANY))


SHOWN_OTHERWISE: dict[str, Json] = {
    "user_data": {"type": ["string", "null"], "format": "byte"},
    "tenant_id": {"type": "string"},
    "status": {"type": "string"},
    "alive": {"type": "boolean"},
    **{f"{name}_prefixlen": {"type": "string"} for name in ("min", "max", "default")},
}
"""Attributes whose answer is not what the model keeps."""


_FIXED_IP: Json = {
    "type": "object",
    "properties": {
        "subnet_id": {"type": "string", "format": "uuid"},
        "ip_address": {"type": "string", "examples": ["10.1.0.20"]},
    },
    "additionalProperties": False,
    "minProperties": 1,
}
GIVEN: dict[str, Json] = {
    "ip_version": {"type": "integer", "enum": [4, 6]},
    "dns_name": {"type": "string", "maxLength": 253},
    "dns_domain": {"type": "string", "maxLength": 253},
    "binding:profile": {"type": ["object", "null"]},
    "ethertype": {"type": "string", "enum": ["IPv4", "IPv6"]},
    "protocol": {"type": ["string", "integer", "null"], "description": "Its name or number"},
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
"""What converters take that nobody described."""


def _marks(attribute: Attribute) -> Json:
    return {} if attribute.create or attribute.update else {"readOnly": True}


def _taken(attributes: Iterable[Attribute], *, create: bool) -> Json:
    chosen = list(attributes)
    properties: Json = {a.name: _given(a, a.create if create else a.update) for a in chosen}
    if "project_id" in properties:
        properties["tenant_id"] = properties["project_id"]
    found: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [a.name for a in chosen if a.required] if create else []
    return {**found, "required": required} if required else found


def _given(attribute: Attribute, who: Permission) -> Json:
    assert attribute.convert is not None
    schema = dict(schemas.taken_by(attribute.convert) or GIVEN.get(attribute.name, ANY))
    if who == "admin":
        schema["description"] = "For admins"
    default = attribute.default
    if isinstance(default, str | bool | int) and default != "":
        schema["default"] = default
    return schema


def _of_fields(fields: Iterable[nova.Field[Any]]) -> Json:
    """Nova's fields; one whose schema changes between microversions has either."""
    properties: Json = {}
    for field in fields:
        schema = dict(field.schema)
        if field.since > 1:
            schema["description"] = f"Since 2.{field.since}"
        if field.name in properties:
            schema = {"anyOf": [properties[field.name], schema]}
        properties[field.name] = schema
    return {"type": "object", "properties": properties}


def _message(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


TEXT: Json = {"type": "string"}
_FAULTS: Json = {
    "NeutronError": _message(NeutronError=_message(type=TEXT, message=TEXT, detail=TEXT)),
    "NovaFault": {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": _message(code={"type": "integer"}, message=TEXT),
    },
    "GlanceFault": _message(code=TEXT, title=TEXT, message=TEXT),
}
