"""Attribute tables: one row an attribute generates validation, defaults, filters and answers.

A table's rows are in the order of the answer. Values are keyed by the model's field names.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from a9fe.model import codec
from a9fe.model.errors import InvalidInput
from a9fe.server.converters import Converter, only

Values = dict[str, Any]
"""Converted values by model field: the checked form of a body."""


class Computed:
    """The default of an attribute that the server answers itself when it is not given."""


COMPUTED = Computed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """What answers need besides the resource: `subnet_ids` by network, the time, settings."""

    subnet_ids: Mapping[str, list[str]] = field(default_factory=dict)
    now: float = 0.0
    agent_down_time: float = 75.0
    dns_domain: str = "openstacklocal"


Show = Callable[[Any, Extra], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of a resource.

    `field` is the model's ("" if it has none), `convert` None for a read-only one. `text` says
    that the database can compare it with a filter as it is.
    """

    name: str
    show: Show
    field: str = ""
    convert: Converter | None = None
    create: bool = False
    update: bool = False
    required: bool = False
    default: object = COMPUTED
    text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeTable:
    """All attributes of a kind, and its names: "network", "networks"."""

    kind: str
    plural: str
    attributes: tuple[Attribute, ...]

    def find(self, name: str) -> Attribute | None:
        """The attribute of that API name."""
        return next((a for a in self.attributes if a.name == name), None)


def stored(
    name: str, convert: Converter, allow: str = "CU", *, default: object = COMPUTED, at: str = ""
) -> Attribute:
    """An attribute that is the model's field `at` (or of the same name).

    `allow` has C if it may be given on create, U on update, R if create needs it.
    """
    at = at or name
    return Attribute(
        name=name,
        show=lambda resource, _: codec.encode(getattr(resource, at)),
        field=at,
        convert=convert,
        create="C" in allow,
        update="U" in allow,
        required="R" in allow,
        default=default,
        text=default == "" or name.endswith("_id"),
    )


def read_only(name: str, *, at: str = "", text: bool = False) -> Attribute:
    """A field of the model that only the server sets."""
    at = at or name

    def show(resource: object, _: Extra) -> object:
        return codec.encode(getattr(resource, at))

    return Attribute(name=name, field=at, show=show, text=text)


def computed(name: str, show: Show) -> Attribute:
    """An attribute made for the answer."""
    return Attribute(name=name, show=show)


def constant(name: str, value: object) -> Attribute:
    """An attribute of which only one value is supported; it may be given, and is not kept."""
    return Attribute(
        name=name, show=lambda *_: value, convert=only(value), create=True, update=True
    )


def read_create(table: AttributeTable, document: object) -> Values:
    """The values of a new resource, defaults filled in. Raises InvalidInput."""
    given = _object(table, document)
    _refuse_unknown(table, given, lambda a: a.create)
    values: Values = {}
    for attribute in table.attributes:
        if attribute.name in given:
            _put(values, attribute, given[attribute.name])
        elif attribute.required:
            raise InvalidInput(attribute.name, None, "a value, since it is required")
        elif attribute.create and attribute.field and attribute.default is not COMPUTED:
            values[attribute.field] = attribute.default
    return values


def read_update(table: AttributeTable, document: object) -> Values:
    """The values to change. Raises InvalidInput."""
    given = _object(table, document)
    _refuse_unknown(table, given, lambda a: a.update)
    values: Values = {}
    for attribute in table.attributes:
        if attribute.name in given:
            _put(values, attribute, given[attribute.name])
    return values


def _put(values: Values, attribute: Attribute, value: object) -> None:
    assert attribute.convert is not None
    converted = attribute.convert(attribute.name, value)
    if attribute.field:
        values[attribute.field] = converted


def _object(table: AttributeTable, document: object) -> dict[str, object]:
    """The inner object of a body, tenant_id read as project_id."""
    if not isinstance(document, dict):
        raise InvalidInput(table.kind, document, "an object")
    given = dict(document)
    if "tenant_id" in given:
        tenant = given.pop("tenant_id")
        if given.setdefault("project_id", tenant) != tenant:
            raise InvalidInput("tenant_id", tenant, "the same as project_id")
    return given


def _refuse_unknown(
    table: AttributeTable, given: Iterable[str], allowed: Callable[[Attribute], bool]
) -> None:
    for name in given:
        attribute = table.find(name)
        if attribute is None:
            names = ", ".join(a.name for a in table.attributes if allowed(a))
            raise InvalidInput(name, "unknown attribute", f"one of {names}")
        if not allowed(attribute):
            read_only = "an attribute that can be set; this one is read-only here"
            raise InvalidInput(name, given_value(given, name), read_only)


def given_value(given: Iterable[str], name: str) -> object:
    """The value to show in an error."""
    return given[name] if isinstance(given, dict) else name


def show(
    table: AttributeTable, resource: object, extra: Extra, fields: frozenset[str]
) -> dict[str, Any]:
    """The answer for a resource: all attributes, or those of `fields` that exist."""
    return {
        attribute.name: attribute.show(resource, extra)
        for attribute in table.attributes
        if not fields or attribute.name in fields
    }
