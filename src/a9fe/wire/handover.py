"""The packets of docs/contracts/listener-hand-over.md as values, and their JSON. Pure.

The transport (linux.listeners.seqpacket) passes the sockets beside each packet.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TypeVar

from a9fe.model.errors import A9feError
from a9fe.wire.message import IdleConnection, Listener

PROXY_SOCKET = "proxy-control.sock"  # below run_path: the metadata proxy's
HOLDER_SOCKET = "listener-holder.sock"  # below run_path: the listener holder's

PACKET_BYTES = 1 << 16
LISTENERS_PER_PACKET = 200  # the kernel passes 253 descriptors at once (SCM_MAX_FD)
CONNECTIONS_PER_PACKET = 100  # some 400 bytes each

_Fields = dict[str, object]
P = TypeVar("P")
T = TypeVar("T")


class BadPacket(A9feError):
    """A packet is JSON, and is not understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Begin: the name of the agent that gives and drops from now on. Answered by Held."""

    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Give:
    """Hold the socket that comes with the packet."""

    listener: Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Close the socket of the listener with this key; an unknown key is no error."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """Drop all listeners of this owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Hold these idle connections, whose sockets come with the packet, until the next Take."""

    connections: tuple[IdleConnection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Give back all idle connections that are held. Answered by Kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Listeners that are held for the owner; their sockets come with the packet, in order.

    `last`: no further Held follows.
    """

    listeners: tuple[Listener, ...]
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Idle connections, which the receiver serves from now on; their sockets come with the packet.

    `last`: no further Kept follows.
    """

    connections: tuple[IdleConnection, ...]
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The request is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The request is not done; `message` says why."""

    message: str


Request = Hello | Give | Drop | Clear | Keep | Take
Reply = Held | Kept | Done | Refused
OPS = {
    Hello: "hello",
    Give: "give",
    Drop: "drop",
    Clear: "clear",
    Keep: "keep",
    Take: "take",
    Held: "held",
    Kept: "kept",
    Done: "ok",
    Refused: "error",
}


def encode(packet: Request | Reply) -> bytes:
    """Return the packet's JSON."""
    return json.dumps({"op": OPS[type(packet)], **asdict(packet)}).encode()


def decode_request(data: bytes) -> Request:
    """Read an agent's packet. Raises BadPacket; ValueError if it is no JSON object."""
    return _decode(data, _REQUESTS, "hello, give, drop, clear, keep or take")


def decode_reply(data: bytes) -> Reply:
    """Read an answer to an agent. Raises BadPacket; ValueError if it is no JSON object."""
    return _decode(data, _REPLIES, "held, kept, ok or error")


def _decode(data: bytes, readers: dict[str, Callable[[_Fields], P]], expected: str) -> P:
    try:
        found = json.loads(data)
    except RecursionError as error:
        raise ValueError("the packet is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("the packet is no JSON object")  # noqa: TRY004 - as json's own errors
    op = found.get("op")
    if not isinstance(op, str) or op not in readers:
        raise BadPacket(f"op: {op!r}, expected {expected}")
    return readers[op](found)


def parse_listener(document: object) -> Listener:
    """Read a listener. Raises BadPacket. Older agents leave out newer fields."""
    kinds = {field.name: field.type for field in fields(Listener)}
    needed = {field.name for field in fields(Listener) if field.default is MISSING}
    if not isinstance(document, dict) or not needed <= document.keys() <= kinds.keys():
        raise BadPacket(f"listener: expected an object with {', '.join(kinds)}")
    for name, value in document.items():
        if type(value) is not kinds[name]:
            raise BadPacket(f"listener.{name}: {value!r} is not valid, expected {kinds[name]}")
    return Listener(**document)


def in_packets(items: Sequence[T], most: int) -> Iterator[tuple[Sequence[T], bool]]:
    """Yield the items of each packet and whether it is the last. There is at least one packet."""
    for start in range(0, max(1, len(items)), most):
        yield items[start : start + most], start + most >= len(items)


def parse_connections(documents: object) -> tuple[IdleConnection, ...]:
    """Read a list of idle connections. Raises BadPacket."""
    if not isinstance(documents, list):
        raise BadPacket("expected a list of connections")
    return tuple(_connection(document) for document in documents)


def _connection(document: object) -> IdleConnection:
    kinds = {field.name: field.type for field in fields(IdleConnection)}
    if not isinstance(document, dict) or document.keys() != kinds.keys():
        raise BadPacket(f"connection: expected an object with {', '.join(kinds)}")
    values = {**document, "listener": parse_listener(document["listener"])}
    for name, value in values.items():
        if type(value) is not kinds[name]:
            raise BadPacket(f"connection.{name}: {value!r} is not valid, expected {kinds[name]}")
    return IdleConnection(**values)


def _hello(found: _Fields) -> Request:
    owner = found.get("owner")
    if not isinstance(owner, str) or not owner:
        raise BadPacket("hello: expected the owner's name")
    return Hello(owner=owner)


def _give(found: _Fields) -> Request:
    return Give(listener=parse_listener(found.get("listener")))


def _drop(found: _Fields) -> Request:
    key = found.get("key")
    if not isinstance(key, str):
        raise BadPacket("drop: expected the listener's key")
    return Drop(key=key)


def _held(found: _Fields) -> Reply:
    listeners = found.get("listeners")
    if not isinstance(listeners, list):
        raise BadPacket("held: expected listeners")
    return Held(
        listeners=tuple(parse_listener(one) for one in listeners), last=bool(found.get("last"))
    )


_REQUESTS: dict[str, Callable[[_Fields], Request]] = {
    "hello": _hello,
    "give": _give,
    "drop": _drop,
    "clear": lambda _: Clear(),
    "keep": lambda found: Keep(connections=parse_connections(found.get("connections"))),
    "take": lambda _: Take(),
}
_REPLIES: dict[str, Callable[[_Fields], Reply]] = {
    "held": _held,
    "kept": lambda found: Kept(
        connections=parse_connections(found.get("connections")), last=bool(found.get("last"))
    ),
    "ok": lambda _: Done(),
    "error": lambda found: Refused(message=str(found.get("message"))),
}
