"""Trusted headers, refusals and the signature."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.wire.refusals import Refusal, refuse
from a9fe.wire.trusted import end_to_end, sign, strip_trusted, verify
from tests.kit.strategies import disguised


@given(st.lists(disguised(), min_size=1))
def test_no_trusted_name_survives_in_any_disguise(names):
    kept = (b"accept", b"*/*")
    assert strip_trusted([*((name, b"x") for name in names), kept]) == (kept,)


def test_similar_names_survive():
    pairs = ((b"x-forwarded-form", b"1"), (b"forwarded-for", b"2"), (b"x-a9f", b"3"))
    assert strip_trusted(pairs) == pairs


def test_headers_that_connection_lists_are_removed():
    pairs = (
        (b"connection", b"X-A, close"),
        (b"connection", b"x-b"),
        (b"x-a", b"1"),
        (b"x-b", b"2"),
        (b"te", b"trailers"),
        (b"content-length", b"1"),
        (b"x-c", b"3"),
    )
    assert end_to_end(pairs) == ((b"x-c", b"3"),)


def test_signature_is_novas():
    expected = hmac.new(b"s3cret", b"an-id", hashlib.sha256).hexdigest()
    assert sign("s3cret", "an-id") == expected
    assert verify("s3cret", "an-id", expected.encode())


@pytest.mark.parametrize("wrong", [b"", b"\xff", b"0" * 64, sign("other", "an-id").encode()])
def test_other_signatures_are_wrong(wrong):
    assert not verify("s3cret", "an-id", wrong)


def test_an_empty_secret_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        sign("", "an-id")


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_has_its_answer(refusal):
    answer = refuse(refusal, "0123456789ab")
    headers = dict(answer.headers)
    assert answer.status == refusal.value.status
    assert headers[b"x-a9fe-request-id"] == b"0123456789ab"
    assert answer.body.isascii()
    assert b"0123456789ab" in answer.body
    assert (b"retry-after" in headers) == (answer.status in (429, 503))


def test_a_given_retry_after_replaces_the_tables():
    assert dict(refuse(Refusal.RATE_LIMITED, retry_after=3).headers)[b"retry-after"] == b"3"


def test_only_certain_refusals_are_404():
    """cloud-init takes 404 as final: a refusal that may change later must be 503."""
    unsure = {r for r in Refusal if r.name.startswith(("NOT_SYNCED", "SOURCE", "UPSTREAM"))}
    assert {r.value.status for r in unsure} == {503, 504}
