"""Bytes of others: the corpus beside h11, and a short round of each target of `./run fuzz`."""

import pytest
from fuzz.rounds import CORPUS, kept, with_hypothesis
from fuzz.targets import TARGETS

from tests.kit.h11_reader import SERVED_UNLIKE_H11, differences, h11s, ours
from tests.kit.hostile_requests import ACCEPTED, CHUNKED, MALFORMED, MALFORMED_CHUNKS

EXAMPLES = 60  # `./run fuzz` runs for minutes
ALL = {
    **MALFORMED,
    **{f"chunks: {name}": CHUNKED + data for name, data in MALFORMED_CHUNKS.items()},
    **{name: data for name, (data, _, _) in ACCEPTED.items()},
}


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_served_that_h11_refuses_or_reads_otherwise(name):
    TARGETS["requests"].check(ALL[name])


@pytest.mark.parametrize("name", ACCEPTED)
def test_h11_accepts_what_we_serve(name):
    data = ACCEPTED[name][0]
    assert len(h11s(data).requests) == len(ours(data).requests) == 1


@pytest.mark.parametrize("data", SERVED_UNLIKE_H11.values(), ids=SERVED_UNLIKE_H11.keys())
def test_what_we_serve_unlike_h11_is_listed(data):
    assert ours(data).requests
    assert not h11s(data, strict=True).requests


@pytest.mark.parametrize(
    ("mine", "its"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        (b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n"),
        (CHUNKED + b"1\r\na\r\n0\r\n\r\n", CHUNKED + b"1\r\nb\r\n0\r\n\r\n"),
    ],
)
def test_differences_are_found(mine, its):
    """If our reader read `mine` where h11 reads `its`, the comparison says so."""
    assert differences(mine, its)
    assert not differences(mine)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_promise(name):
    with_hypothesis(name, EXAMPLES, fresh=False)


@pytest.mark.parametrize("file", sorted(path.name for path in CORPUS.iterdir()))
def test_inputs_that_once_failed(file):
    name = file.partition("-")[0]
    TARGETS[name].check(kept(name)[file])
