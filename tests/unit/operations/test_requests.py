"""Typed requests agree with the attribute tables and with the model, for every collection."""

from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from a9fe.api_tables import schemas
from a9fe.api_tables.attributes import Attribute, read_create, read_update
from a9fe.api_tables.typed_requests import UNSET, Unset, is_resolved
from a9fe.operations.collections import COLLECTIONS, Collection
from a9fe.operations.instances.instances import InstanceChange, NewInstance
from a9fe.operations.instances.records import ImageChange

ALL = pytest.mark.parametrize("collection", COLLECTIONS.values(), ids=list(COLLECTIONS))
CREATED = pytest.mark.parametrize(
    "collection", [c for c in COLLECTIONS.values() if c.request], ids=lambda c: c.table.kind
)
OF_OTHER_APIS = {
    NewInstance: {"flavor_id", "image_id", "description", "security_groups"},
    InstanceChange: {"description"},
    ImageChange: {"project_id"},
}
"""Fields that only Nova's or Glance's API gives: no attribute of ours has them."""
UUID = "0e8b5f4a-3a48-4d0b-9cf8-0d4ad0a1a0b1"
SAMPLES: dict[str, Any] = {
    "binding:profile": {"a": 1},
    "dns_name": "web1",
    "dns_domain": "example.org.",
    "ethertype": "IPv4",
    "external_gateway_info": {"network_id": UUID},
    "fixed_ips": [{"ip_address": "10.1.0.5"}],
    "files": [{"path": "/etc/x", "contents": "eA=="}],
    "ip_version": 4,
    "keypairs": [],
    "metadata_options": {"http_tokens": "required"},
    "networks": [{"uuid": UUID}],
    "protocol": "tcp",
    "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
    "remote_ip_prefix": "10.1.0.0/24",
    "service_types": ["compute:nova"],
    "user_data": "eA==",
}
"""Values of attributes whose schema does not say enough."""


def written(collection: Collection, *, create: bool) -> list[Attribute]:
    """The attributes with a field that a create or an update may give."""
    table = (collection.create_table if create else None) or collection.table
    return [a for a in table.attributes if a.field and (a.create if create else a.update)]


def sample(attribute: Attribute) -> Any:
    """A value that the attribute takes."""
    if attribute.name in SAMPLES:
        return SAMPLES[attribute.name]
    assert attribute.convert is not None
    return of_schema(schemas.taken_by(attribute.convert))


def of_schema(schema: schemas.Schema) -> Any:
    if "anyOf" in schema:
        return of_schema(schema["anyOf"][0])
    if "examples" in schema or "enum" in schema:
        return (schema.get("examples") or schema["enum"])[0]
    kinds = schema.get("type", "null")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "object":
        return {name: of_schema(inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [of_schema(schema["items"])]
    plain = {"boolean": True, "integer": schema.get("minimum", 1), "null": None}
    return plain.get(kind, UUID if schema.get("format") == "uuid" else "x")


def conforms(hint: Any, value: Any) -> bool:
    """Whether a value has the type of a hint."""
    origin, args = get_origin(hint), get_args(hint)
    if hint in (Any, object):
        return True
    if origin in (UnionType, Union):
        return any(conforms(one, value) for one in args)
    if origin is Literal:
        return value in args
    if origin is tuple:
        return isinstance(value, tuple) and all(conforms(args[0], item) for item in value)
    if origin is dict:
        key, item = args
        pairs = value.items() if isinstance(value, dict) else [(None, None)]
        return all(conforms(key, k) and conforms(item, v) for k, v in pairs)
    return type(value) is (NoneType if hint is None else hint)


def without_unset(hint: Any) -> frozenset[Any]:
    return frozenset(get_args(hint) if get_origin(hint) in (UnionType, Union) else [hint]) - {
        Unset
    }


def default_of(one: Field[Any]) -> Any:
    return one.default_factory() if one.default_factory is not MISSING else one.default


def names(attributes: Iterable[Attribute]) -> set[str]:
    return {a.field for a in attributes}


@CREATED
def test_a_request_has_the_fields_and_defaults_of_its_table(collection: Collection):
    request = collection.request
    assert request is not None
    of_table = {a.field: a for a in written(collection, create=True)}
    extra = OF_OTHER_APIS.get(request, set())
    assert {f.name for f in fields(request)} - extra == of_table.keys()
    for one in fields(request):
        if one.name not in extra:
            row = of_table[one.name]
            assert default_of(one) == (MISSING if row.required else row.default), one.name


@ALL
def test_a_change_has_the_fields_of_its_table_and_none_by_default(collection: Collection):
    change = collection.change
    extra = OF_OTHER_APIS.get(change, set())
    wanted = names(written(collection, create=False))
    assert {f.name for f in fields(change)} - extra == wanted
    assert [f.name for f in fields(change) if f.default is not UNSET] == []


@ALL
def test_a_field_that_is_copied_has_the_type_of_the_models_field(collection: Collection):
    model = get_type_hints(collection.cls)
    for request in filter(None, (collection.request, collection.change)):
        hints = get_type_hints(request)
        for one in fields(request):
            if one.name in model and not is_resolved(one):
                assert without_unset(hints[one.name]) == without_unset(model[one.name]), one.name


@CREATED
def test_a_table_reads_values_of_the_fields_types(collection: Collection):
    request, table = collection.request, collection.create_table or collection.table
    assert request is not None
    document = {a.name: sample(a) for a in written(collection, create=True)}
    found = read_create(table, request, document)
    hints = get_type_hints(request)
    wrong = [
        f.name for f in fields(request) if not conforms(hints[f.name], getattr(found, f.name))
    ]
    assert wrong == []


@ALL
def test_a_table_reads_changes_of_the_fields_types(collection: Collection):
    document = {a.name: sample(a) for a in written(collection, create=False)}
    found = read_update(collection.table, collection.change, document)
    hints = get_type_hints(collection.change)
    for one in fields(collection.change):
        if one.name not in OF_OTHER_APIS.get(collection.change, set()):
            value = getattr(found, one.name)
            assert value is not UNSET, one.name
            assert conforms(hints[one.name], value), one.name
