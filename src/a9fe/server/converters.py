"""What a client sent, to values: each converter takes (field, value) and raises InvalidInput.

Clients send strings where values are typed ("True", "22"), as Neutron's do; those are accepted.
"""

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from a9fe.model import rules
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import AddressPair, AllocationPool, DhcpOption, HostRoute, Keypair

Converter = Callable[[str, object], Any]

NAME_MAX = 255
USER_DATA_MAX = 65535  # bytes of base64 (Nova)
PUBLIC_KEY_MAX = 65535
METADATA_MAX = 128  # items (Nova's default quota)
LIST_MAX = 1000
_TRUE = frozenset({"true", "1", "on", "yes", "t", "y"})
_FALSE = frozenset({"false", "0", "off", "no", "f", "n"})


def string(maximum: int = NAME_MAX, minimum: int = 0) -> Converter:
    """Text of so many characters."""
    expected = f"text of {minimum} to {maximum} characters"

    def convert(field: str, value: object) -> str:
        if not isinstance(value, str) or not minimum <= len(value) <= maximum:
            raise InvalidInput(field, value, expected)
        return value

    return convert


def boolean(field: str, value: object) -> bool:
    """true or false, also as text or 1 and 0."""
    text = str(value).lower() if isinstance(value, str | bool | int) else ""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise InvalidInput(field, value, "true or false")


def integer(low: int, high: int) -> Converter:
    """A whole number in a range, also as text."""
    expected = f"a whole number from {low} to {high}"

    def convert(field: str, value: object) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise InvalidInput(field, value, expected)
        return number

    return convert


def choice(*values: str) -> Converter:
    """One of a few words."""

    def convert(field: str, value: object) -> str:
        if not isinstance(value, str) or value not in values:
            raise InvalidInput(field, value, "one of " + ", ".join(values))
        return value

    return convert


def only(allowed: object) -> Converter:
    """The one value that is supported here."""

    def convert(field: str, value: object) -> object:
        if value != allowed or isinstance(value, bool) != isinstance(allowed, bool):
            raise InvalidInput(field, value, f"{allowed!r}, as nothing else is supported")
        return allowed

    return convert


def nullable(converter: Converter) -> Converter:
    """Null, or what `converter` takes."""
    return lambda field, value: None if value is None else converter(field, value)


def identifier(field: str, value: object) -> str:
    """A UUID, in its canonical form."""
    try:
        return str(uuid.UUID(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise InvalidInput(field, value, "a UUID") from error


def list_of(converter: Converter, maximum: int = LIST_MAX) -> Converter:
    """A list of at most `maximum` items, as a tuple."""

    def convert(field: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > maximum:
            raise InvalidInput(field, value, f"a list of at most {maximum}")
        return tuple(converter(field, item) for item in value)

    return convert


def _members(
    field: str, value: object, members: Mapping[str, Converter], optional: frozenset[str]
) -> dict[str, Any]:
    """An object with these members and no others."""
    expected = "an object with " + ", ".join(
        f"{name} (optional)" if name in optional else name for name in members
    )
    if not isinstance(value, dict):
        raise InvalidInput(field, value, expected)
    if not (members.keys() - optional) <= value.keys() <= members.keys():
        raise InvalidInput(field, value, expected)
    return {name: members[name](f"{field}.{name}", value[name]) for name in value}


_ANY_CIDR: Converter = rules.cidr
_ANY_ADDRESS: Converter = rules.address


def allocation_pool(field: str, value: object) -> AllocationPool:
    """{"start", "end"}."""
    members = {"start": _ANY_ADDRESS, "end": _ANY_ADDRESS}
    return AllocationPool(**_members(field, value, members, frozenset()))


def host_route(field: str, value: object) -> HostRoute:
    """{"destination", "nexthop"}."""
    members = {"destination": _ANY_CIDR, "nexthop": _ANY_ADDRESS}
    return HostRoute(**_members(field, value, members, frozenset()))


def address_pair(field: str, value: object) -> AddressPair:
    """{"ip_address", "mac_address"}; the address may be a CIDR."""
    members = {"ip_address": _address_or_cidr, "mac_address": rules.mac}
    return AddressPair(**_members(field, value, members, frozenset({"mac_address"})))


def _address_or_cidr(field: str, value: object) -> str:
    is_cidr = isinstance(value, str) and "/" in value
    return rules.cidr(field, value) if is_cidr else rules.address(field, value)


def dhcp_option(field: str, value: object) -> DhcpOption | str:
    """{"opt_name", "opt_value", "ip_version"}; the name alone where the value is null."""
    members = {
        "opt_name": string(64, minimum=1),
        "opt_value": nullable(string()),
        "ip_version": integer(4, 6),
    }
    given = _members(field, value, members, frozenset({"ip_version"}))
    for name in ("opt_name", "opt_value"):
        if any(not c.isprintable() for c in given[name] or ""):  # they end in a file of dnsmasq
            raise InvalidInput(f"{field}.{name}", given[name], "printable text on one line")
    return given["opt_name"] if given["opt_value"] is None else DhcpOption(**given)


def keypair(field: str, value: object) -> Keypair:
    """{"name", "public_key", "type"}."""
    members = {
        "name": string(minimum=1),
        "public_key": string(PUBLIC_KEY_MAX, minimum=1),
        "type": choice("ssh", "x509"),
    }
    return Keypair(**_members(field, value, members, frozenset({"type"})))


def user_data(field: str, value: object) -> bytes:
    """Base64 of at most 65535 bytes (Nova)."""
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
    """An object of text to text (instance metadata)."""
    if not isinstance(value, dict) or len(value) > METADATA_MAX:
        raise InvalidInput(field, value, f"an object of at most {METADATA_MAX} texts")
    text, key = string(), string(minimum=1)
    return {key(field, k): text(f"{field}.{k}", v) for k, v in value.items()}


def simple_map(field: str, value: object) -> dict[str, str | int | bool]:
    """An object whose values are text, whole numbers or booleans (agents' configurations)."""
    if not isinstance(value, dict) or len(value) > METADATA_MAX:
        raise InvalidInput(field, value, "an object")
    for name, item in value.items():
        if not isinstance(item, str | int | bool):
            raise InvalidInput(f"{field}.{name}", item, "text, a whole number or a boolean")
    return dict(value)
