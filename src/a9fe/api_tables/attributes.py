"""Attribute tables: one row for each attribute generates its validation, filter and answer.

Rows are in the order of the answer. Reading a document gives a typed request, whose fields are
named as the model's.
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
class AnswerContext:
    """What answers need besides the resources: the time, options, and related resources by id.

    `gateways` has the gateway port of each router; `zones` the availability zones of the agents
    of a network or router; `scopes` the address scope by network and IP version; `port_details`
    the port of each floating IP; `granted` the networks that RBAC policies share with the caller;
    `in_error` the networks and routers that an agent cannot build.
    `now` is UNIX seconds, `agent_down_time` seconds.
    """

    subnet_ids: Mapping[str, list[str]] = field(default_factory=dict)
    tags: Mapping[str, list[str]] = field(default_factory=dict)
    zones: Mapping[str, list[str]] = field(default_factory=dict)
    gateways: Mapping[str, Port] = field(default_factory=dict)
    rules: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    scopes: Mapping[tuple[str, int], str] = field(default_factory=dict)
    port_details: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    granted: Collection[str] = ()
    in_error: Collection[str] = ()
    now: float = 0.0
    agent_down_time: float = 75.0
    dns_domain: str = "openstacklocal"


Show = Callable[[Any, AnswerContext], Any]


Permission = Literal["", "member", "admin"]
"""Who may write or see an attribute: nobody (""), the resource's project, or only admins."""
FilterKind = Literal["", "exact", "nocase", "boolean", "integer", "address", "mac", "constant"]
Conditions = Callable[[list[str], AnswerContext], tuple[Filter, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of a resource.

    `field`: the model's field, "" if there is none. `convert`: None for a read-only attribute.
    `create`, `update`, `see`: who may set, change and see it. `default` UNSET: the operation
    computes it. `filter`: how a list compares the field, "" if lists have no such filter;
    `conditions`: builds the filter where one field is not enough.
    """

    name: str
    show: Show
    field: str = ""
    convert: Converter | None = None
    create: Permission = ""
    update: Permission = ""
    see: Permission = "member"
    required: bool = False
    default: object = UNSET
    filter: FilterKind = ""
    conditions: Conditions | None = None
    sortable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeTable:
    """The attributes of a kind, in the order of answers. `kind` "network", `plural` "networks".

    `tagged`: resources of the kind have tags.
    """

    kind: str
    plural: str
    attributes: tuple[Attribute, ...]
    tagged: bool = False

    @property
    def path(self) -> str:
        """The plural in URLs: "security-groups"."""
        return self.plural.replace("_", "-")

    def find(self, name: str) -> Attribute | None:
        """Return the attribute with this name in the API, or None."""
        return next((a for a in self.attributes if a.name == name), None)


def stored(
    name: str, convert: Converter, allow: str = "CU", *, default: object = UNSET, at: str = ""
) -> Attribute:
    """Return an attribute that is stored in the model's field `at` (by default of its name).

    `allow`: C if create accepts it, U if update does, R if create requires it; c and u for
    attributes that only admins may give.
    """
    at = at or name
    return Attribute(
        name=name,
        show=lambda resource, _: codec.encode(getattr(resource, at)),
        field=at,
        convert=convert,
        create=_permission(allow, "C"),
        update=_permission(allow, "U"),
        required="R" in allow,
        default=default,
        filter=_filter_kind(name, convert, default),
        sortable=_filter_kind(name, convert, default) != "",
    )


def _permission(allow: str, letter: str) -> Permission:
    if letter in allow:
        return "member"
    return "admin" if letter.lower() in allow else ""


def _filter_kind(name: str, convert: Converter, default: object) -> FilterKind:
    """Return how lists compare the attribute, unless `filtered` overrides it."""
    if convert is boolean:
        return "boolean"
    if name == "id" or name.endswith("_id"):
        return "exact"
    return "nocase" if default == "" else ""


def filtered(attribute: Attribute, kind: FilterKind, *, sortable: bool = True) -> Attribute:
    """Return the attribute with this kind of filter."""
    return replace(attribute, filter=kind, sortable=sortable)


def for_admins(attribute: Attribute) -> Attribute:
    """Return the attribute, visible only to admins."""
    return replace(attribute, see="admin")


def read_only(name: str, *, at: str = "", text: bool = False) -> Attribute:
    """Return an attribute that only the server sets; `text`: lists filter and sort by it."""
    at = at or name

    def show(resource: object, _: AnswerContext) -> object:
        return codec.encode(getattr(resource, at))

    kind: FilterKind = "" if not text else "exact" if name == "id" else "nocase"
    return Attribute(name=name, field=at, show=show, filter=kind, sortable=text)


def computed(name: str, show: Show, conditions: Conditions | None = None) -> Attribute:
    """Return an attribute that is computed for the answer."""
    return Attribute(name=name, show=show, conditions=conditions)


def write_only(name: str, convert: Converter, *, default: object = UNSET) -> Attribute:
    """Return an attribute that create accepts and no answer shows."""
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
    """Return a filter of lists that is no attribute of answers."""
    return Attribute(name=name, show=lambda *_: None, see="", conditions=conditions)


def constant(name: str, value: object) -> Attribute:
    """Return an attribute that has only this value: clients may give it, and it is not stored."""
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
    """Raise InvalidInput for an attribute in the body that no update may give."""
    if isinstance(document, dict):
        _refuse_unknown(table, _object(table, document), lambda a: bool(a.update))


def read_update(table: AttributeTable, change: type[N], document: object) -> N:
    """Read the inner object of a body into a change such as PortChange. Raises InvalidInput."""
    given = _object(table, document)
    _refuse_unknown(table, given, lambda a: bool(a.update))
    return change(**_converted(table, given))


def _converted(table: AttributeTable, given: Mapping[str, object]) -> dict[str, Any]:
    """Return the converted values by field of the model."""
    values: dict[str, Any] = {}
    for attribute in table.attributes:
        if attribute.name in given and attribute.convert is not None:
            converted = attribute.convert(attribute.name, given[attribute.name])
            if attribute.field:
                values[attribute.field] = converted
    return values


def _object(table: AttributeTable, document: object) -> dict[str, object]:
    """Return the inner object of a body, with tenant_id as project_id."""
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
    """Return the value to name in an error."""
    return given[name] if isinstance(given, dict) else name


def show(
    table: AttributeTable, resource: object, context: AnswerContext, fields: frozenset[str]
) -> dict[str, Any]:
    """Return the answer for a resource: all attributes, or those named in `fields`."""
    return {
        attribute.name: attribute.show(resource, context)
        for attribute in table.attributes
        if attribute.see and (not fields or attribute.name in fields)
    }
