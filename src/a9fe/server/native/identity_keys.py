"""Identity keys: hosts publish their public keys, and anyone may read them to verify signatures.

Identity tokens are verified with the JWK set that the OpenID discovery document names, EC2's
signed identity documents with the X.509 certificates.
"""

import re
from dataclasses import replace
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables.envelope import member
from a9fe.api_tables.schemas import OBJECT, TEXT, Schema, members, text_of
from a9fe.model import jwk
from a9fe.model.errors import Conflict, Forbidden, InvalidInput, NotFound
from a9fe.model.policy import check_host
from a9fe.model.rules.scheduling import seconds, timestamp
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import NATIVE, Access, OperationTable, api_of, caller_of, example, read_body
from a9fe.server.native.identity_example import EXAMPLE_KEY, EXAMPLE_KEY_ID
from a9fe.store.side_tables.identity_keys import IdentityKey

IDENTITY = f"{NATIVE}/identity"
KEYS = OperationTable(IDENTITY, chapter="a9fe: identity")
DISCOVERY = OperationTable("/.well-known/openid-configuration", chapter="About the server")
FIELDS = ("host", "jwk", "certificate", "expires_at")
BITS = range(2048, 4097)  # bits of a modulus
EXPONENT = 65537
LIFE_MAX = 60 * 86400  # seconds from now until a key expires, at most
KEYS_MAX = 8  # keys of one host; it uses two, or three after its lifetime option was lowered
CERTIFICATE_MAX = 8192
PUBLIC = {"Cache-Control": "public, max-age=300"}
"""Caches are refreshed well before a new key signs: it is published an hour earlier."""
CERTIFICATES_TYPE = "application/x-pem-file"
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

_KEY_ID: Schema = {"type": "string", "pattern": f"^{jwk.KEY_ID.pattern}$"}
_TIME_SHOWN: Schema = {"type": "string", "pattern": f"^{_TIME.pattern}$"}
_NUMBER: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}
_JWK = members(
    kty={"const": "RSA"},
    n=_NUMBER,
    e=_NUMBER,
    alg={"const": jwk.ALGORITHM},
    use={"const": "sig"},
    kid=_KEY_ID,
)
_SHOWN = members(kid=_KEY_ID, host=TEXT, created_at=_TIME_SHOWN, expires_at=_TIME_SHOWN)


# -- Operations of hosts -------------------------------------------------------------------


@KEYS.add(
    "PUT",
    "/keys/{kid}",
    Access.AGENT,
    body=members(
        key=members(
            host=text_of(to.NAME_MAX),
            jwk=_JWK,
            certificate={"type": "string", "maxLength": CERTIFICATE_MAX},
            expires_at=_TIME_SHOWN,
        )
    ),
    answers={200: members(key=_SHOWN, issuer=TEXT)},
    examples=(example({"key": EXAMPLE_KEY}, kid=EXAMPLE_KEY_ID),),
)
async def publish(request: Request) -> Response:
    """Publish a host's identity key. Repeating the request changes nothing."""
    kid = request.path_params["kid"]
    given = to.only_members("key", member(await read_body(request), "key"), FIELDS)
    host = to.header_text(minimum=1)("host", given["host"])
    check_host(caller_of(request), host)

    def work(tx: Transaction) -> tuple[IdentityKey, str]:
        key = read_key(kid, host, given, tx.now)
        return _stored(tx, key), tx.config.identity_issuer

    key, issuer = await api_of(request).write(request, work)
    return JSONResponse({"key": shown(key), "issuer": issuer})


def read_key(kid: str, host: str, given: dict[str, Any], now: float) -> IdentityKey:
    """Return the identity key in a body. `now`: UNIX seconds.

    The certificate must be self-signed with this key and be valid until `expires_at`. Raises
    InvalidInput.
    """
    modulus, exponent = _numbers(kid, given["jwk"])
    expires_at = _expiry(given["expires_at"], now)
    certificate = _certificate(given["certificate"])
    public = certificate.public_key()
    expected = "a self-signed certificate of the key"
    if not isinstance(public, RSAPublicKey):
        raise InvalidInput("certificate", "not of an RSA key", expected)
    if public.public_numbers() != RSAPublicNumbers(exponent, modulus):
        raise InvalidInput("certificate", "of another key", expected)
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise InvalidInput("certificate", "not self-signed", expected) from error
    if certificate.not_valid_after_utc.timestamp() < seconds(expires_at):
        raise InvalidInput(
            "expires_at", expires_at, "a time not later than the certificate's notAfter"
        )
    return IdentityKey(
        id=kid,
        host=host,
        jwk=given["jwk"],
        certificate=certificate.public_bytes(Encoding.PEM).decode("ascii"),
        created_at=timestamp(now),
        expires_at=expires_at,
    )


def _numbers(kid: str, given: object) -> tuple[int, int]:
    try:
        modulus, exponent = jwk.numbers_of(given)
    except ValueError as error:
        expected = f"a public RSA key for {jwk.ALGORITHM} ({error})"
        raise InvalidInput("jwk", given, expected) from error
    if modulus.bit_length() not in BITS or exponent != EXPONENT:
        expected = f"a modulus of {BITS[0]} to {BITS[-1]} bits and the exponent {EXPONENT}"
        raise InvalidInput("jwk", f"{modulus.bit_length()} bits, {exponent}", expected)
    if kid != jwk.of_numbers(modulus, exponent)["kid"]:
        raise InvalidInput("kid", kid, "the thumbprint of the key (RFC 7638)")
    return modulus, exponent


def _expiry(given: object, now: float) -> str:
    expected = f"a time in the future, at latest {timestamp(now + LIFE_MAX)}"
    try:
        at = seconds(given) if isinstance(given, str) and _TIME.fullmatch(given) else 0.0
    except ValueError:
        at = 0.0
    if not now < at <= now + LIFE_MAX:
        raise InvalidInput("expires_at", given, expected)
    return str(given)


def _certificate(given: object) -> x509.Certificate:
    expected = f"one X.509 certificate in PEM, of at most {CERTIFICATE_MAX} characters"
    text = given if isinstance(given, str) and len(given) <= CERTIFICATE_MAX else ""
    try:
        [certificate] = x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise InvalidInput("certificate", given, expected) from error
    return certificate


def _stored(tx: Transaction, key: IdentityKey) -> IdentityKey:
    """Store a key and return it. Raises Conflict or Forbidden."""
    keys = tx.session.identity_keys
    known = keys.get(key.id)
    if known is not None and known.host != key.host:
        raise Conflict("IdentityKeyInUse", f"identity key {key.id} belongs to another host")
    if known is not None and known.is_revoked:
        raise Conflict("IdentityKeyRevoked", f"identity key {key.id} was revoked")
    if known is not None and replace(key, created_at=known.created_at) == known:
        return known
    others = [one for one in keys.valid(tx.at) if one.host == key.host and one.id != key.id]
    if len(others) >= KEYS_MAX:
        raise Forbidden(f"host {key.host} already has {KEYS_MAX} identity keys")
    kept = replace(key, created_at=known.created_at) if known else key
    keys.publish(kept, tx.at)
    return kept


# -- Operations of operators ---------------------------------------------------------------


@KEYS.add(
    "GET",
    "/keys",
    Access.ADMIN,
    answers={200: members(keys={"type": "array", "items": _SHOWN})},
    examples=(example(),),
)
async def listed(request: Request) -> Response:
    """List the valid identity keys with their hosts."""

    def work(tx: Transaction) -> list[Json]:
        return [shown(key) for key in tx.session.identity_keys.valid(tx.at)]

    return JSONResponse({"keys": await api_of(request).read(request, work)})


@KEYS.add(
    "DELETE",
    "/keys/{kid}",
    Access.ADMIN,
    answers={204: None},
    examples=(example(status=204, kid=EXAMPLE_KEY_ID, last=True),),
)
async def revoke(request: Request) -> Response:
    """Revoke an identity key for good: it is not published again, and verifiers reject it."""
    kid = request.path_params["kid"]

    def work(tx: Transaction) -> None:
        if not tx.session.identity_keys.revoke(kid):
            raise NotFound("identity_key", kid)

    await api_of(request).write(request, work)
    return Response(status_code=204)


def shown(key: IdentityKey) -> Json:
    """Return a key as operators see it."""
    return {
        "kid": key.id,
        "host": key.host,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
    }


# -- Operations without a token ------------------------------------------------------------


@DISCOVERY.add("GET", "", Access.ANYONE, answers={200: OBJECT}, examples=(example(),))
async def discovery(request: Request) -> Response:
    """Return the metadata of the token issuer (OpenID Connect Discovery 1.0)."""
    issuer = api_of(request).config.identity_issuer
    document = {
        "issuer": issuer,
        "jwks_uri": f"{issuer.rstrip('/')}{IDENTITY}/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [jwk.ALGORITHM],
        "claims_supported": ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "nonce", "a9fe"],
    }
    return JSONResponse(document, headers=PUBLIC)


@KEYS.add(
    "GET",
    "/jwks",
    Access.ANYONE,
    answers={200: members(keys={"type": "array", "items": _JWK})},
    examples=(example(),),
)
async def jwks(request: Request) -> Response:
    """Return the valid identity keys: of the past, in use, and next (JWK set, RFC 7517)."""
    return JSONResponse({"keys": [key.jwk for key in await _valid_keys(request)]}, headers=PUBLIC)


@KEYS.add(
    "GET",
    "/certificates",
    Access.ANYONE,
    answers={200: TEXT},
    answer_type=CERTIFICATES_TYPE,
    examples=(example(),),
)
async def certificates(request: Request) -> Response:
    """Return the certificates of the valid identity keys in PEM, for signed documents."""
    text = "".join(key.certificate for key in await _valid_keys(request))
    return Response(text, headers=PUBLIC, media_type=CERTIFICATES_TYPE)


async def _valid_keys(request: Request) -> list[IdentityKey]:
    return await api_of(request).read(request, lambda tx: tx.session.identity_keys.valid(tx.at))


OPERATIONS = (*KEYS, *DISCOVERY)
