"""Typed requests: frozen values such as NewPort and PortChange, and what they make of resources.

A request has one field for each attribute that a client may give, named as the model's field.
UNSET means "not given", which differs from null. A field that the operation must resolve first
(fixed IPs from addresses wanted) is marked by `resolved`; every other field has the type of the
resource's field of that name, which a test checks for each table.
"""

from dataclasses import Field, field, fields, replace
from enum import Enum
from typing import Any, ClassVar, Final, Literal, Protocol, TypeVar


class _Sentinel(Enum):
    UNSET = "unset"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Sentinel.UNSET
Unset = Literal[_Sentinel.UNSET]
"""The type of a value that the client did not give: `name: str | Unset = UNSET`."""
_RESOLVED = "resolved by the operation"


class Request(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


T = TypeVar("T")
R = TypeVar("R", bound=Request)


def resolved(default: Any) -> Any:  # noqa: ANN401 - the type of the field, as dataclasses.field has it
    """Return the default of a field that `created` and `applied` do not copy."""
    return field(default=default, metadata={_RESOLVED: True})


def is_resolved(one: Field[Any]) -> bool:
    """Whether the operation resolves the field, so that it is not copied."""
    return _RESOLVED in one.metadata


def given(value: T | Unset, otherwise: T) -> T:
    """Return the value, or `otherwise` if it was not given."""
    return otherwise if value is UNSET else value


def given_fields(request: Request) -> dict[str, object]:
    """Return the values that were given, or have a default, by field name."""
    found = {one.name: getattr(request, one.name) for one in fields(request)}
    return {name: value for name, value in found.items() if value is not UNSET}


def _copied(request: Request, cls: type[Request]) -> dict[str, object]:
    names = {one.name for one in fields(cls)}
    names -= {one.name for one in fields(request) if is_resolved(one)}
    return {name: value for name, value in given_fields(request).items() if name in names}


def created(cls: type[R], request: Request, **resolved_values: object) -> R:
    """Return a new resource with the request's values; `resolved_values` come first."""
    return cls(**(_copied(request, cls) | resolved_values))


def applied(old: R, change: Request) -> R:
    """Return the resource with the values that the change gives, but those to be resolved."""
    return replace(old, **_copied(change, type(old)))
