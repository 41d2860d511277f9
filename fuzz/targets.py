"""What is fuzzed: each target takes bytes from outside, and raises if a promise about them breaks.

A target raises nothing for input that our code refuses. `words` are pieces of likely inputs.
"""

import asyncio
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tests.kit.h11_reader import Read, differences, h11s, ours
from tests.kit.hostile_requests import ACCEPTED, CHUNKED, MALFORMED, MALFORMED_CHUNKS

from a9fe.http.framing import ChunkedBody
from a9fe.http.head import BadMessage
from a9fe.http.render import request_bytes
from a9fe.http.server.accepted import source_mac
from a9fe.http.upstream import target as upstream_target
from a9fe.http.upstream.addresses import Address
from a9fe.http.upstream.errors import UpstreamError
from a9fe.http.upstream.exchange import Exchange
from a9fe.http.upstream.upstream_connection import UpstreamConnection
from a9fe.linux.kernel import netlink
from a9fe.metadata_agent.lookup_key import LookupKey, client_of_request, parse_lookup_key
from a9fe.metadata_proxy.relay import answer_for_guest, request_for_agent
from a9fe.wire import handover, trusted
from a9fe.wire.limits import LIMITS
from a9fe.wire.message import Answer, Listener, Request
from a9fe.wire.refusals import Refusal

NETWORK = Listener(kind="network", id="net-1", namespace="qdhcp-net-1", address="::", port=80)
SENDER = {"client_address": "10.0.0.5", "client_mac": "fa:16:3e:00:00:05", "connected_at": 1.0}
SET_BY_US = (trusted.FORWARDED_FOR, trusted.NETWORK_ID, trusted.GUEST_MAC, trusted.OUR_HOP)
MAX_BODY = 1 << 16
ROOM = 1024  # bytes that hop 1 may add to a head


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`check` takes one input. `seeds` are whole inputs, `words` pieces of them."""

    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]


def halves(data: bytes) -> tuple[bytes, ...]:
    """Cut the input where its own bytes say, so that cuts vary with it."""
    at = (sum(data[:64]) * 31 + len(data)) % (len(data) + 1)
    return data[:at], data[at:]


def requests(data: bytes) -> None:
    """Our reader accepts nothing that h11 refuses, reads the same, and in pieces the same again.

    What hop 1 sends on is one request with the same body, and our headers once.
    """
    assert not (found := differences(data)), found
    whole = ours(data)
    assert whole == ours(data, halves(data)) == ours(data, tuple(bytes([b]) for b in data))
    for request in whole.requests:
        passes_on(request)


def passes_on(read: Read) -> None:
    """Check what hop 1 sends on for a guest's request."""
    guests = Request(
        method=read.method,
        target=read.target,
        headers=read.headers,
        body=read.body,
        listener=NETWORK,
        **SENDER,  # type: ignore[arg-type]
    )
    sent = request_bytes(request_for_agent(guests, NETWORK, b"0123456789ab"), b"169.254.169.254")
    if sent.index(b"\r\n\r\n") > LIMITS.head_bytes - ROOM:
        return
    for reading in (h11s(sent), ours(sent)):
        (received,) = reading.requests
        assert (received.method, received.target, received.body) == (
            read.method,
            read.target,
            read.body,
        )
        names = [trusted.folded(name) for name, _ in received.headers]
        for name in SET_BY_US:
            assert names.count(name) == 1, (name, received)
        assert trusted.SIGNATURE not in names
        assert dict(received.headers)[trusted.FORWARDED_FOR] == b"10.0.0.5"
    assert len(ours(sent + sent).requests) == 2, "the next request begins elsewhere"


def chunks(data: bytes) -> None:
    """A chunked body is read as h11 reads it; of an upstream's, bytes are bounded."""
    requests(CHUNKED + data)
    for pieces in ((data,), halves(data)):
        body, buffer = ChunkedBody(MAX_BODY, lenient=True), bytearray()
        try:
            for piece in pieces:
                buffer += piece
                body.take(buffer)
        except BadMessage:
            pass
        assert len(body.data) <= MAX_BODY


class _Pool:
    """The pool and the transport of one upstream connection, which record what it does."""

    max_body = MAX_BODY

    def __init__(self) -> None:
        self.freed_as: list[bool] = []
        self.collected_bytes = 0
        self.closed = False

    def freed(self, _: object, *, reusable: bool, answered: bool) -> None:
        assert answered, "freed without an answer"
        self.freed_as.append(reusable)

    def repeat(self, *_: object) -> None:
        raise AssertionError("nothing may be repeated")

    def unanswered(self, *_: object) -> None:
        pass

    def has_other(self, _: object) -> bool:
        return False

    def collected(self, amount: int) -> None:
        self.collected_bytes += amount

    def lost(self, _: object) -> None:
        pass

    def write(self, _: bytes) -> None:
        pass

    def abort(self) -> None:
        self.closed = True

    close = abort

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, _: str) -> None:
        return None


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def _received(method: bytes, pieces: tuple[bytes, ...]) -> Answer | type[UpstreamError] | None:
    """Return the answer or the error that these pieces, then the end, make."""
    pool = _Pool()
    asked = Request(method=method, target=b"/", headers=())
    exchange = Exchange(asked, 1e9, _loop())
    connection = UpstreamConnection(pool, Address(upstream_target.Target(path="a")))  # type: ignore[arg-type]
    connection.connection_made(pool)  # type: ignore[arg-type]
    connection.ask(exchange)
    for piece in pieces:
        if piece and not pool.closed:
            connection.data_received(piece)
    if not pool.closed:
        connection.eof_received()
    connection.connection_lost(None)
    assert pool.collected_bytes == 0, "bytes stay counted"
    error = exchange.exception()
    if error is not None:
        assert isinstance(error, UpstreamError), error
        return type(error)
    return exchange.result()


def answers(data: bytes) -> None:
    """An upstream's answer is an answer or an error, however its bytes arrive, and within bounds.

    Bytes after an answer are never taken for a next one.
    """
    for method in (b"GET", b"HEAD"):
        found = _received(method, (data,))
        assert found == _received(method, halves(data))
        if isinstance(found, Answer):
            assert len(found.body) <= MAX_BODY
            assert found.status >= 200
            assert not {name.lower() for name, _ in found.headers} & {
                b"connection",
                b"transfer-encoding",
            }
            assert 1 <= answer_for_guest(found).hop_limit + 1 <= 100


def handovers(data: bytes) -> None:
    """A packet of the listener hand-over is read and written back the same, or refused."""
    for decode in (handover.decode_request, handover.decode_reply):
        try:
            packet = decode(data)
        except (handover.BadPacket, ValueError):
            continue
        assert decode(handover.encode(packet)) == packet


def keys(data: bytes) -> None:
    """Headers of a proxy give a lookup key or a refusal; with ours repeated, never another key."""
    pairs = [line.partition(b":") for line in data.split(b"\n")[:12]]
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    request = Request(method=b"GET", target=b"/", headers=headers)
    key = parse_lookup_key(request)
    assert isinstance(key, LookupKey | Refusal)
    client_of_request(request)
    if isinstance(key, LookupKey):
        assert bool(key.network_id) != bool(key.router_id)
        assert key.guest_address
    kept = trusted.guests_own(headers)
    assert not [name for name, _ in kept if trusted.is_trusted(name)]


def syns(data: bytes) -> None:
    """Whatever a guest's SYN is, its MAC is read or unknown."""
    for address in ("10.0.0.5", "fe80::1", "::ffff:10.0.0.5"):
        mac = source_mac(data, address)
        assert mac == "" or set(mac) <= set(string.hexdigits + ":")


def netlinks(data: bytes) -> None:
    """Messages of netlink and their attributes end, whatever lengths they state."""
    for _, _, body in netlink.messages(data):
        list(netlink.attribute_list(body))


HEADER_WORDS = tuple(
    name + b": "
    for name in (*sorted(trusted.TRUSTED), *SET_BY_US, b"connection", b"x_forwarded_for")
)
REQUEST_WORDS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"GET http://b:80/x?y HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: ",
    b"Connection: close\r\n",
    b"Connection: X-Forwarded-For, Upgrade\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\n",
    b"X: ",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b"\x0b",
    b":",
    b",",
    b"hello",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"1;a=b\r\nx\r\n",
    b" HTTP/1.1\r\n",
    *HEADER_WORDS,
)
CHUNK_WORDS = (
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\n",
    b"A",
    b";a=b",
    b"\r\n",
    b"\n",
    b"X: 1\r\n",
)
ANSWER_WORDS = (
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 404 Not Found\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 204 \r\n",
    b"X-A9fe-Hop-Limit: 2\r\n",
    *REQUEST_WORDS[5:],
)
PACKETS = tuple(
    handover.encode(packet)
    for packet in (
        handover.Hello(owner="dhcp"),
        handover.Give(listener=NETWORK),
        handover.Drop(key=NETWORK.key),
        handover.Clear(),
        handover.Held(listeners=(NETWORK,), last=True),
        handover.Refused(message="no"),
    )
)
KEY_SEED = b"x-forwarded-for: 10.0.0.5\nx-neutron-network-id: net-1\nx-a9fe-hop: 1\nx-a9fe-mac: fa"
TARGETS = {
    "requests": Target(
        check=requests,
        seeds=(*MALFORMED.values(), *(data for data, _, _ in ACCEPTED.values())),
        words=REQUEST_WORDS,
    ),
    "chunks": Target(check=chunks, seeds=tuple(MALFORMED_CHUNKS.values()), words=CHUNK_WORDS),
    "answers": Target(
        check=answers,
        seeds=(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\n\nok",
        ),
        words=ANSWER_WORDS,
    ),
    "handover": Target(
        check=handovers,
        seeds=PACKETS,
        words=(b'{"op": "', b'"listener": ', b'"key": ', b"[" * 50, b"{", b"}", b"null", b"1e999"),
    ),
    "keys": Target(
        check=keys, seeds=(KEY_SEED,), words=(*HEADER_WORDS, b"\n", b"fe80::1%a", b",")
    ),
    "syns": Target(
        check=syns,
        seeds=(bytes(6) + bytes(range(6)) + b"\x08\x00E" + bytes(11) + b"\x0a\x00\x00\x05",),
        words=(b"\x08\x00", b"\x86\xdd", b"\x0a\x00\x00\x05", b"\xfe\x80", bytes(14)),
    ),
    "netlink": Target(
        check=netlinks,
        seeds=(netlink.message(16, 0, netlink.attribute(3, "lo")),),
        words=(bytes(4), b"\x10\0\0\0", b"\x04\0", b"\xff\xff\xff\xff", bytes(16)),
    ),
}
