"""Reads of documents: entity tags, If-None-Match, recursive, invalid parameters."""

import json

import pytest

from a9fe.metadata_service.guest_call import query_of
from a9fe.metadata_service.read_options import read_options
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal
from tests.kit.service_world import META_DATA, Asking, replica, signed

PATHS = [b"/", b"/latest/meta-data/", b"/openstack", b"/latest/user-data", META_DATA]


@pytest.fixture
def ask() -> Asking:
    return Asking(replica)


def etag(answer: Answer) -> bytes:
    return dict(answer.headers)[b"etag"]


def conditional(target: bytes, *values: bytes, method: bytes = b"GET") -> Request:
    return signed(target, method=method, extra=tuple((b"if-none-match", v) for v in values))


# -- Entity tags ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("target", [*PATHS, b"/latest?recursive=true"])
def test_every_document_has_a_tag_and_is_304_with_it(ask: Asking, target: bytes, method: bytes):
    tag = etag(ask(signed(target)))
    assert tag.startswith(b'"')
    assert tag.endswith(b'"')
    assert etag(ask(signed(target, method=method))) == tag
    answer = ask(conditional(target, tag, method=method))
    assert answer == Answer(status=304, headers=((b"etag", tag),))
    assert ask.refused == []


@pytest.mark.parametrize(
    ("values", "status"),
    [
        (["{}"], 304),
        (["W/{}"], 304),
        (['"x", {}'], 304),
        (['"x"', "{}"], 304),
        (['W/"x",W/{},"y"'], 304),
        (["*"], 304),
        ([" * "], 304),
        (['"x"'], 200),
        ([""], 200),
        (["{}x"], 304),
        (['"x*"'], 200),
        (["x{}"], 304),
        (["nonsense"], 200),
    ],
)
def test_if_none_match_is_a_list_and_its_comparison_weak(
    ask: Asking, values: list[str], status: int
):
    tag = etag(ask(signed())).decode()
    request = conditional(META_DATA, *(value.replace("{}", tag).encode() for value in values))
    assert ask(request).status == status


def test_the_root_is_conditional_without_signature_too(ask: Asking):
    stranger = Request(method=b"GET", target=b"/", headers=())
    tag = etag(ask(stranger))
    again = Request(method=b"GET", target=b"/", headers=((b"if-none-match", tag),))
    assert ask(again).status == 304


def test_a_refusal_has_no_tag(ask: Asking):
    answer = ask(conditional(b"/nothing", b"*"))
    assert answer.status == 404
    assert b"etag" not in dict(answer.headers)


def test_another_method_is_405_with_any_tag(ask: Asking):
    assert ask(conditional(META_DATA, b"*", method=b"POST")).status == 405


# -- Recursive ---------------------------------------------------------------------------


@pytest.mark.parametrize("target", PATHS)
@pytest.mark.parametrize(
    "query", [b"?recursive=true", b"?recursive=TRUE&alt=json", b"?x&recursive=True"]
)
def test_recursive_is_one_json_value(ask: Asking, target: bytes, query: bytes):
    answer = ask(signed(target + query))
    assert answer.status == 200
    assert dict(answer.headers)[b"content-type"] == b"application/json"
    json.loads(answer.body)


@pytest.mark.parametrize("query", [b"?recursive=false", b"?", b"?recursiv=true", b"?alt=json"])
def test_without_recursive_nothing_changes(ask: Asking, query: bytes):
    target = b"/latest/meta-data/"
    assert ask(signed(target + query)) == ask(signed(target))


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        (b"recursive=1", b"recursive"),
        (b"recursive", b"recursive"),
        (b"recursive=true&recursive=true", b"recursive"),
        (b"wait_for_change=yes", b"wait_for_change"),
        (b"wait%5Ffor_change=true", b"wait_for_change"),
        (b"timeout_sec=-1", b"timeout_sec"),
        (b"timeout_sec=", b"timeout_sec"),
        (b"timeout_sec=1.5", b"timeout_sec"),
        (b"timeout_sec=\xb2", b"timeout_sec"),
        (b"timeout_sec=9999999999", b"timeout_sec"),
        (b'last_etag="a"b', b"last_etag"),
    ],
)
def test_an_invalid_parameter_is_named(ask: Asking, query: bytes, parameter: bytes):
    answer = ask(signed(META_DATA + b"?" + query))
    assert (answer.status, ask.refused) == (400, [Refusal.BAD_PARAMETER])
    assert b"\n" + parameter + b": expected " in answer.body


def test_a_missing_path_is_404_with_any_parameters(ask: Asking):
    assert ask(signed(b"/nothing?recursive=1")).status == 404


@pytest.mark.parametrize(
    ("said", "tag"),
    [
        (b"", b""),
        (b"0", b""),
        (b"NONE", b""),
        (b"abc", b'"abc"'),
        (b"%22abc%22", b'"abc"'),
        (b"W/%22abc%22", b'"abc"'),
    ],
)
def test_last_etag_is_accepted_with_and_without_quotes(said: bytes, tag: bytes):
    target = b"/latest?last_etag=" + said
    wish = read_options(query_of(target), target)
    assert getattr(wish, "last_etag", None) == tag
