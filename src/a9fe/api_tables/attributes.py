"""Attribute tables: one row an attribute generates validation, defaults, filters and answers.

A table's rows are in the order of the answer. Values are keyed by the model's field names.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from a9fe.api_tables.converters import Converter, boolean, only
from a9fe.api_tables.typed_requests import UNSET
from a9fe.model import codec
from a9fe.model.errors import InvalidInput
from a9fe.model.pages import Filter
from a9fe.model.resources import Port


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """What answers need besides the resource, by its id: the time, settings, what belongs to it.

    `gateways` are routers' external ports; `zones` are those of a network's or router's agents;
    `scopes` are the address scopes of networks, by network and IP version; `port_details` are of
    floating IPs' ports; `granted` are the networks that RBAC policies share with the caller.
    """

    subnet_ids: Mapping[str, list[str]] = field(default_factory=dict)
    tags: Mapping[str, list[str]] = field(default_factory=dict)
    zones: Mapping[str, list[str]] = field(default_factory=dict)
    gateways: Mapping[str, Port] = field(default_factory=dict)
    rules: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    scopes: Mapping[tuple[str, int], str] = field(default_factory=dict)
    port_details: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    granted: Collection[str] = ()
    now: float = 0.0
    agent_down_time: float = 75.0
    dns_domain: str = "openstacklocal"


Show = Callable[[Any, Extra], Any]


Who = Literal["", "member", "admin"]
"""Who may: nobody, everybody in the resource's project, or admins alone."""
FilterKind = Literal["", "exact", "nocase", "boolean", "integer", "address", "mac", "constant"]
Conditions = Callable[[list[str], Extra], tuple[Filter, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of a resource.

    `field` is the model's ("" if it has none), `convert` None for a read-only one. `create`,
    `update` and `see`: who may give it, change it, read it. `filter` says how a list's filter
    compares it ("": there is no such filter), `conditions` where that needs more than the field.
    """

    name: str
    show: Show
    field: str = ""
    convert: Converter | None = None
    create: Who = ""
    update: Who = ""
    see: Who = "member"
    required: bool = False
    default: object = UNSET
    filter: FilterKind = ""
    conditions: Conditions | None = None
    sortable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeTable:
    """All attributes of a kind, and its names: "network", "networks". `tagged`: it has tags."""

    kind: str
    plural: str
    attributes: tuple[Attribute, ...]
    tagged: bool = False

    @property
    def path(self) -> str:
        """The plural as it stands in URLs: "security-groups"."""
        return self.plural.replace("_", "-")

    def find(self, name: str) -> Attribute | None:
        """The attribute of that API name."""
        return next((a for a in self.attributes if a.name == name), None)


def stored(
    name: str, convert: Converter, allow: str = "CU", *, default: object = UNSET, at: str = ""
) -> Attribute:
    """An attribute that is the model's field `at` (or of the same name).

    `allow` has C if it may be given on create, U on update, R if create needs it; c and u if
    only admins may.
    """
    at = at or name
    return Attribute(
        name=name,
        show=lambda resource, _: codec.encode(getattr(resource, at)),
        field=at,
        convert=convert,
        create=_who(allow, "C"),
        update=_who(allow, "U"),
        required="R" in allow,
        default=default,
        filter=_filter_kind(name, convert, default),
        sortable=_filter_kind(name, convert, default) != "",
    )


def _who(allow: str, letter: str) -> Who:
    if letter in allow:
        return "member"
    return "admin" if letter.lower() in allow else ""


def _filter_kind(name: str, convert: Converter, default: object) -> FilterKind:
    """How the attribute is compared where nothing else is said (see `filtered`)."""
    if convert is boolean:
        return "boolean"
    if name == "id" or name.endswith("_id"):
        return "exact"
    return "nocase" if default == "" else ""


def filtered(attribute: Attribute, kind: FilterKind, *, sortable: bool = True) -> Attribute:
    """The attribute, with a filter."""
    return replace(attribute, filter=kind, sortable=sortable)


def for_admins(attribute: Attribute) -> Attribute:
    """The attribute, which others do not see."""
    return replace(attribute, see="admin")


def read_only(name: str, *, at: str = "", text: bool = False) -> Attribute:
    """A field of the model that only the server sets; `text`: lists can be filtered by it."""
    at = at or name

    def show(resource: object, _: Extra) -> object:
        return codec.encode(getattr(resource, at))

    kind: FilterKind = "" if not text else "exact" if name == "id" else "nocase"
    return Attribute(name=name, field=at, show=show, filter=kind, sortable=text)


def computed(name: str, show: Show, conditions: Conditions | None = None) -> Attribute:
    """An attribute made for the answer."""
    return Attribute(name=name, show=show, conditions=conditions)


def taken_only(name: str, convert: Converter, *, default: object = UNSET) -> Attribute:
    """What a new resource may be made with, and no answer has."""
    return Attribute(
        name=name,
        show=lambda *_: None,
        field=name,
        convert=convert,
        create="member",
        see="",
        default=default,
    )


def filter_only(name: str, conditions: Conditions) -> Attribute:
    """What lists can be filtered by, and no answer has."""
    return Attribute(name=name, show=lambda *_: None, see="", conditions=conditions)


def constant(name: str, value: object) -> Attribute:
    """An attribute of which only one value is supported; it may be given, and is not kept."""
    return Attribute(
        name=name,
        show=lambda *_: value,
        convert=only(value),
        create="member",
        update="member",
        default=value,
        filter="constant",
    )


N = TypeVar("N")


def read_create(table: AttributeTable, request: type[N], document: object) -> N:
    """Read the inner object of a body into a request such as NewPort. Raises InvalidInput.

    Attributes that are not given have the defaults of the request's class.
    """
    given = _object(table, document)
    _refuse_unknown(table, given, lambda a: bool(a.create))
    for attribute in table.attributes:
        if attribute.required and attribute.name not in given:
            raise InvalidInput(attribute.name, None, "a value, since it is required")
    return request(**_converted(table, given))


def check_changeable(table: AttributeTable, document: object) -> None:
    """Raises InvalidInput for an attribute of a body that no update may have."""
    if isinstance(document, dict):
        _refuse_unknown(table, _object(table, document), lambda a: bool(a.update))


def read_update(table: AttributeTable, change: type[N], document: object) -> N:
    """Read the inner object of a body into a change such as PortChange. Raises InvalidInput."""
    given = _object(table, document)
    _refuse_unknown(table, given, lambda a: bool(a.update))
    return change(**_converted(table, given))


def _converted(table: AttributeTable, given: Mapping[str, object]) -> dict[str, Any]:
    """The converted values by the names of the model's fields."""
    values: dict[str, Any] = {}
    for attribute in table.attributes:
        if attribute.name in given and attribute.convert is not None:
            converted = attribute.convert(attribute.name, given[attribute.name])
            if attribute.field:
                values[attribute.field] = converted
    return values


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
        if attribute.see and (not fields or attribute.name in fields)
    }
