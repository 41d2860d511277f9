"""Convert and check the body of Nova's request to create servers, without the database."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from a9fe.api_tables import converters as to
from a9fe.api_tables import schemas
from a9fe.api_tables.record_tables import visible_name
from a9fe.api_tables.requests import NetworkCard
from a9fe.api_tables.schemas import described
from a9fe.model.errors import InvalidInput
from a9fe.model.rules import addresses as rules

COUNT_MAX = 100  # servers in one request
CARDS_MAX = 64  # networks in one request
NETWORKS_REQUIRED = 37  # first microversion in which `networks` is required
AUTO, NONE = "auto", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRequest:
    """A request for `least` to `most` servers.

    `networks` has the network cards, or is "auto" (the project's only network) or "none".
    `groups` None means the default group.
    """

    name: str
    flavor: str
    image: str = ""
    networks: tuple[NetworkCard, ...] | str = AUTO
    key_name: str = ""
    user_data: bytes | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    description: str = ""
    availability_zone: str = ""
    host: str = ""
    groups: tuple[str, ...] | None = None
    least: int = 1
    most: int = 1


Reader = Callable[[str, object], Any]


def _anything(_field: str, value: object) -> object:
    return value


def _reference(field: str, value: object) -> str:
    """Return an id, sent alone or as the last part of a URL (Nova). Raises InvalidInput."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    id = text.rstrip("/").rpartition("/")[2]
    if not id or len(id) > to.NAME_MAX:
        raise InvalidInput(field, value, "an id")
    return id


def _image(field: str, value: object) -> str:
    return "" if value == "" else _reference(field, value)


def _card(field: str, value: object) -> NetworkCard:
    """Convert {"port"} or {"uuid", "fixed_ip"}; uuid is ignored if port is given (Nova)."""
    expected = "an object with uuid (and fixed_ip), or port"
    if not isinstance(value, dict) or value.keys() - {"uuid", "fixed_ip", "port", "tag"}:
        raise InvalidInput(field, value, expected)
    port, network, fixed_ip = (value.get(name) for name in ("port", "uuid", "fixed_ip"))
    if port is not None:
        if fixed_ip is not None:
            raise InvalidInput(f"{field}.fixed_ip", fixed_ip, "no fixed_ip together with a port")
        return NetworkCard(port_id=to.identifier(f"{field}.port", port))
    if network is None:
        raise InvalidInput(field, value, expected)
    return NetworkCard(
        network=to.identifier(f"{field}.uuid", network),
        fixed_ip="" if fixed_ip is None else rules.address(f"{field}.fixed_ip", fixed_ip),
    )


def _networks(field: str, value: object) -> tuple[NetworkCard, ...] | str:
    if value in (AUTO, NONE):
        return str(value)
    cards: tuple[NetworkCard, ...] = to.list_of(_card, CARDS_MAX)(field, value)
    return cards or AUTO


def _groups(field: str, value: object) -> tuple[str, ...]:
    def name(field: str, item: object) -> str:
        if not isinstance(item, dict) or item.keys() != {"name"}:
            raise InvalidInput(field, item, "an object with name")
        found: str = to.string(minimum=1)(f"{field}.name", item["name"])
        return found

    found: tuple[str, ...] = to.list_of(name, 64)(field, value)
    return found


def _devices(field: str, value: object) -> tuple[str, ...]:
    """Return the images of block devices from which the server boots; imageRef overrides them."""

    def image(field: str, item: object) -> str:
        if not isinstance(item, dict):
            raise InvalidInput(field, item, "an object")
        is_image = item.get("source_type") == "image" and str(item.get("boot_index")) == "0"
        return _reference(f"{field}.uuid", item.get("uuid")) if is_image else ""

    return tuple(id for id in to.list_of(image, 64)(field, value) if id)


_UUID = {"type": "string", "format": "uuid"}
_CARD = {
    "type": "object",
    "properties": {"uuid": _UUID, "port": _UUID, "fixed_ip": {"type": "string"}},
    "additionalProperties": False,
    "minProperties": 1,
}
_CARDS = {"type": "array", "maxItems": CARDS_MAX, "items": _CARD}
described(_reference, schemas.text_of(to.NAME_MAX))
described(_image, {"type": "string", "maxLength": to.NAME_MAX})
described(_networks, {"anyOf": [{"type": "string", "enum": [AUTO, NONE]}, _CARDS]})
described(_groups, {"type": "array", "items": schemas.members(name=schemas.text_of(to.NAME_MAX))})
described(_devices, {"type": "array", "maxItems": 64, "items": {"type": "object"}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of the body in microversions 2.`since` to 2.`until`, and its converter."""

    read: Reader
    since: int = 1
    until: int = 96


_COUNT = to.integer(1, COUNT_MAX)
MEMBERS: Mapping[str, Member] = {
    "name": Member(read=visible_name),
    "flavorRef": Member(read=_reference),
    "imageRef": Member(read=_image),
    "networks": Member(read=_networks),
    "key_name": Member(read=to.nullable(to.string(minimum=1))),
    "user_data": Member(read=to.nullable(to.user_data)),
    "metadata": Member(read=to.string_map),
    "description": Member(read=to.nullable(to.string()), since=19),
    "availability_zone": Member(read=to.one_line(minimum=1)),
    "host": Member(read=to.header_text(minimum=1), since=74),
    "security_groups": Member(read=_groups),
    "min_count": Member(read=_COUNT),
    "max_count": Member(read=_COUNT),
    "block_device_mapping_v2": Member(read=_devices),
    "block_device_mapping": Member(read=_anything),
    "config_drive": Member(read=to.nullable(to.boolean)),
    "OS-DCF:diskConfig": Member(read=to.choice("AUTO", "MANUAL")),
    "adminPass": Member(read=to.string()),
    "accessIPv4": Member(read=to.string()),
    "accessIPv6": Member(read=to.string()),
    "personality": Member(read=_anything, until=56),
    "tags": Member(read=to.only([]), since=52),
    "trusted_image_certificates": Member(read=to.only(None), since=63),
    "hypervisor_hostname": Member(read=to.header_text(minimum=1), since=74),
}
"""Members that are not fields of ServerRequest are accepted and have no effect."""
HINTS = frozenset({"os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"})
REQUIRED = ("name", "flavorRef")


def read_server(document: object, version: int) -> ServerRequest:
    """Convert a body {"server": {...}} of microversion 2.`version`. Raises InvalidInput."""
    if not isinstance(document, dict) or document.keys() - HINTS != {"server"}:
        raise InvalidInput("body", document, 'an object {"server": ...}')
    given = _given(document["server"], version)
    devices: tuple[str, ...] = given.get("block_device_mapping_v2", ())
    zone, _, host = given.get("availability_zone", "").partition(":")
    least = given.get("min_count", 1)
    request = ServerRequest(
        name=given["name"],
        flavor=given["flavorRef"],
        image=given.get("imageRef") or next(iter(devices), ""),
        networks=given.get("networks", AUTO),
        key_name=given.get("key_name") or "",
        user_data=given.get("user_data"),
        metadata=given.get("metadata", {}),
        description=given.get("description") or "",
        availability_zone=zone,
        host=given.get("host", host.partition(":")[0]),
        groups=given.get("security_groups"),
        least=least,
        most=given.get("max_count", least),
    )
    _check(request)
    return request


def _given(server: object, version: int) -> dict[str, Any]:
    if not isinstance(server, dict):
        raise InvalidInput("server", server, "an object")
    known = {n: m for n, m in MEMBERS.items() if m.since <= version <= m.until}
    for name in server:
        if name not in known:
            raise InvalidInput(str(name), "unknown attribute", f"one of {', '.join(known)}")
    required = (*REQUIRED, "networks") if version >= NETWORKS_REQUIRED else REQUIRED
    for name in required:
        if name not in server:
            raise InvalidInput(name, None, "a value, since it is required")
    if version < NETWORKS_REQUIRED and server.get("networks") in (AUTO, NONE):
        raise InvalidInput("networks", server["networks"], "a list, before microversion 2.37")
    return {name: known[name].read(name, value) for name, value in server.items()}


def _check(request: ServerRequest) -> None:
    if request.least > request.most:
        raise InvalidInput("min_count", request.least, f"at most max_count, {request.most}")
    if request.most > 1 and not isinstance(request.networks, str):
        for card in request.networks:
            if card.port_id or card.fixed_ip:
                expected = (
                    "1, because networks has a port or a fixed IP, which only one server can have"
                )
                raise InvalidInput("max_count", request.most, expected)


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
