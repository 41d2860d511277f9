"""IMDSv2 tokens: only an issued token is valid, for its holder and its time."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.metadata.imds_tokens import (
    EPOCH,
    TTL_MAX,
    Flaw,
    Holder,
    Tokens,
    hop_limit_of,
    mode_of,
    ttl_of,
)
from a9fe.model.errors import InvalidInput
from a9fe.model.guest import MetadataOptions
from a9fe.model.resources import Instance
from a9fe.model.rules.scheduling import timestamp

TOKENS = Tokens("a shared secret")
NOW = 1_795_000_000.0
HOLDER = Holder(instance_id="0b6e6b33-instance", port_id="0b6e6b33-port")

ids = st.text(max_size=64)
holders = st.builds(Holder, instance_id=ids, port_id=ids)
ttls = st.integers(1, TTL_MAX)
times = st.floats(0, 4_000_000_000)


@given(holders, ttls, times, st.floats(0, 1, exclude_max=True))
def test_a_token_is_valid_for_its_holder_until_it_expires(
    holder: Holder, ttl: int, now: float, part: float
):
    token = TOKENS.issue(holder, ttl, now)
    assert TOKENS.check(token, holder, int(now) + int(ttl * part)) is None
    assert re.fullmatch(rb"[0-9A-Za-z_-]{1,256}", token)


@given(ttls, st.floats(0, 4_000_000_000))
def test_an_expired_token_is_refused(ttl: int, later: float):
    token = TOKENS.issue(HOLDER, ttl, NOW)
    assert TOKENS.check(token, HOLDER, NOW + ttl + later) in {Flaw.EXPIRED, Flaw.EPOCH}


def test_a_token_expires_at_its_second():
    token = TOKENS.issue(HOLDER, 60, NOW)
    assert TOKENS.check(token, HOLDER, NOW + 59.9) is None
    assert TOKENS.check(token, HOLDER, NOW + 60) is Flaw.EXPIRED


@given(st.integers(0, 8 * 60 - 1))
def test_any_altered_bit_is_refused(bit: int):
    token = bytearray(TOKENS.issue(HOLDER, TTL_MAX, NOW))
    token[bit // 8] ^= 1 << bit % 8
    assert TOKENS.check(bytes(token), HOLDER, NOW) is not None


@given(holders, holders)
def test_a_token_of_another_holder_is_refused(mine: Holder, other: Holder):
    token = TOKENS.issue(mine, 60, NOW)
    assert TOKENS.check(token, other, NOW) is (None if mine == other else Flaw.FORGED)


@pytest.mark.parametrize(
    "other",
    [
        replace(HOLDER, port_id="another"),
        replace(HOLDER, port_id=""),
        replace(HOLDER, instance_id="another"),
        Holder(instance_id=HOLDER.instance_id + HOLDER.port_id, port_id=""),
        Holder(instance_id=HOLDER.instance_id[:-1], port_id="e" + HOLDER.port_id),
    ],
)
def test_another_instance_or_port_is_refused(other: Holder):
    assert TOKENS.check(TOKENS.issue(HOLDER, 60, NOW), other, NOW) is Flaw.FORGED


@given(times, st.integers(-5, 5))
def test_keys_of_other_epochs_than_this_and_the_last_are_refused(now: float, epochs: int):
    token = TOKENS.issue(HOLDER, TTL_MAX, now)
    later = now + epochs * EPOCH
    flaw = TOKENS.check(token, HOLDER, later)
    assert flaw is {0: None, 1: Flaw.EXPIRED}.get(epochs, Flaw.EPOCH)


@given(st.binary(max_size=300))
def test_other_text_is_not_a_token(text: bytes):
    assert TOKENS.check(text, HOLDER, NOW) is not None


def test_a_token_of_another_secret_is_refused():
    foreign = Tokens("another secret").issue(HOLDER, 60, NOW)
    assert TOKENS.check(foreign, HOLDER, NOW) is Flaw.FORGED


def test_the_secret_is_not_shown_and_not_empty():
    assert "shared" not in repr(TOKENS)
    with pytest.raises(InvalidInput, match="metadata_proxy_shared_secret"):
        Tokens("")


@pytest.mark.parametrize(
    ("value", "ttl"),
    [
        (b"1", 1),
        (b"21600", 21600),
        (b"0060", 60),
        (b"0", None),
        (b"21601", None),
        (b"-1", None),
        (b"+1", None),
        (b"1.5", None),
        (b"1 ", None),
        (b"", None),
        (b"six", None),
        (b"\xb2", None),
        (b"9" * 5000, None),
        (b"000060", None),
    ],
)
def test_a_ttl_is_a_whole_number_in_its_range(value: bytes, ttl: int | None):
    assert ttl_of(value) == ttl


MADE = Instance(id="i", name="vm", created_at=timestamp(NOW))


@pytest.mark.parametrize(
    ("own", "cloud", "after", "mode"),
    [
        ({}, {"http_tokens": "optional"}, 0, "optional"),
        ({"http_tokens": "off"}, {"http_tokens": "required"}, 0, "off"),
        ({"http_tokens": "observe"}, {"http_tokens": "optional"}, 1e9, "observe"),
        ({"http_tokens_required_after": 60}, {"http_tokens": "observe"}, 59, "observe"),
        ({"http_tokens_required_after": 60}, {"http_tokens": "observe"}, 60, "required"),
        ({"http_tokens_required_after": 0}, {"http_tokens": "off"}, 0, "required"),
        ({}, {"http_tokens": "observe", "http_tokens_required_after": 60}, 59, "observe"),
        ({}, {"http_tokens": "observe", "http_tokens_required_after": 60}, 60, "required"),
        ({"http_tokens": "optional"}, {"http_tokens_required_after": 60}, 60, "optional"),
    ],
)
def test_an_instances_own_options_come_first(
    own: dict[str, str], cloud: dict[str, str], after: float, mode: str
):
    instance = replace(MADE, metadata_options=MetadataOptions(**own))  # type: ignore[arg-type] - of each their own
    assert mode_of(instance, MetadataOptions(**cloud), NOW + after) == mode  # type: ignore[arg-type] - as above


@pytest.mark.parametrize(("own", "cloud", "limit"), [(0, 0, 0), (0, 2, 2), (1, 2, 1)])
def test_the_hop_limit_is_the_instances_or_the_clouds(own: int, cloud: int, limit: int):
    instance = replace(MADE, metadata_options=MetadataOptions(http_put_response_hop_limit=own))
    assert hop_limit_of(instance, MetadataOptions(http_put_response_hop_limit=cloud)) == limit
