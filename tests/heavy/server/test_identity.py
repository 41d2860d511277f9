"""Identity keys: which host may publish which key, and what is public."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from a9fe.metadata_service.identity.signing_keys import SigningKey, generate, jwk_of
from a9fe.model.rules.scheduling import timestamp
from a9fe.server.native.identity_keys import CERTIFICATE_MAX, KEYS_MAX, LIFE_MAX
from a9fe.store.side_tables.identity_keys import IdentityKey
from tests.kit.fake_clock import START
from tests.kit.guarded_world import Guarded
from tests.kit.server_world import World

BASE = "/a9fe/v1/identity"
DAY = 86400
JWKS, CERTIFICATES, KEYS = (f"{BASE}/{name}" for name in ("jwks", "certificates", "keys"))
DISCOVERY = "/.well-known/openid-configuration"


@cache
def key(number: int) -> SigningKey:
    """One of several: making them takes its time."""
    return generate(START, START + 8 * DAY, START)


def body_of(made: SigningKey, **changes: object) -> dict[str, Any]:
    given = {
        "host": "h1",
        "jwk": made.jwk,
        "certificate": made.certificate_pem,
        "expires_at": timestamp(START + 8 * DAY),
    }
    return {"key": deepcopy({**given, **changes})}


def publish(world: World, made: SigningKey, expect: int = 200, **changes: object) -> Any:
    return world.call("PUT", f"{KEYS}/{made.id}", body_of(made, **changes), expect)


def ids(world: World) -> list[str]:
    return [one["kid"] for one in world.get(JWKS)["keys"]]


def test_a_published_key_is_there_for_anyone(world: World):
    answer = publish(world, key(1))
    shown = {
        "kid": key(1).id,
        "host": "h1",
        "created_at": timestamp(START),
        "expires_at": timestamp(START + 8 * DAY),
    }
    assert answer == {"key": shown, "issuer": "http://127.0.0.1:9696"}
    assert world.get(KEYS) == {"keys": [shown]}
    assert world.get(JWKS) == {"keys": [key(1).jwk]}
    assert world.send("GET", CERTIFICATES).text == key(1).certificate_pem
    for path in (JWKS, CERTIFICATES, DISCOVERY):
        assert world.send("GET", path).headers["cache-control"] == "public, max-age=300"


def test_the_discovery_document_leads_to_the_keys(world: World):
    found = world.get(DISCOVERY)
    assert found["issuer"] == "http://127.0.0.1:9696"
    assert found["jwks_uri"] == found["issuer"] + JWKS
    assert found["id_token_signing_alg_values_supported"] == ["RS256"]
    assert {"response_types_supported", "subject_types_supported"} <= found.keys()


def test_publishing_the_same_key_again_changes_nothing(world: World):
    first = publish(world, key(1))
    world.clock.at += 3600
    assert publish(world, key(1)) == first
    longer = publish(world, key(1), expires_at=timestamp(START + 7 * DAY))
    assert longer["key"]["created_at"] == first["key"]["created_at"]
    assert longer["key"]["expires_at"] == timestamp(START + 7 * DAY)


def test_a_key_goes_when_it_expires(world: World):
    publish(world, key(1))
    publish(world, key(2), expires_at=timestamp(START + DAY))
    world.clock.at += DAY
    assert ids(world) == [key(1).id]
    assert world.send("GET", CERTIFICATES).text == key(1).certificate_pem


def test_keys_are_no_part_of_the_model(world: World):
    before = world.revision()
    publish(world, key(1))
    assert world.revision() == before


def test_a_key_is_its_hosts_alone(world: World):
    publish(world, key(1))
    type, message = world.error("PUT", f"{KEYS}/{key(1).id}", body_of(key(1), host="h2"), 409)
    assert (type, message) == (
        "IdentityKeyInUse",
        f"identity key {key(1).id} belongs to another host",
    )
    assert world.get(KEYS)["keys"][0]["host"] == "h1"


def test_who_may_publish_see_and_revoke(guarded: Guarded):
    path, given = f"{KEYS}/{key(1).id}", body_of(key(1))
    for caller in ("mine", "theirs", "admin"):
        guarded.be(caller)
        assert guarded.status("PUT", path, given) == 403
    guarded.be("h1")
    assert guarded.status("PUT", path, body_of(key(1), host="h2")) == 403
    assert guarded.status("PUT", path, given) == 200
    assert guarded.status("DELETE", path) == guarded.status("GET", KEYS) == 403
    guarded.be("mine")
    assert guarded.status("DELETE", path) == guarded.status("GET", KEYS) == 403
    guarded.show_nothing()
    for closed, method in ((path, "PUT"), (path, "DELETE"), (KEYS, "GET")):
        assert guarded.status(method, closed, given) == 401
    for path_of_all in (JWKS, CERTIFICATES, DISCOVERY):
        assert guarded.status("GET", path_of_all) == 200
        assert guarded.status("POST", path_of_all) in {401, 405}
    guarded.be("admin")
    assert guarded.status("DELETE", path) == 204


def test_a_revoked_key_never_comes_back(world: World):
    publish(world, key(1))
    publish(world, key(2))
    world.call("DELETE", f"{KEYS}/{key(1).id}", expect=204)
    assert ids(world) == [key(2).id]
    assert [one["kid"] for one in world.get(KEYS)["keys"]] == [key(2).id]
    assert world.send("GET", CERTIFICATES).text == key(2).certificate_pem
    type, _ = world.error("PUT", f"{KEYS}/{key(1).id}", body_of(key(1)), 409)
    assert type == "IdentityKeyRevoked"
    assert world.send("DELETE", f"{KEYS}/{key(1).id}").status_code == 404
    assert world.send("DELETE", f"{KEYS}/nothing").status_code == 404


def test_a_host_has_a_few_keys(world: World):
    row = IdentityKey(
        id="",
        host="h1",
        jwk={},
        certificate="x",
        created_at=timestamp(START),
        expires_at=timestamp(START + DAY),
    )
    with world.store.write() as session:
        for number in range(KEYS_MAX - 1):
            session.identity_keys.publish(replace(row, id=str(number)), timestamp(START))
    publish(world, key(1))
    publish(world, key(1), expires_at=timestamp(START + 2 * DAY))
    assert "8 identity keys" in publish(world, key(2), 403)["NeutronError"]["message"]
    publish(world, key(2), host="h2")


def certificate_of(private: Any, by: Any, days: int = 9) -> str:
    """A certificate of one key, signed by another."""
    name = x509.Name([])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(datetime.fromtimestamp(START, UTC))
        .not_valid_after(datetime.fromtimestamp(START + days * DAY, UTC))
    )
    made = builder.sign(by, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"host": ""}, "host"),
    ({"host": 7}, "host"),
    ({"more": 1}, "more"),
    ({"jwk": None}, "jwk"),
    ({"jwk": {"kty": "RSA"}}, "jwk"),
    ({"certificate": ""}, "certificate"),
    ({"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "certif"),
    ({"certificate": 7}, "certificate"),
    ({"certificate": "x" * (CERTIFICATE_MAX + 1)}, "certificate"),
    ({"certificate": "ü"}, "certificate"),
    ({"expires_at": timestamp(START)}, "expires_at"),
    ({"expires_at": timestamp(START + LIFE_MAX + 1)}, "expires_at"),
    ({"expires_at": timestamp(START + 9 * DAY)}, "expires_at"),  # the certificate ends before
    ({"expires_at": "2026-02-30T00:00:00Z"}, "expires_at"),
    ({"expires_at": "tomorrow"}, "expires_at"),
    ({"expires_at": None}, "expires_at"),
]


@pytest.mark.parametrize(("changes", "named"), CHANGES)
def test_bad_input_is_named(world: World, changes: dict[str, Any], named: str):
    type, message = world.error("PUT", f"{KEYS}/{key(1).id}", body_of(key(1), **changes), 400)
    assert type == "InvalidInput"
    assert message.startswith(named)
    assert ids(world) == []


def test_a_key_with_parts_of_another_key_is_refused(world: World):
    for id, changes, named in (
        (key(2).id, {}, "kid"),
        ("nothing", {}, "kid"),
        (key(1).id, {"certificate": key(2).certificate_pem}, "certificate"),
        (key(1).id, {"certificate": key(1).certificate_pem * 2}, "certificate"),
        (key(1).id, {"jwk": {**key(1).jwk, "d": "AQAB"}}, "jwk"),
        (key(1).id, {"jwk": key(2).jwk}, "kid"),
    ):
        _, message = world.error("PUT", f"{KEYS}/{id}", body_of(key(1), **changes), 400)
        assert message.startswith(named)


def test_a_certificate_must_be_self_signed_by_the_key(world: World):
    """Somebody else's certificate of the key, and keys that are too weak or of another kind."""
    mine, curve = key(1).private, ec.generate_private_key(ec.SECP256R1())
    by_other = certificate_of(mine, key(2).private)
    of_curve = certificate_of(curve, curve)
    for certificate in (by_other, of_curve):
        given = body_of(key(1), certificate=certificate)
        _, message = world.error("PUT", f"{KEYS}/{key(1).id}", given, 400)
        assert message.startswith("certificate")
    assert publish(world, key(1), certificate=certificate_of(mine, mine))
    weak = rsa.generate_private_key(65537, 1024)
    jwk = jwk_of(weak.public_key())
    given = body_of(key(1), jwk=jwk, certificate=certificate_of(weak, weak))
    _, message = world.error("PUT", f"{KEYS}/{jwk['kid']}", given, 400)
    assert message.startswith("jwk: '1024 bits")
