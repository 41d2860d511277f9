"""Requests that are read and refused: tables, limits, and any split of the bytes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.http.head import BadMessage
from a9fe.http.server.reader import RequestReader
from a9fe.wire.limits import LIMITS, Limits
from a9fe.wire.refusals import Refusal


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


# What two servers could read in two ways, or what is no HTTP/1.x.
MALFORMED = {
    "TE and CL": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CL and TE": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Length: 4\r\n\r\n0\r\n\r\n",
    "two CL, same": b"POST / HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "two CL, other": b"POST / HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "CL list": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
    "CL plus": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
    "CL minus": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx",
    "CL hex": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx",
    "CL underscore": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nxxxxxxxxxx",
    "CL empty": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
    "CL beyond 64 bit": b"POST / HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 18446744073709551617\r\n\r\nx",
    "TE identity": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    "TE list": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "TE twice": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE xchunked": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE with VT": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "TE in 1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "blank before colon": b"POST / HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "obs-fold": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    "obs-fold, tab": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n",
    "first line folded": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF in a line": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "NUL in value": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "NUL in target": b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "control in value": b"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
    "DEL in value": b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "blank in name": b"GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n",
    "non-ASCII name": b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: 1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\nX: a\r\n\r\n",
    "host with path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host with user": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "host with blank": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "two Expects": b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nExpect: 100-continue\r\n\r\n",
    "two blanks": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "blank at the end": b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "tab in the line": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "blank in target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "http/1.1": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "RTSP": b"DESCRIBE / RTSP/1.0\r\nHost: a\r\n\r\n",
    "unknown method": b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
    "lower-case method": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "relative target": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "non-ASCII target": b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "star of a GET": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "URL with user": b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "ftp URL": b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "blank lines": b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "CR first": b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
}
NOT_PASSED_ON = [
    b"CONNECT a:80",
    b"CONNECT /",
    b"CONNECT http://a/",
    b"TRACE /",
    b"OPTIONS *",
    b"PROPFIND /",
    b"PURGE /",
]


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


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
MALFORMED_CHUNKS = {
    "no size": b"\r\n\r\n",
    "no hex": b"xyz\r\n",
    "0x": b"0x1\r\na\r\n0\r\n\r\n",
    "sign": b"+1\r\na\r\n0\r\n\r\n",
    "blank first": b" 1\r\na\r\n0\r\n\r\n",
    "blank after": b"1 \r\na\r\n0\r\n\r\n",
    "underscore": b"1_0\r\na\r\n0\r\n\r\n",
    "nine digits": b"000000001\r\na\r\n0\r\n\r\n",
    "bare LF": b"1\na\n0\n\n",
    "bare LF in extension": b"1;a\nb\r\na\r\n0\r\n\r\n",
    "control in extension": b"1;\x00\r\na\r\n0\r\n\r\n",
    "longer than its size": b"1\r\nab\r\n0\r\n\r\n",
    "no CR after": b"1\r\na\n0\r\n\r\n",
    "endless line": b"1;" + b"x" * 300,
    "trailer without colon": b"0\r\nX\r\n\r\n",
    "trailer folded": b"0\r\nX: 1\r\n 2\r\n\r\n",
    "endless trailers": b"0\r\n" + b"X: 1\r\n" * 5000,
}


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


HOST = b"Host: a\r\n"
ACCEPTED = {
    "plain": (b"GET /a?b=c HTTP/1.1\r\n" + HOST + b"\r\n", b"/a?b=c", b""),
    "blank line before": (b"\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n", b"/", b""),
    "1.0 without host": (b"GET / HTTP/1.0\r\n\r\n", b"/", b""),
    "empty host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"/", b""),
    "IPv6 host": (b"GET / HTTP/1.1\r\nHost: [fe80::a9fe:a9fe%25eth0]:80\r\n\r\n", b"/", b""),
    "URL": (b"GET http://b:80/x?y HTTP/1.1\r\n" + HOST + b"\r\n", b"/x?y", b""),
    "URL without path": (b"GET HTTP://b HTTP/1.1\r\n" + HOST + b"\r\n", b"/", b""),
    "upgrade": (
        b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + HOST + b"\r\n",
        b"/",
        b"",
    ),
    "obs-text": (b"GET / HTTP/1.1\r\nX: \xe9\xff\r\n" + HOST + b"\r\n", b"/", b""),
    "length": (
        b"PUT / HTTP/1.1\r\nContent-Length: 3 \r\n" + HOST + b"\r\n\0\n\r",
        b"/",
        b"\0\n\r",
    ),
    "leading zeros": (
        b"PUT / HTTP/1.1\r\nContent-Length: 003\r\n" + HOST + b"\r\nabc",
        b"/",
        b"abc",
    ),
    "chunks": (CHUNKED + b"3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n", b"/", b"abc0123456789"),
    "extension": (CHUNKED + b'1;a=b;c="d"\r\nx\r\n0\r\n\r\n', b"/", b"x"),
    "trailer": (CHUNKED + b"1\r\nx\r\n0\r\nX: 1\r\n\r\n", b"/", b"x"),
    "empty chunked": (CHUNKED + b"0\r\n\r\n", b"/", b""),
    "Chunked": (CHUNKED.replace(b"chunked", b"Chunked") + b"0\r\n\r\n", b"/", b""),
}


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
