"""Netlink messages: their form, and requests to the kernel of the calling thread's namespace.

A request is 25 us of our own time, so each opens a socket: a socket belongs to the namespace in
which it was opened. The kernel's reason for a refusal is in the error (NETLINK_EXT_ACK).
Source: netlink(7), linux/netlink.h.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from a9fe.model.errors import A9feError
from a9fe.runtime import failpoints

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP_INTR = 0x010
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLMSGERR_ATTR_MSG = 1
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF
HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")  # its length, which includes this header, and its kind
RECEIVE_SIZE = 1 << 18

SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
SO_RCVBUFFORCE = 33
SO_SNDBUFFORCE = 32  # beyond the limit of net.core.wmem_max, with CAP_NET_ADMIN

Attributes = dict[int, bytes]


class Refused(A9feError, OSError):
    """The kernel refused a request: `errno`, and in `strerror` its own reason if it gave one."""

    def __str__(self) -> str:
        """The reason."""
        return self.strerror or ""


def opened(family: int) -> socket.socket:
    """A socket for requests. After a failed request close it: it may hold other answers."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
    try:
        sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        sock.bind((0, 0))
    except OSError:
        sock.close()
        raise
    return sock


def listening(family: int, groups: Iterable[int], buffer: int) -> socket.socket:
    """A non-blocking socket for events of multicast groups; `buffer` in bytes."""
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    sock = socket.socket(socket.AF_NETLINK, kind, family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer)
        sock.bind((0, 0))
        for group in groups:
            sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    except OSError:
        sock.close()
        raise
    return sock


def get(family: int, kind: int, body: bytes, kept: socket.socket | None = None) -> bytes:
    """Ask for one object; return the body of the answer. Raises Refused."""
    with _using(family, kept) as sock:
        sock.send(message(kind, NLM_F_REQUEST, body))
        for _, _, answer in _answers(sock):
            return answer
    raise Refused(errno.ENODATA, "no answer")


def dump(family: int, kind: int, body: bytes) -> list[bytes]:
    """Ask for all objects of a kind; return their bodies. Raises Refused."""
    while True:
        with opened(family) as sock:
            sock.send(message(kind, NLM_F_REQUEST | NLM_F_DUMP, body))
            try:
                return [answer for _, _, answer in _answers(sock)]
            except InterruptedError:
                continue  # the table changed during the dump


def change(family: int, kind: int, body: bytes, flags: int = 0) -> None:
    """Ask for a change and wait until it is done. Raises Refused."""
    failpoints.reached("netlink")
    with opened(family) as sock:
        sock.send(message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, body))
        for _ in _answers(sock):
            pass


def batch(
    family: int, requests: Iterable[bytes], last: int, kept: socket.socket | None = None
) -> None:
    """Send messages as one datagram; wait for the answer to the message with number `last`.

    Raises Refused for the first message that the kernel refuses.
    """
    with _using(family, kept) as sock:
        data = b"".join(requests)
        failpoints.reached("netlink")
        sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, len(data) + 4096)
        sock.send(data)
        for _ in _answers(sock, last):
            pass


@contextmanager
def _using(family: int, kept: socket.socket | None) -> Iterator[socket.socket]:
    if kept is not None:
        yield kept
        return
    with opened(family) as sock:
        yield sock


def _answers(sock: socket.socket, last: int | None = None) -> Iterator[tuple[int, int, bytes]]:
    """Kind, flags and body of each message, until the end of a dump or the acknowledgement.

    `last`: the number of the message to wait for; None: any.
    """
    while True:
        for kind, flags, number, body in _numbered(sock.recv(RECEIVE_SIZE)):
            if flags & NLM_F_DUMP_INTR:
                raise InterruptedError(errno.EINTR, "netlink: the dump was interrupted")
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                raise_if_refused(flags, body)
                if last is None or number == last:
                    return
                continue
            yield kind, flags, body


def raise_if_refused(flags: int, body: bytes) -> None:
    """Raise Refused unless the body of an NLMSG_ERROR is an acknowledgement."""
    negative = struct.unpack_from("=i", body)[0]
    if not negative:
        return
    reason = os.strerror(-negative)
    if flags & NLM_F_ACK_TLVS:
        echoed = 4 + HEADER.size
        if not flags & NLM_F_CAPPED:
            echoed = 4 + (struct.unpack_from("=I", body, 4)[0] + 3 & ~3)
        said = text(attributes(body[echoed:]), NLMSGERR_ATTR_MSG)
        reason = f"{reason} ({said})" if said else reason
    raise Refused(-negative, reason)


def message(kind: int, flags: int, body: bytes, number: int = 1) -> bytes:
    """A whole message."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, number, 0) + body + _padding(body)


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and body of each message of a datagram."""
    return ((kind, flags, body) for kind, flags, _, body in _numbered(data))


def _numbered(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, number, _ = HEADER.unpack_from(data, offset)
        yield kind, flags, number, data[offset + HEADER.size : offset + length]
        offset += max(HEADER.size, length + 3 & ~3)


def attributes(data: bytes) -> Attributes:
    """The attributes of a message, after its fixed header; of equal kinds the last."""
    return dict(attribute_list(data))


def attribute_list(data: bytes) -> list[tuple[int, bytes]]:
    """Kind and value of each attribute. Most of the time of an observation is spent here."""
    found: list[tuple[int, bytes]] = []
    offset, last, unpack = 0, len(data) - ATTRIBUTE.size, ATTRIBUTE.unpack_from
    while offset <= last:
        length, kind = unpack(data, offset)
        found.append((kind & NLA_TYPE_MASK, data[offset + 4 : offset + length]))
        offset += (length + 3 & ~3) or 4
    return found


def attribute(kind: int, value: bytes | str) -> bytes:
    """One attribute; a text gets its NUL."""
    raw = value.encode() + b"\0" if isinstance(value, str) else value
    return ATTRIBUTE.pack(4 + len(raw), kind) + raw + _padding(raw)


def number(kind: int, value: int) -> bytes:
    """An attribute of 32 bits in the host's order."""
    return struct.pack("=HHI", 8, kind, value)


def nested(kind: int, *inner: bytes) -> bytes:
    """An attribute of attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(inner))


def text(has: Attributes, kind: int) -> str:
    """The value of a text attribute; "" if it is not there."""
    return has.get(kind, b"").rstrip(b"\0").decode(errors="replace")


def integer(has: Attributes, kind: int) -> int:
    """The value of a number in the host's order; 0 if it is not there."""
    return int.from_bytes(has.get(kind, b""), sys.byteorder)


def _padding(data: bytes) -> bytes:
    return bytes(-len(data) % 4)
