"""Requests that are read and refused: tables, limits, and any split of the bytes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.http.head import BadMessage
from a9fe.http.server.reader import RequestReader
from a9fe.wire.limits import LIMITS, Limits
from a9fe.wire.refusals import Refusal
from tests.kit.hostile_requests import (
    ACCEPTED,
    CHUNKED,
    HOST,
    MALFORMED,
    MALFORMED_CHUNKS,
    NOT_PASSED_ON,
)


def read(*pieces: bytes, limits: Limits = LIMITS):
    """Return the requests in these pieces, and the refusal at the end, if any."""
    reader, found = RequestReader(limits), []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (whole := reader.next()) is not None:
                found.append(whole)
    except BadMessage as bad:
        found.append(bad.refusal)
    return found


def one(data: bytes, limits: Limits = LIMITS):
    (whole,) = read(data, limits=limits)
    return whole


@pytest.mark.parametrize("line", NOT_PASSED_ON)
@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_methods_other_than_those_of_documents_are_405(line, version):
    """CONNECT opens a tunnel, TRACE echoes our headers, `OPTIONS *` asks the server itself."""
    head = line + b" " + version + b"\r\nHost: a\r\n\r\n"
    assert read(head) == [Refusal.METHOD_NOT_ALLOWED]
    assert read(head + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == [Refusal.METHOD_NOT_ALLOWED]


@pytest.mark.parametrize(
    "method", [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"]
)
def test_targets_other_than_a_path_are_never_passed_on(method):
    for target in (
        b"a:80",
        b"*",
        b"//",
        b"http://",
        b"http:///x",
        b"http:/x",
        b"http:x",
        b"ws://a/",
    ):
        got = read(method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert got in ([Refusal.MALFORMED], [Refusal.METHOD_NOT_ALLOWED]) or target == b"//"
        if target == b"//":
            assert got[0][0].target == b"//"  # a path, if an odd one


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_ambiguous_requests_are_refused(data):
    assert read(data)[0] is Refusal.MALFORMED


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_ambiguous_requests_are_refused_byte_by_byte(data):
    assert read(*[data[i : i + 1] for i in range(len(data))])[0] is Refusal.MALFORMED


@pytest.mark.parametrize("chunks", MALFORMED_CHUNKS.values(), ids=MALFORMED_CHUNKS.keys())
def test_malformed_chunks_are_refused(chunks):
    assert read(CHUNKED + chunks) == [Refusal.MALFORMED]


@pytest.mark.parametrize("more", [0, 1])
def test_a_body_in_many_chunks_is_refused_before_it_costs_much(more):
    most = LIMITS.chunk_lines - 1 + more  # the last chunk, which is empty, has a line too
    got = read(CHUNKED + b"1\r\nx\r\n" * most + b"0\r\n\r\n")
    if more:
        assert got == [Refusal.BODY_TOO_LARGE]
        assert read(CHUNKED + b"1\r\nx\r\n" * 8000) == got
        assert read(CHUNKED + b"0\r\n" + b"X:\r\n" * 200) == [Refusal.MALFORMED]
    else:
        assert [body for _, body in got] == [b"x" * most]


@pytest.mark.parametrize(("data", "target", "body"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_unambiguous_requests_are_served(data, target, body):
    head, got = one(data)
    assert (head.target, got) == (target, body)


def test_an_absolute_target_sets_the_host():
    head, _ = one(b"GET http://b:80/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert dict(head.headers)[b"host"] == b"b:80"


def test_names_are_lower_case_and_values_without_blanks():
    head, _ = one(b"GET / HTTP/1.1\r\nHOST: a\r\nX-Y_z:  \t b c \t \r\n\r\n")
    assert head.headers == ((b"host", b"a"), (b"x-y_z", b"b c"))


@pytest.mark.parametrize(
    ("line", "headers", "kept"),
    [
        (b"GET / HTTP/1.1", b"", True),
        (b"GET / HTTP/1.1", b"Connection: close\r\n", False),
        (b"GET / HTTP/1.1", b"Connection: foo, Close\r\n", False),
        (b"GET / HTTP/1.0", b"", False),
        (b"GET / HTTP/1.0", b"Connection: keep-alive\r\n", True),
        (b"POST / HTTP/1.1", b"Connection: close\r\nContent-Length: 0\r\n", False),
    ],
)
def test_when_the_connection_is_kept(line, headers, kept):
    head, _ = one(line + b"\r\n" + HOST + headers + b"\r\n")
    assert head.keep_alive is kept


def padded(size: int) -> bytes:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
    return head.replace(b"X: ", b"X: " + b"x" * (size - len(head)))


def test_head_at_the_limit_and_one_past():
    assert len(padded(LIMITS.head_bytes)) == LIMITS.head_bytes
    assert len(read(padded(LIMITS.head_bytes))) == 1
    assert read(padded(LIMITS.head_bytes)) != [Refusal.HEAD_TOO_LARGE]
    assert read(padded(LIMITS.head_bytes + 1)) == [Refusal.HEAD_TOO_LARGE]
    assert read(b"GET /" + b"x" * (LIMITS.head_bytes - 5)) == [Refusal.HEAD_TOO_LARGE]
    assert read(b"GET /" + b"x" * (LIMITS.head_bytes - 6)) == []


def test_number_of_headers_at_the_limit_and_one_past():
    def with_headers(count: int) -> bytes:
        return b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * (count - 1) + b"\r\n"

    assert read(with_headers(LIMITS.headers)) != [Refusal.HEAD_TOO_LARGE]
    assert read(with_headers(LIMITS.headers + 1)) == [Refusal.HEAD_TOO_LARGE]


SMALL = Limits(body_bytes=10)


def test_body_at_the_limit_and_one_past():
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    assert one(post % 10 + b"0123456789", SMALL)[1] == b"0123456789"
    assert read(post % 11, limits=SMALL) == [Refusal.BODY_TOO_LARGE]
    chunks = b"5\r\n01234\r\n5\r\n56789\r\n"
    assert one(CHUNKED + chunks + b"0\r\n\r\n", SMALL)[1] == b"0123456789"
    assert read(CHUNKED + chunks + b"1\r\n", limits=SMALL) == [Refusal.BODY_TOO_LARGE]


def test_chunk_line_at_the_limit_and_one_past():
    def with_line(size: int) -> bytes:
        return CHUNKED + b"1;" + b"x" * (size - 2) + b"\r\n" + b"a\r\n0\r\n\r\n"

    for cut in (len(CHUNKED) + 256, len(CHUNKED) + 257):
        data = with_line(256)
        assert read(data[:cut], data[cut:])[0][1] == b"a"
    assert read(with_line(257)) == [Refusal.MALFORMED]


TOKENS = st.text("abcXYZ019-_!#$%&'*+.^`|~", min_size=1, max_size=12).map(str.encode)
VALUES = st.binary(max_size=20).map(
    lambda raw: bytes(b for b in raw if b == 9 or (b >= 32 and b != 127)).strip(b" \t")
)
FRAMING = {b"host", b"content-length", b"transfer-encoding", b"expect", b"connection", b"upgrade"}
HEADERS = st.lists(st.tuples(TOKENS, VALUES), max_size=5).map(
    lambda pairs: [pair for pair in pairs if pair[0].lower() not in FRAMING]
)
BODIES = st.one_of(st.none(), st.lists(st.binary(max_size=30), max_size=4))


@st.composite
def requests(draw):
    """Draw a request: its bytes, its headers and its body."""
    pieces, headers = draw(BODIES), draw(HEADERS)
    lines = [b"POST /x HTTP/1.1", b"Host: a", *[b"%b: %b" % pair for pair in headers]]
    body = b"".join(pieces or [])
    if pieces is not None and draw(st.booleans()):
        lines.append(b"Transfer-Encoding: chunked")
        sent = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces if p) + b"0\r\n\r\n"
    else:
        lines.append(b"Content-Length: %d" % len(body))
        sent = body
    blank = draw(st.sampled_from([b"", b"\r\n"]))
    return blank + b"\r\n".join([*lines, b"", b""]) + sent, headers, body


@given(st.lists(requests(), min_size=1, max_size=3), st.data())
def test_the_requests_do_not_depend_on_how_the_bytes_are_split(made, data):
    stream = b"".join(raw for raw, _, _ in made)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    bounds = [0, *cuts, len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(bounds)]
    found = read(*pieces)
    assert found == read(stream) == read(*[stream[i : i + 1] for i in range(len(stream))])
    assert [body for _, body in found] == [body for _, _, body in made]
    for (head, _), (_, headers, _) in zip(found, made, strict=True):
        got = [pair for pair in head.headers if pair[0] not in FRAMING]
        assert got == [(name.lower(), value) for name, value in headers]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    """No bytes raise another exception."""
    for prefix in (b"", b"GET / HTTP/1.1\r\nHost: a\r\n", CHUNKED):
        read(prefix + data)


@given(st.binary(max_size=200))
def test_the_fast_path_reads_what_the_slow_one_reads(data):
    raw = b"GET / HTTP/1.1\r\nHost: a\r\n" + data + b"\r\n\r\n"
    try:
        fast = RequestReader(LIMITS).whole(raw)
    except BadMessage as bad:
        fast = bad.refusal
    assert fast is None or read(raw) == [fast]
