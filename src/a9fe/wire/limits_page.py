"""docs/contracts/limits.md, generated from the limits."""

from a9fe.wire import limits as of
from a9fe.wire.limits import AT_ONCE, KIB, LIMITS, MIB
from a9fe.wire.rate_limit import Window
from a9fe.wire.refusals import Refusal

_PAGE = """# Limits of the metadata path

Generated from `wire/limits.py` by `./run docs`. All are on by default. A value at a limit is
served, one above it is refused. A client is a guest MAC on its network's or router's listener
([ADR 16](../adr/0016-largest-client-loses-a-connection.md)); an instance, where writes, identity
tokens and waiting requests are counted. The bounds on all clients are those of one process, and
are lower if the process may open fewer files.

## Numbers, bytes and rates

| what | one client | one network or router | all | above it |
|---|---|---|---|---|
"""
_TIMES = """
## Times

| what | seconds | then |
|---|---|---|
"""
_REQUESTS = """
## One request or answer

| what | limit | above it |
|---|---|---|
"""


def _bytes(size: float) -> str:
    unit, name = (MIB, "MiB") if size >= MIB else (KIB, "KiB")
    return f"{size / unit:g} {name}" if size >= KIB else f"{size:g} bytes"


def _window(window: Window) -> str:
    return f"{window.limit} in {window.duration:g} s"


def _answer(refusal: Refusal) -> str:
    return f"{refusal.value.status} ({refusal.label})"


_LARGEST = f"the largest client loses a connection ({Refusal.GAVE_WAY.label})"
_NUMBERS = (
    (
        "connections",
        str(LIMITS.connections_per_client),
        str(LIMITS.connections_per_listener),
        str(LIMITS.connections),
        f"{_answer(Refusal.TOO_MANY_CONNECTIONS)} for the client's own; else {_LARGEST}",
    ),
    (
        "incomplete requests that are read",
        str(LIMITS.arriving_per_client),
        "",
        "",
        "the others stay in the kernel until one is complete",
    ),
    (
        "bytes held: requests and unsent answers",
        _bytes(LIMITS.held_bytes_per_client),
        _bytes(LIMITS.held_bytes_per_listener),
        _bytes(LIMITS.held_bytes),
        _LARGEST,
    ),
    (
        "requests in progress",
        str(AT_ONCE.at_once_per_client),
        "",
        str(AT_ONCE.at_once),
        "queued; clients are served in turn",
    ),
    (
        "requests queued",
        str(AT_ONCE.queue_per_client),
        "",
        str(AT_ONCE.queue),
        f"{_answer(Refusal.TOO_MANY_AT_ONCE)} after {of.FULL_PAUSE:g} s",
    ),
    (
        "requests (guest_request_burst, guest_request_rate)",
        f"{of.GUEST_REQUEST_BURST} at once, then {of.GUEST_REQUEST_RATE} a second",
        "",
        "",
        f"{_answer(Refusal.RATE_LIMITED)} with Retry-After",
    ),
    (
        "connections (the same two options)",
        f"{of.GUEST_REQUEST_BURST} at once, then {of.GUEST_REQUEST_RATE} a second",
        "",
        "",
        "the bridge drops the SYN (refused_rate)",
    ),
    (
        "bytes of answers",
        f"{_bytes(AT_ONCE.burst_bytes)} at once, then {_bytes(AT_ONCE.byte_rate)} a second",
        "",
        "",
        "queued",
    ),
    (
        "requests that wait for a change",
        str(of.MAX_WAITERS_PER_INSTANCE),
        "",
        f"{of.MAX_WAITING_UPSTREAM} of a host, {of.MAX_WAITERS} of a service",
        _answer(Refusal.TOO_MANY_WAITERS),
    ),
    (
        "writes (password, attributes, events)",
        _window(of.WRITES),
        "",
        "",
        _answer(Refusal.TOO_MANY_WRITES),
    ),
    (
        "identity tokens",
        _window(of.IDENTITY_TOKENS),
        "",
        "",
        _answer(Refusal.RATE_LIMITED),
    ),
)
_SECONDS = (
    ("a request's head", LIMITS.head_timeout, _answer(Refusal.HEAD_TIMEOUT)),
    ("a request's body", LIMITS.body_timeout, _answer(Refusal.HEAD_TIMEOUT)),
    ("an idle connection", LIMITS.idle_timeout, "closed"),
    ("an unread answer", LIMITS.write_timeout, "reset"),
    ("a half-closed connection", LIMITS.half_closed_timeout, "closed"),
    ("a queued request", AT_ONCE.wait, _answer(Refusal.TOO_MANY_AT_ONCE)),
)
_SIZES = (
    ("head", _bytes(LIMITS.head_bytes), _answer(Refusal.HEAD_TOO_LARGE)),
    ("headers", str(LIMITS.headers), _answer(Refusal.HEAD_TOO_LARGE)),
    ("body", _bytes(LIMITS.body_bytes), _answer(Refusal.BODY_TOO_LARGE)),
    ("chunks and trailers", str(LIMITS.chunk_lines), _answer(Refusal.BODY_TOO_LARGE)),
    ("pipelined bytes read ahead", _bytes(LIMITS.pipelined_bytes), "stay in the kernel"),
    ("answer from the next hop", _bytes(of.MAX_ANSWER_BYTES), _answer(Refusal.UPSTREAM_BROKEN)),
)


def markdown() -> str:
    """Return the page docs/contracts/limits.md."""
    rows = [_PAGE, *(f"| {' | '.join(row)} |\n" for row in _NUMBERS)]
    rows += [_TIMES, *(f"| {what} | {time:g} | {then} |\n" for what, time, then in _SECONDS)]
    rows += [_REQUESTS, *(f"| {' | '.join(row)} |\n" for row in _SIZES)]
    return "".join(rows)
