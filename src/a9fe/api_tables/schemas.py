"""JSON Schemas (2020-12) of the values that converters accept and of the model's fields."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

Schema = Mapping[str, Any]
C = TypeVar("C", bound=Callable[..., Any])

ANY: Schema = {}
_of_converters: WeakKeyDictionary[Callable[..., Any], Schema] = WeakKeyDictionary()
"""Weak references, because some converters exist for one request only."""
_PLAIN: dict[object, Schema] = {
    str: {"type": "string"},
    bytes: {"type": "string", "format": "byte"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}


def described(converter: C, schema: Schema) -> C:
    """Register the schema of the values that a converter accepts; return the converter."""
    _of_converters[converter] = schema
    return converter


def taken_by(converter: Callable[..., Any]) -> Schema:
    """Return the schema of the values that a converter accepts; ANY if none is registered."""
    return _of_converters.get(converter, ANY)


def nullable(schema: Schema) -> Schema:
    """Return the schema that also allows null."""
    kind = schema.get("type")
    if kind is None or "enum" in schema:
        return {"anyOf": [schema, {"type": "null"}]} if schema else ANY
    kinds = kind if isinstance(kind, list) else [kind]
    return {**schema, "type": [*kinds, *([] if "null" in kinds else ["null"])]}


def of_type(hint: Any) -> Schema:  # noqa: ANN401 - a type hint has no better type
    """Return the schema of a type's values in answers."""
    origin, args = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin in (UnionType, Union):
        some = [of_type(arg) for arg in args if arg is not type(None)]
        schema = some[0] if len(some) == 1 else {"anyOf": some}
        return nullable(schema) if type(None) in args else schema
    if origin is tuple:
        return {"type": "array", "items": of_type(args[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": of_type(args[1])}
    if isinstance(hint, type) and is_dataclass(hint):
        return _of_dataclass(hint)
    return ANY


def _of_dataclass(cls: type[Any]) -> Schema:
    properties = of_fields(cls)
    return {"type": "object", "properties": properties, "required": list(properties)}


def of_fields(cls: type[Any]) -> dict[str, Schema]:
    """Return the schema of each field of a dataclass, by name."""
    hints = get_type_hints(cls)
    return {field.name: of_type(hints[field.name]) for field in fields(cls)}


def members(optional: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """Return the schema of an object with these members and no others."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def text_of(maximum: int, **more: object) -> Schema:
    """Return the schema of text with 1 to `maximum` characters."""
    return {"type": "string", "minLength": 1, "maxLength": maximum, **more}


def enclosed(name: str, schema: Schema) -> Schema:
    """An answer's envelope: an object that has at least the member `name`."""
    return {"type": "object", "properties": {name: schema}, "required": [name]}


def enclosed_list(name: str, schema: Schema) -> Schema:
    """An answer's envelope around a list."""
    return enclosed(name, {"type": "array", "items": schema})


class Component(dict[str, Any]):
    """A reference to a schema that the document has once, by its name, among its components."""

    def __init__(self, name: str, schema: Schema) -> None:
        """`name` is the schema's in the document."""
        super().__init__({"$ref": f"#/components/schemas/{name}"})
        self.name = name
        self.schema = schema


def components_in(value: object) -> dict[str, Schema]:
    """Every component that a schema refers to, also from inside another one."""
    found: dict[str, Schema] = {}
    if isinstance(value, Component):
        found[value.name] = value.schema
        found |= components_in(value.schema)
    elif isinstance(value, Mapping):
        for inner in value.values():
            found |= components_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            found |= components_in(inner)
    return found


UUID: Schema = {"type": "string", "format": "uuid"}
TEXT: Schema = {"type": "string"}
OBJECT: Schema = {"type": "object"}
NULL: Schema = {"type": "null"}
