"""Signed identities from end to end, without processes: a host signs, the server publishes, and
openssl and a JWT library that share no code with us verify.
"""

import json
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from joserfc import errors, jwt
from joserfc.jwk import KeySet
from sqlalchemy import delete

from a9fe.metadata_service.identity.requests import is_signed_path
from a9fe.model.resources import Instance
from a9fe.runtime import metrics
from a9fe.store.side_tables.identity_keys import identity_keys
from a9fe.wire.limits import IDENTITY_TOKENS
from tests.golden.metadata.scenarios import INSTANCE_ID, PROJECT
from tests.kit.identity_world import DAY, HOUR, ISSUER, POLICY, Cloud, Host, cloud

LEAD = int(POLICY.lead)
TREE = "/latest/dynamic/instance-identity"
LEAVES = ["document", "signature", "pkcs7", "rsa2048"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Cloud]:
    """A cloud without published keys."""
    with cloud(tmp_path) as made:
        yield made


@pytest.fixture
def signing(lab: Cloud) -> Cloud:
    """A cloud with one published key."""
    assert lab.host.step() == ""
    return lab


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The same for tests that change nothing, as making a key takes some tenths of a second."""
    with cloud(tmp_path_factory.mktemp("steady")) as made:
        made.host.step()
        yield made


# -- With openssl --------------------------------------------------------------------------


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=False)


def armoured(body: bytes) -> bytes:
    return b"-----BEGIN PKCS7-----\n" + body + b"\n-----END PKCS7-----\n"


def certificate(lab: Cloud, path: Path) -> Path:
    """Write the published certificate to a file."""
    answer = lab.get("/a9fe/v1/identity/certificates")
    assert answer.headers["content-type"] == "application/x-pem-file"
    (path / "certificate.pem").write_bytes(answer.content)
    return path / "certificate.pem"


def test_openssl_verifies_the_signature(steady: Cloud, tmp_path: Path):
    pem = certificate(steady, tmp_path)
    key, document, signature = tmp_path / "key.pem", tmp_path / "document", tmp_path / "signature"
    openssl("x509", "-in", pem, "-pubkey", "-noout", "-out", key)
    document.write_bytes(steady.host.read("document"))
    (tmp_path / "base64").write_bytes(steady.host.read("signature") + b"\n")
    openssl("base64", "-d", "-in", tmp_path / "base64", "-out", signature)
    verify = ("dgst", "-sha256", "-verify", key, "-signature", signature, document)
    assert openssl(*verify).stdout == b"Verified OK\n"
    document.write_bytes(document.read_bytes().replace(b"m1.small", b"m9.small"))
    assert openssl(*verify).returncode != 0


@pytest.mark.parametrize("leaf", ["pkcs7", "rsa2048"])
@pytest.mark.parametrize("program", ["smime", "cms"])
def test_openssl_verifies_pkcs7(steady: Cloud, tmp_path: Path, leaf: str, program: str):
    pem, message = certificate(steady, tmp_path), tmp_path / "message"
    body = steady.host.read(leaf)
    message.write_bytes(armoured(body))
    at = str(int(steady.world.clock.now()))
    verify = (program, "-verify", "-inform", "PEM", "-in", message, "-attime", at)
    found = openssl(*verify, "-CAfile", pem)
    assert found.stdout == steady.host.read("document"), found.stderr
    as_on_ec2 = openssl(*verify, "-certfile", pem, "-noverify")
    assert as_on_ec2.stdout == steady.host.read("document"), as_on_ec2.stderr
    message.write_bytes(armoured(altered(body)))
    assert openssl(*verify, "-certfile", pem, "-noverify").returncode != 0


def test_signed_data_has_no_time(steady: Cloud, tmp_path: Path):
    """A time would make documents and ETags of two services differ."""
    (tmp_path / "message").write_bytes(armoured(steady.host.read("pkcs7")))
    parts = openssl("asn1parse", "-in", tmp_path / "message").stdout
    assert b"pkcs7-signedData" in parts
    assert b"signingTime" not in parts


def altered(body: bytes) -> bytes:
    """Change the last byte, which is part of the signature."""
    lines = body.split(b"\n")
    middle = len(lines[-2]) // 2
    other = b"A" if lines[-2][middle : middle + 1] != b"A" else b"B"
    lines[-2] = lines[-2][:middle] + other + lines[-2][middle + 1 :]
    return b"\n".join(lines)


def test_another_hosts_certificate_does_not_verify(steady: Cloud, tmp_path: Path):
    other = Host(steady.world, tmp_path / "other", "node2")
    other.step()
    key = other.keys.current()
    assert key is not None
    (tmp_path / "other.pem").write_text(key.certificate_pem)
    message = tmp_path / "message"
    message.write_bytes(armoured(steady.host.read("pkcs7")))
    at = str(int(steady.world.clock.now()))
    verify = ("smime", "-verify", "-inform", "PEM", "-in", message, "-attime", at)
    assert openssl(*verify, "-CAfile", tmp_path / "other.pem").returncode != 0


def test_the_certificate_is_for_signing_and_names_no_host(steady: Cloud, tmp_path: Path):
    text = openssl("x509", "-in", certificate(steady, tmp_path), "-noout", "-text").stdout
    assert b"Digital Signature" in text
    assert b"CA:FALSE" in text
    assert b"2048 bit" in text
    assert b"node1" not in text


# -- With a JWT library --------------------------------------------------------------------


def published(lab: Cloud) -> tuple[str, KeySet]:
    """Return the issuer and its keys from the discovery document."""
    discovery = lab.get("/.well-known/openid-configuration").json()
    assert discovery["jwks_uri"] == f"{ISSUER}/a9fe/v1/identity/jwks"
    found = lab.get(discovery["jwks_uri"].replace(ISSUER, lab.url))
    assert found.headers["cache-control"] == "public, max-age=300"
    return discovery["issuer"], KeySet.import_key_set(found.json())


def verified(lab: Cloud, token: str, audience: str = "vault") -> jwt.Claims:
    """Return the claims if the library accepts the token."""
    issuer, keys = published(lab)
    found = jwt.decode(token, keys, algorithms=["RS256"])
    now = int(lab.world.clock.now())
    jwt.JWTClaimsRegistry(
        now=now,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
    ).validate(found.claims)
    return found.claims


def test_a_jwt_library_verifies_the_token(steady: Cloud):
    claims = verified(steady, steady.host.token("audience=vault&nonce=n0%3D"))
    assert (claims["iss"], claims["sub"], claims["aud"]) == (ISSUER, INSTANCE_ID, "vault")
    assert (claims["nonce"], claims["exp"] - claims["iat"]) == ("n0=", HOUR)
    assert claims["a9fe"]["instance"]["project_id"] == PROJECT


def test_a_token_for_another_audience_is_refused(steady: Cloud):
    with pytest.raises(errors.InvalidClaimError, match="aud"):
        verified(steady, steady.host.token("audience=other"))


def test_a_token_expires(signing: Cloud):
    token = signing.host.token()
    signing.world.clock.at += HOUR - 1
    verified(signing, token)
    signing.world.clock.at += 2
    with pytest.raises(errors.ExpiredTokenError):
        verified(signing, token)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_an_altered_token_is_refused(steady: Cloud, part: int):
    parts = steady.host.token().split(".")
    parts[part] = parts[part][:20] + ("A" if parts[part][20] != "A" else "B") + parts[part][21:]
    with pytest.raises((errors.JoseError, ValueError)):
        verified(steady, ".".join(parts))


# -- Requests ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", b"audience"),
        ("?audience=", b"audience"),
        ("?nonce=1", b"audience"),
        ("?audience=a&audience=a", b"audience"),
        (f"?audience={'a' * 256}", b"audience"),
        ("?audience=%C3%BC", b"audience"),
        ("?audience=a%00", b"audience"),
        ("?audience=a%0A", b"audience"),
        ("?audience=a&nonce=b&nonce=c", b"nonce"),
        (f"?audience=a&nonce={'a' * 256}", b"nonce"),
        ("?audience=a&nonce=%7F", b"nonce"),
        ("?audience=a&" + "&".join(f"x{n}=1" for n in range(40)), b"audience"),
    ],
)
def test_a_bad_parameter_is_400_and_named(steady: Cloud, query: str, named: bytes):
    answer = steady.host.ask(f"/openstack/latest/identity{query}")
    assert answer.status == 400
    assert answer.body.startswith(named + b":")


@pytest.mark.parametrize(
    ("query", "nonce"),
    [
        (f"audience={'a' * 255}&nonce={'b' * 255}", "b" * 255),
        ("audience=https%3A%2F%2Fvault%20x&nonce=", None),
        ("audience=a&format=full", None),
    ],
)
def test_valid_parameters_are_accepted(steady: Cloud, query: str, nonce: str | None):
    _, keys = published(steady)
    found = jwt.decode(steady.host.token(query), keys, algorithms=["RS256"])
    assert found.claims.get("nonce") == nonce


def test_a_token_has_its_content_type_and_is_not_cached(steady: Cloud):
    target = "/openstack/latest/identity?audience=a"
    answer = steady.host.ask(target)
    assert dict(answer.headers) == {
        b"content-type": b"application/jwt",
        b"cache-control": b"no-store",
    }
    assert steady.host.ask(target, b"HEAD").status == 200
    refused = steady.host.ask(target, b"POST")
    assert refused.status == 405
    assert steady.host.ask("/openstack/2018-08-27/identity?audience=a").status == 404


def test_tokens_of_one_instance_are_rate_limited(signing: Cloud):
    target = "/openstack/latest/identity?audience=a"
    statuses = [signing.host.ask(target).status for _ in range(IDENTITY_TOKENS.limit + 1)]
    assert statuses == [200] * IDENTITY_TOKENS.limit + [429]
    assert signing.host.ask("/latest/meta-data/").status == 200
    signing.world.clock.at += IDENTITY_TOKENS.duration
    assert signing.host.ask(target).status == 200


def test_documents_are_signed_again_only_when_they_change(signing: Cloud):
    first = [signing.host.read(leaf) for leaf in LEAVES]
    assert [signing.host.read(leaf) for leaf in LEAVES] == first
    signing.host.restart()
    assert [signing.host.read(leaf) for leaf in LEAVES] == first
    assert isinstance(signing.host.instance, Instance)
    signing.host.instance = replace(signing.host.instance, name="renamed")
    changed = [signing.host.read(leaf) for leaf in LEAVES]
    assert all(old != new for old, new in zip(first, changed, strict=True))
    assert json.loads(changed[0])["openstack"]["name"] == "renamed"


# -- Before the first key is published -----------------------------------------------------


SIGNED_PATHS = [
    TREE,
    TREE + "/",
    *(f"{TREE}/{leaf}" for leaf in LEAVES),
    "/ec2" + TREE + "/document",
    "/2020-10-27/dynamic/instance-identity/pkcs7",
    "/openstack/latest/identity?audience=a",
]


def test_without_the_server_at_the_start_it_is_503_and_then_works(lab: Cloud):
    lab.host.network.is_cut = True
    assert "no way there" in lab.host.step()
    for path in SIGNED_PATHS:
        answer = lab.host.ask(path)
        assert (answer.status, dict(answer.headers).get(b"retry-after")) == (503, b"5"), path
    lab.host.network.is_cut = False
    assert lab.host.step() == ""
    assert [lab.host.ask(path).status for path in SIGNED_PATHS] == [200] * len(SIGNED_PATHS)


def test_other_paths_are_served_meanwhile(lab: Cloud):
    lab.host.network.is_cut = True
    lab.host.step()
    assert lab.host.ask("/latest/meta-data/instance-id").status == 200
    assert b"dynamic" not in lab.host.ask("/latest/").body
    assert lab.host.ask("/openstack/latest/identity").status == 400


@pytest.mark.parametrize(
    ("path", "signed"),
    [
        ("/latest/dynamic/instance-identity", True),
        ("/latest/dynamic/instance-identity/document/", True),
        ("/2009-04-04/dynamic/instance-identity/document", False),
        ("/latest/dynamic", False),
        ("/latest/meta-data/dynamic/instance-identity", False),
        ("/", False),
        ("", False),
    ],
)
def test_which_paths_are_signed(path: str, *, signed: bool):
    assert is_signed_path(path) is signed


# -- Keys --------------------------------------------------------------------------------


def test_signed_tokens_are_counted(lab: Cloud):
    def value(name: str) -> float:
        return metrics.REGISTRY.get_sample_value(name) or 0.0

    lab.host.network.is_cut = True
    lab.host.step()
    assert value("a9fe_identity_key_expires") == 0
    lab.host.network.is_cut = False
    lab.host.step()
    [key] = lab.host.keys._keys.values()
    assert value("a9fe_identity_key_expires") == key.times.expires_at
    before = value("a9fe_identity_tokens_total")
    lab.host.token()
    assert value("a9fe_identity_tokens_total") == before + 1


def test_a_restart_keeps_the_key_also_without_the_server(signing: Cloud):
    before = signing.keys()
    signing.host.network.is_cut = True
    signing.host.restart()
    assert signing.host.step() != ""
    verified(signing, signing.host.token())
    assert signing.keys() == before


def test_only_the_service_can_read_the_keys_files(signing: Cloud):
    [file] = signing.host.path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert signing.keys() == [file.stem]
    assert "PRIVATE" in file.read_text()
    assert "PRIVATE" not in signing.get("/a9fe/v1/identity/certificates").text
    assert signing.get("/a9fe/v1/identity/jwks").json()["keys"][0].keys().isdisjoint({"d", "p"})


def test_a_damaged_file_loses_only_its_key(signing: Cloud):
    [file] = signing.host.path.iterdir()
    for content in ("", "{}", '{"host": "node1"}', "[]", "\0"):
        file.write_text(content)
        signing.host.restart()
        assert signing.host.ask(TREE).status == 503
        assert list(signing.host.path.iterdir()) == []
    assert signing.host.step() == ""
    verified(signing, signing.host.token())


def test_a_copied_host_makes_its_own_key(signing: Cloud):
    twin = Host(signing.world, signing.host.path, "node2")
    assert twin.keys.current() is None
    twin.step()
    assert len(signing.keys()) == 2


def test_rotation_leaves_no_token_without_its_key(signing: Cloud):
    [first] = signing.keys()
    clock, began = signing.world.clock, signing.world.clock.at
    clock.at = began + 7 * DAY - LEAD
    signing.host.step()
    both = signing.keys()
    assert len(both) == 2
    assert key_of(signing) == first  # the next is known, and does not sign yet
    last = began + 7 * DAY
    clock.at = last - 1
    token = signing.host.token()
    clock.at = last
    signing.host.step()
    assert key_of(signing) == (set(both) - {first}).pop()
    clock.at = last + HOUR - 2
    verified(signing, token)  # signed with the old key
    clock.at = last + LEAD + HOUR
    signing.host.step()
    assert len(signing.keys()) == 1
    assert signing.keys() != [first]
    assert [file.stem for file in signing.host.path.iterdir()] == signing.keys()


def key_of(lab: Cloud) -> str:
    key = lab.host.keys.current()
    assert key is not None
    return key.id


def test_keys_are_published_again_each_hour_and_not_more_often(signing: Cloud):
    signing.host.step()
    assert signing.host.network.sent == 1
    signing.world.clock.at += HOUR
    signing.host.step()
    assert signing.host.network.sent == 2


def test_an_empty_database_gets_the_key_again(signing: Cloud):
    before = signing.keys()
    with signing.world.store.write() as session:
        session.identity_keys._connection.execute(delete(identity_keys))
    assert signing.keys() == []
    signing.host.restart()
    signing.host.step()
    assert signing.keys() == before


def test_a_revoked_key_is_replaced(signing: Cloud):
    [before] = signing.keys()
    token = signing.host.token()
    signing.world.call("DELETE", f"/a9fe/v1/identity/keys/{before}", expect=204)
    assert signing.keys() == []
    with pytest.raises((errors.JoseError, ValueError)):
        verified(signing, token)
    signing.world.clock.at += HOUR
    assert "revoked" in signing.host.step()
    assert signing.host.step() == ""
    assert signing.keys() != [before]
    verified(signing, signing.host.token())
