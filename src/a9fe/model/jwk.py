"""Public RSA keys as JSON (RFC 7517, RFC 7518 section 6.3.1), and their thumbprints (RFC 7638)."""

import base64
import binascii
import hashlib
import json
import re
from typing import Any

ALGORITHM = "RS256"
KEY_ID = re.compile(r"[A-Za-z0-9_-]{43}")
"""A thumbprint: SHA-256 in base64url without padding."""
MEMBERS = frozenset({"kty", "n", "e", "alg", "use", "kid"})


def encoded(data: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decoded(text: str) -> bytes:
    """Decode base64url. Raises ValueError for padding or a text that is not canonical."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("not base64url") from error
    if encoded(data) != text:
        raise ValueError("not canonical base64url")
    return data


def of_numbers(modulus: int, exponent: int) -> dict[str, str]:
    """Return a public key as a JWK with the use "sig"."""
    key = {"kty": "RSA", "n": _number(modulus), "e": _number(exponent)}
    return {**key, "alg": ALGORITHM, "use": "sig", "kid": thumbprint(key)}


def numbers_of(jwk: object) -> tuple[int, int]:
    """Return modulus and exponent of a JWK that has exactly MEMBERS. Raises ValueError."""
    if not isinstance(jwk, dict) or jwk.keys() != MEMBERS:
        raise ValueError("not exactly the members " + ", ".join(sorted(MEMBERS)))
    modulus, exponent = (int.from_bytes(decoded(str(jwk[name]))) for name in ("n", "e"))
    if jwk != of_numbers(modulus, exponent):
        raise ValueError("not a public RSA key for RS256 whose kid is its thumbprint")
    return modulus, exponent


def thumbprint(jwk: dict[str, Any]) -> str:
    """Return the key id: the digest of the sorted required members (RFC 7638)."""
    required = {name: jwk[name] for name in ("e", "kty", "n")}
    text = json.dumps(required, sort_keys=True, separators=(",", ":"))
    return encoded(hashlib.sha256(text.encode("ascii")).digest())


def _number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8))
