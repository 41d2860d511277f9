"""Identity documents, tokens, and the schedule of the keys: pure."""

import json
from dataclasses import replace

import pytest

from a9fe.metadata import tree
from a9fe.metadata.document_signer import DocumentSigner, Signatures
from a9fe.metadata.identity import jwt, key_schedule
from a9fe.metadata.identity.document import document
from a9fe.metadata.identity.jwt import Grant, InvalidToken, check, claims, issue, parse
from a9fe.metadata.identity.key_schedule import KeyTimes, Policy
from a9fe.metadata.instance_view import InstanceView
from a9fe.model import jwk
from tests.golden.metadata.scenarios import INSTANCE_ID, PROJECT, one_card, several_cards

DAY, HOUR = 86400.0, 3600.0
WEEK = Policy(lifetime=7 * DAY, token_lifetime=HOUR)
LEAD = 0.7 * DAY
NOW = 1_000_000_000
# The key and thumbprint of RFC 7638 section 3.1.
RFC_MODULUS = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
    "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
    "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
    "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)
RFC_THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
GRANT = Grant(
    issuer="https://cloud", audience="vault", nonce="", issued_at=NOW, lifetime=int(HOUR)
)


def shouted(data: bytes) -> bytes:
    """Return a fake signature."""
    return data.upper()


def signing(view: InstanceView, *, ready: bool = True) -> InstanceView:
    signer = DocumentSigner(
        architecture="x86_64",
        ready=lambda: ready,
        sign=lambda data: Signatures(signature=shouted(data), pkcs7=b"7" + data),
    )
    return replace(view, settings=replace(view.settings, identity=signer))


# -- The document --------------------------------------------------------------------------


def test_the_document_has_ec2s_keys_and_ours():
    view = one_card()
    view = replace(view, instance=replace(view.instance, created_at="2026-11-22T10:00:00Z"))
    found = json.loads(document(view, "x86_64"))
    unset = dict.fromkeys(
        (
            "billingProducts",
            "devpayProductCodes",
            "kernelId",
            "marketplaceProductCodes",
            "ramdiskId",
        )
    )
    assert found == {
        **unset,
        "accountId": PROJECT,
        "architecture": "x86_64",
        "availabilityZone": "zone-b",
        "imageId": "ami-cae66afe",
        "instanceId": "i-0000002a",
        "instanceType": "m1.small",
        "openstack": {"image": "debian-12", "name": "Web_1 (Süd)", "uuid": INSTANCE_ID},
        "pendingTime": "2026-11-22T10:00:00Z",
        "privateIp": "10.1.0.7",
        "region": "RegionOne",
        "version": "2017-09-30",
    }


def test_the_document_is_the_same_bytes_for_the_same_instance():
    first, again = one_card(), one_card()
    assert document(first, "x86_64") == document(again, "x86_64")
    other = replace(first, instance=replace(first.instance, name="other"))
    assert document(other, "x86_64") != document(first, "x86_64")


def test_an_instance_without_ipv4_has_no_private_ip():
    assert json.loads(document(replace(one_card(), ports=()), "x86_64"))["privateIp"] is None


def read(view: InstanceView, path: str) -> bytes | None:
    found = tree.render(view, path)
    return None if found is None else found.body


@pytest.mark.parametrize("version", ["latest", "2020-10-27", "2016-09-02"])
def test_the_tree_lists_and_serves_it_at_later_dates(version: str):
    view = signing(one_card())
    base = f"/{version}/dynamic/instance-identity"
    assert b"dynamic/" in (read(view, f"/{version}/") or b"").split(b"\n")
    assert read(view, f"/{version}/dynamic") == b"instance-identity/"
    assert read(view, base) == b"document\npkcs7\nrsa2048\nsignature"
    said = document(view, "x86_64")
    assert read(view, base + "/document") == said
    assert read(view, base + "/signature") == shouted(said)
    assert read(view, base + "/pkcs7") == read(view, base + "/rsa2048") == b"7" + said


@pytest.mark.parametrize("version", ["2009-04-04", "1.0", "2008-02-01"])
def test_novas_versions_do_not_have_it(version: str):
    assert read(signing(one_card()), f"/{version}/dynamic/instance-identity/document") is None
    assert b"dynamic" not in (read(signing(one_card()), f"/{version}/") or b"")


@pytest.mark.parametrize("view", [one_card(), signing(one_card(), ready=False)])
def test_without_a_key_it_is_not_listed(view: InstanceView):
    assert b"dynamic" not in (read(view, "/latest/") or b"")
    for name in ("", "/document", "/signature", "/pkcs7", "/rsa2048"):
        assert read(view, f"/latest/dynamic/instance-identity{name}") is None


# -- The token -----------------------------------------------------------------------------


def test_claims_have_instance_audience_and_validity():
    view = several_cards()
    instance = view.instance
    found = claims(view, replace(GRANT, nonce="n-1"))
    about = found.pop("a9fe")
    assert found == {
        "iss": "https://cloud",
        "sub": INSTANCE_ID,
        "aud": "vault",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + HOUR,
        "jti": "00" * 16,
        "nonce": "n-1",
    }
    assert about == {
        "instance": {
            "uuid": INSTANCE_ID,
            "name": instance.name,
            "project_id": PROJECT,
            "availability_zone": instance.availability_zone,
            "flavor": instance.flavor,
            "image": instance.image,
            "instance_id": f"i-{instance.number:08x}",
            "ips": ["10.0.0.5", "10.2.0.5", "2001:db8:1::5", "2001:db8:2::5", "2001:db8:3::5"],
            "created_at": "",
        }
    }
    assert "nonce" not in claims(view, GRANT)


def test_parse_returns_what_issue_was_given():
    made = claims(one_card(), GRANT)
    token = parse(issue(made, "k1", shouted).decode())
    assert (token.kid, token.claims, token.signature) == ("k1", made, shouted(token.signed))


HEADER = jwk.encoded(b'{"alg":"RS256","kid":"k1"}')


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "a.b",
        f"{HEADER}.e30.AA.AA",
        f"{HEADER}.e30.A",
        f"{HEADER}.e30=.AA",
        f"{HEADER}.W10.AA",
        f"{HEADER}.é.AA",
        jwk.encoded(b'{"alg":"none"}') + ".e30.",
        jwk.encoded(b'{"alg":"HS256","kid":"k1"}') + ".e30.AA",
        jwk.encoded(b'{"alg":"RS256","crit":["exp"]}') + ".e30.AA",
        jwk.encoded(b"[" * 10000) + ".e30.AA",
        f"{HEADER}.{'e' * jwt.TOKEN_MAX}.AA",
    ],
)
def test_text_that_is_not_one_of_our_tokens_is_refused(text: str):
    with pytest.raises(InvalidToken):
        parse(text)


@pytest.mark.parametrize(
    ("changes", "now", "why"),
    [
        ({}, NOW, ""),
        ({}, NOW + HOUR - 1, ""),
        ({}, NOW - jwt.LEEWAY, ""),
        ({}, NOW + HOUR, "expired 0 s ago"),
        ({}, NOW - jwt.LEEWAY - 1, "becomes valid in 61 s"),
        ({"aud": "other"}, NOW, "it is for 'other'"),
        ({"aud": ["vault"]}, NOW, "it is for"),
        ({"iss": "https://cloud/"}, NOW, "issued by"),
        ({"exp": "never"}, NOW, "no validity period"),
        ({"nbf": None}, NOW, "no validity period"),
    ],
)
def test_claims_are_valid_for_their_audience_and_time(
    changes: dict[str, object], now: float, why: str
):
    content = {**claims(one_card(), GRANT), **changes}
    if why:
        with pytest.raises(InvalidToken, match=why):
            check(content, issuer="https://cloud", audience="vault", now=now)
    else:
        check(content, issuer="https://cloud", audience="vault", now=now)


# -- The key -------------------------------------------------------------------------------


def test_a_key_is_named_by_its_thumbprint():
    modulus = int.from_bytes(jwk.decoded(RFC_MODULUS))
    made = jwk.of_numbers(modulus, 65537)
    assert made["kid"] == RFC_THUMBPRINT
    assert (made["n"], made["e"]) == (RFC_MODULUS, "AQAB")
    assert jwk.numbers_of(made) == (modulus, 65537)
    assert jwk.KEY_ID.fullmatch(made["kid"])


@pytest.mark.parametrize(
    "changes",
    [
        {"kid": "A" * 43},
        {"alg": "none"},
        {"use": "enc"},
        {"kty": "oct"},
        {"d": "AQAB"},
        {"n": RFC_MODULUS + "="},
        {"n": "AA" + RFC_MODULUS},
        {"n": 7},
        {"e": ""},
        {"e": "Aw"},
    ],
)
def test_a_key_that_does_not_match_its_name_is_refused(changes: dict[str, object]):
    made = jwk.of_numbers(int.from_bytes(jwk.decoded(RFC_MODULUS)), 65537)
    with pytest.raises(ValueError, match=r"^no"):
        jwk.numbers_of({**made, **changes})


# -- Schedule of keys --------------------------------------------------------------------


def key(id: str, begin: float, published: float | None = 0.0) -> KeyTimes:
    end = begin + WEEK.lifetime + LEAD + HOUR
    return KeyTimes(id=id, signs_from=begin, expires_at=end, published_at=published)


FIRST, SECOND = key("first", 0), key("second", 7 * DAY, 7 * DAY - LEAD)
LATE = key("late", 7 * DAY, 7.5 * DAY)
LAST_USE = FIRST.expires_at - HOUR


@pytest.mark.parametrize(
    ("keys", "now", "expected"),
    [
        ((), 0, None),
        ((key("first", 0, None),), 0, None),  # nobody could verify it
        ((FIRST,), 0, "first"),  # the very first one signs at once
        ((FIRST,), 6 * DAY, "first"),
        ((FIRST, SECOND), 7 * DAY - LEAD, "first"),  # published, not used yet
        ((FIRST, SECOND), 7 * DAY - 1, "first"),
        ((FIRST, SECOND), 7 * DAY, "second"),
        ((SECOND, FIRST), 7 * DAY, "second"),
        ((FIRST, key("second", 7 * DAY, None)), 7 * DAY, "first"),  # cannot be published
        ((FIRST, LATE), 7.5 * DAY, "first"),  # published late: not known everywhere yet
        ((FIRST, LATE), LAST_USE, "first"),
        ((FIRST, LATE), LAST_USE + 1, "late"),  # sooner than with one that ends before its token
        ((FIRST,), LAST_USE, "first"),
        ((FIRST,), LAST_USE + 1, None),  # its last token would outlive it
    ],
)
def test_the_key_that_signs(keys: tuple[KeyTimes, ...], now: float, expected: str | None):
    found = key_schedule.to_sign_with(keys, now, WEEK)
    assert (found and found.id) == expected


@pytest.mark.parametrize(
    ("keys", "now", "due"),
    [
        ((), 0, True),
        ((FIRST,), 7 * DAY - LEAD - 1, False),
        ((FIRST,), 7 * DAY - LEAD, True),
        ((FIRST, SECOND), 7 * DAY, False),
        ((FIRST, SECOND), 14 * DAY - LEAD, True),
        ((key("first", 0, None),), DAY, False),  # publishing it is tried again, not another one
    ],
)
def test_when_the_next_key_is_made(keys: tuple[KeyTimes, ...], now: float, *, due: bool):
    assert key_schedule.is_next_due(keys, now, WEEK) is due


@pytest.mark.parametrize(
    ("keys", "now", "begin"),
    [
        ((), 5, 5),
        ((FIRST,), 7 * DAY - LEAD, 7 * DAY),
        ((FIRST,), 7.2 * DAY, 7.2 * DAY + LEAD),  # made late: still known before it signs
    ],
)
def test_the_times_of_the_next_key(keys: tuple[KeyTimes, ...], now: float, begin: float):
    found = key_schedule.times_of_next(keys, now, WEEK)
    assert found == (pytest.approx(begin), pytest.approx(begin + 7 * DAY + LEAD + HOUR))


def test_a_key_is_published_an_hour_or_a_tenth_before():
    assert WEEK.lead == pytest.approx(LEAD)
    assert Policy(lifetime=HOUR, token_lifetime=60).lead == HOUR


def test_a_key_is_expired_when_its_last_token_has_expired():
    assert key_schedule.expired((FIRST, SECOND), FIRST.expires_at - 1) == []
    assert key_schedule.expired((FIRST, SECOND), FIRST.expires_at) == [FIRST]


@pytest.mark.parametrize("policy", [WEEK, Policy(lifetime=HOUR, token_lifetime=HOUR)])
def test_for_a_year_every_token_can_be_verified(policy: Policy):
    """At each of the service's steps there is a key to sign with, and it is published."""
    keys: list[KeyTimes] = []
    now, step = 0.0, policy.lead / 7
    used: set[str] = set()
    while now < 52 * policy.lifetime:
        gone = key_schedule.expired(keys, now)
        keys = [k for k in keys if k not in gone]
        if key_schedule.is_next_due(keys, now, policy):
            begin, end = key_schedule.times_of_next(keys, now, policy)
            keys.append(KeyTimes(id=str(now), signs_from=begin, expires_at=end, published_at=now))
        signer = key_schedule.to_sign_with(keys, now, policy)
        assert signer is not None
        assert signer.expires_at >= now + policy.token_lifetime
        assert signer.published_at == 0.0 or now - (signer.published_at or 0) >= policy.lead - 1
        assert len(keys) <= 4
        used.add(signer.id)
        now += step
    assert 45 <= len(used) <= 53
