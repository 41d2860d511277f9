"""Converters from a client's JSON values: each takes (field, value) and raises InvalidInput.

Strings are accepted for booleans and numbers ("True", "22"), as Neutron accepts them.
"""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable, Collection
from typing import Any

from a9fe.api_tables import schemas
from a9fe.model.errors import InvalidInput
from a9fe.model.rules import addresses as rules
from a9fe.model.rules import text as rules_text

Converter = Callable[[str, object], Any]

NAME_MAX = 255
USER_DATA_MAX = 65535  # bytes of base64 (Nova)
PUBLIC_KEY_MAX = 16 * 1024  # bytes: an RSA key of 16,384 bits takes 2.8 KiB, a certificate 8
METADATA_MAX = 128  # items (Nova's default quota)
SIMPLE_MAX = 4095  # bytes of JSON (Neutron's column of agents' configurations)
LIST_MAX = 1000
_TRUE = frozenset({"true", "1", "on", "yes", "t", "y"})
_FALSE = frozenset({"false", "0", "off", "no", "f", "n"})


def string(maximum: int = NAME_MAX, minimum: int = 0) -> Converter:
    """Return a converter of text with `minimum` to `maximum` characters."""
    expected = f"text of {minimum} to {maximum} characters"

    def convert(field: str, value: object) -> str:
        if not isinstance(value, str) or not minimum <= len(value) <= maximum:
            raise InvalidInput(field, value, expected)
        return value

    least = {"minLength": minimum} if minimum else {}
    return schemas.described(convert, {"type": "string", "maxLength": maximum, **least})


def one_line(maximum: int = NAME_MAX, minimum: int = 0) -> Converter:
    """Return a converter of text without line breaks and other control characters."""
    expected = f"{minimum} to {maximum} characters on one line, none of them a control character"
    text = string(maximum, minimum)

    def convert(field: str, value: object) -> str:
        found: str = text(field, value)
        if not rules_text.is_one_line(found):
            raise InvalidInput(field, value, expected)
        return found

    pattern = f"^[^{rules_text.BREAKING}]*$"
    return schemas.described(convert, {**schemas.taken_by(text), "pattern": pattern})


def header_text(maximum: int = NAME_MAX, minimum: int = 0) -> Converter:
    """Return a converter of text that is valid in an HTTP header, such as an instance id."""
    text = string(maximum, minimum)

    def convert(field: str, value: object) -> str:
        found: str = text(field, value)
        if not rules_text.fits_header(found):
            expected = f"{minimum} to {maximum} printable ASCII characters, no blank at an end"
            raise InvalidInput(field, value, expected)
        return found

    shape = rules_text.HEADER_TEXT
    pattern = f"^{shape}$" if minimum else f"^({shape})?$"
    return schemas.described(convert, {**schemas.taken_by(text), "pattern": pattern})


def boolean(field: str, value: object) -> bool:
    """Read true or false, also as text, 1 or 0."""
    text = str(value).lower() if isinstance(value, str | bool | int) else ""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise InvalidInput(field, value, "true or false")


def integer(low: int, high: int) -> Converter:
    """Return a converter of a whole number from `low` to `high`, also as text."""
    expected = f"a whole number from {low} to {high}"

    def convert(field: str, value: object) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise InvalidInput(field, value, expected)
        return number

    return schemas.described(convert, {"type": "integer", "minimum": low, "maximum": high})


def choice(*values: str) -> Converter:
    """Return a converter of one of these words."""

    def convert(field: str, value: object) -> str:
        if not isinstance(value, str) or value not in values:
            raise InvalidInput(field, value, "one of " + ", ".join(values))
        return value

    return schemas.described(convert, {"type": "string", "enum": list(values)})


def only(allowed: object) -> Converter:
    """Return a converter of the only value that is supported."""

    def convert(field: str, value: object) -> object:
        if value != allowed or isinstance(value, bool) != isinstance(allowed, bool):
            raise InvalidInput(field, value, f"{allowed!r}, as nothing else is supported")
        return allowed

    return schemas.described(convert, {"const": allowed})


def nullable(converter: Converter) -> Converter:
    """Return a converter that also accepts null, as None."""

    def convert(field: str, value: object) -> object:
        return None if value is None else converter(field, value)

    return schemas.described(convert, schemas.nullable(schemas.taken_by(converter)))


def identifier(field: str, value: object) -> str:
    """Read a UUID; return its canonical form."""
    try:
        return str(uuid.UUID(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise InvalidInput(field, value, "a UUID") from error


def list_of(converter: Converter, maximum: int = LIST_MAX, *, unique: bool = False) -> Converter:
    """Return a converter of a list of at most `maximum` items into a tuple.

    `unique`: two equal items are an error.
    """

    def convert(field: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > maximum:
            raise InvalidInput(field, value, f"a list of at most {maximum}")
        found = tuple(converter(field, item) for item in value)
        if unique and len(set(found)) < len(found):
            words = "Invalid input for operation: Duplicate items in the list"
            raise InvalidInput(field, value, "unique items", words=words)
        return found

    items = schemas.taken_by(converter)
    return schemas.described(convert, {"type": "array", "maxItems": maximum, "items": items})


def clearable(converter: Converter) -> Converter:
    """Return a converter that also accepts null, for an empty list (Neutron's clients send it)."""

    def convert(field: str, value: object) -> object:
        return () if value is None else converter(field, value)

    return schemas.described(convert, schemas.nullable(schemas.taken_by(converter)))


def blankable(converter: Converter) -> Converter:
    """Return a converter that also accepts null, as ""."""

    def convert(field: str, value: object) -> object:
        return "" if value is None else converter(field, value)

    return schemas.described(convert, schemas.nullable(schemas.taken_by(converter)))


def only_members(
    field: str, value: object, members: Collection[str], optional: Collection[str] = ()
) -> dict[str, Any]:
    """Return `value`, an object with these members and no others.

    The error names the first unknown member.
    """
    expected = "an object with " + ", ".join(
        f"{name} (optional)" if name in optional else name for name in members
    )
    foreign = [name for name in value if name not in members] if isinstance(value, dict) else []
    if foreign:
        raise InvalidInput(foreign[0], "unknown attribute", expected)
    if not isinstance(value, dict) or any(n not in value and n not in optional for n in members):
        raise InvalidInput(field, value, expected)
    return value


def address_or_cidr(field: str, value: object) -> str:
    """Read an IP address or a CIDR."""
    is_cidr = isinstance(value, str) and "/" in value
    return rules.cidr(field, value) if is_cidr else rules.address(field, value)


def user_data(field: str, value: object) -> bytes:
    """Read base64 of at most USER_DATA_MAX characters (Nova)."""
    expected = f"base64 of at most {USER_DATA_MAX} bytes"
    if not isinstance(value, str):
        raise InvalidInput(field, value, expected)
    text = "".join(value.split())
    if len(text) > USER_DATA_MAX:
        raise InvalidInput(field, f"{len(text)} bytes", expected)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(field, value, expected) from error


def string_map(field: str, value: object) -> dict[str, str]:
    """Read an object whose values are text, such as instance metadata."""
    if not isinstance(value, dict) or len(value) > METADATA_MAX:
        raise InvalidInput(field, value, f"an object of at most {METADATA_MAX} texts")
    text, key = string(), string(minimum=1)
    return {key(field, k): text(f"{field}.{k}", v) for k, v in value.items()}


def simple_map(field: str, value: object) -> dict[str, str | int | bool]:
    """Read an object whose values are text, whole numbers or booleans (agents' configurations).

    It may have SIMPLE_MAX bytes as JSON.
    """
    if not isinstance(value, dict) or len(value) > METADATA_MAX:
        raise InvalidInput(field, value, "an object")
    for name, item in value.items():
        if not isinstance(item, str | int | bool):
            raise InvalidInput(f"{field}.{name}", item, "text, a whole number or a boolean")
    if len(json.dumps(value)) > SIMPLE_MAX:
        raise InvalidInput(field, value, f"an object of at most {SIMPLE_MAX} bytes of JSON")
    return dict(value)


_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_DOMAIN_MAX = 253


def dns_name(field: str, value: object) -> str:
    """Read a host name: labels of letters, digits and hyphens; "" for none."""
    text = "" if value is None else value
    expected = "a host name such as web1, or an empty text"
    if not isinstance(text, str) or len(text) > _DOMAIN_MAX:
        raise InvalidInput(field, value, expected)
    if text and not all(_LABEL.fullmatch(label) for label in text.removesuffix(".").split(".")):
        raise InvalidInput(field, value, expected)
    return text


def dns_domain(field: str, value: object) -> str:
    """Read a domain that ends with a dot; "" for none."""
    name = dns_name(field, value)
    if name and not name.endswith("."):
        raise InvalidInput(field, value, "a domain with a dot at its end, such as example.org.")
    return name


def ip_version(field: str, value: object) -> int:
    """Read 4 or 6, also as text."""
    return int(choice("4", "6")(field, "" if isinstance(value, bool) else str(value)))


_SERVICE_TYPE = re.compile(r"[A-Za-z][\w.-]*:[\w.-]*")
SERVICE_TYPE_MAX = 255


def service_type(field: str, value: object) -> str:
    """Read a device owner such as network:floatingip or compute:nova."""
    if (
        not isinstance(value, str)
        or len(value) > SERVICE_TYPE_MAX
        or not _SERVICE_TYPE.fullmatch(value)
    ):
        words, kind = f"Invalid service type: {value}", "InvalidServiceType"
        expected = "a device owner such as network:floatingip or compute:nova"
        raise InvalidInput(field, value, expected, type=kind, words=words)
    return value


PROFILE_MAX = 4096  # bytes of JSON (Neutron)


def profile(field: str, value: object) -> dict[str, Any]:
    """Read binding:profile: any object; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict) or len(json.dumps(value)) > PROFILE_MAX:
        raise InvalidInput(field, value, f"an object of at most {PROFILE_MAX} bytes of JSON")
    return value


# ---- the JSON Schemas of converters that are plain functions

_ADDRESS: schemas.Schema = {"type": "string", "examples": ["10.1.0.5"]}
_CIDR: schemas.Schema = {"type": "string", "examples": ["10.1.0.0/24"]}
_MAC: schemas.Schema = {"type": "string", "examples": ["fa:16:3e:00:00:01"]}
_NAME_OF_ITEM: schemas.Schema = schemas.text_of(NAME_MAX)

schemas.described(boolean, {"type": "boolean"})
schemas.described(identifier, {"type": "string", "format": "uuid"})
schemas.described(rules.address, _ADDRESS)
schemas.described(rules.cidr, _CIDR)
schemas.described(rules.mac, _MAC)
schemas.described(address_or_cidr, _CIDR)
schemas.described(user_data, {"type": "string", "format": "byte", "maxLength": USER_DATA_MAX})
schemas.described(
    string_map,
    {
        "type": "object",
        "maxProperties": METADATA_MAX,
        "propertyNames": _NAME_OF_ITEM,
        "additionalProperties": {"type": "string", "maxLength": NAME_MAX},
    },
)
schemas.described(
    simple_map,
    {
        "type": "object",
        "maxProperties": METADATA_MAX,
        "additionalProperties": {"type": ["string", "integer", "boolean"]},
    },
)
schemas.described(
    service_type,
    {
        "type": "string",
        "maxLength": SERVICE_TYPE_MAX,
        "pattern": "^[A-Za-z][A-Za-z0-9_.-]*:[A-Za-z0-9_.-]*$",
    },
)
