"""Who an instance is, to be signed: EC2's instance identity document, and the claims of a JWT.

The document's bytes are the same for as long as the instance is; so are EC2's. JWTs are JWS in
compact form (RFC 7515) with the claims of RFC 7519 and one of ours, `a9fe`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from a9fe.metadata import identifiers
from a9fe.metadata.rendered import Json
from a9fe.metadata.view import InstanceView
from a9fe.model.jwk import ALGORITHM, decoded, encoded

VERSION = "2017-09-30"  # of the document's format, EC2's latest
PARAMETER_MAX = 255  # characters of an audience or a nonce
JTI_BYTES = 16
TOKEN_MAX = 16384  # characters of a token that is worth reading
LEEWAY = 60  # seconds that clocks may differ
# EC2 has these for every instance; here none is ever set.
UNSET = ("billingProducts", "devpayProductCodes", "kernelId", "marketplaceProductCodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token is asked for and issued with. Times in UNIX seconds; `nonce` "": none."""

    issuer: str
    audience: str
    nonce: str
    issued_at: int
    lifetime: int


class InvalidToken(ValueError):
    """A token that proves nothing; the text says why."""


def document(view: InstanceView, architecture: str) -> bytes:
    """The instance identity document: EC2's keys, and `openstack` for what has none there."""
    instance = view.instance
    content: dict[str, Json] = {
        **dict.fromkeys(UNSET),
        "ramdiskId": None,
        "accountId": instance.project_id,
        "architecture": architecture,
        "availabilityZone": instance.availability_zone,
        "imageId": identifiers.image_id(instance),
        "instanceId": identifiers.instance_id(instance),
        "instanceType": instance.flavor,
        "openstack": {"image": instance.image, "name": instance.name, "uuid": instance.id},
        "pendingTime": instance.created_at,
        "privateIp": next(view.all_addresses(4), None),
        "region": view.settings.region,
        "version": VERSION,
    }
    return json.dumps(content, indent=2, separators=(",", " : "), sort_keys=True).encode("ascii")


def claims(view: InstanceView, grant: Grant) -> dict[str, Json]:
    """What a token says of the instance."""
    instance = view.instance
    nonce: dict[str, Json] = {"nonce": grant.nonce} if grant.nonce else {}
    return {
        "iss": grant.issuer,
        "sub": instance.id,
        "aud": grant.audience,
        "iat": grant.issued_at,
        "nbf": grant.issued_at,
        "exp": grant.issued_at + grant.lifetime,
        "jti": view.random_bytes(JTI_BYTES).hex(),
        **nonce,
        "a9fe": {
            "instance": {
                "uuid": instance.id,
                "name": instance.name,
                "project_id": instance.project_id,
                "availability_zone": instance.availability_zone,
                "flavor": instance.flavor,
                "image": instance.image,
                "instance_id": identifiers.instance_id(instance),
                "ips": [*view.all_addresses(4), *view.all_addresses(6)],
                "created_at": instance.created_at,
            }
        },
    }


def jwt(content: Mapping[str, Json], kid: str, sign: Callable[[bytes], bytes]) -> bytes:
    """The token: `sign` makes the RS256 signature of what it is given."""
    header = {"alg": ALGORITHM, "kid": kid, "typ": "JWT"}
    signed = f"{_part(header)}.{_part(content)}".encode("ascii")
    return signed + b"." + encoded(sign(signed)).encode("ascii")


def _part(value: object) -> str:
    return encoded(json.dumps(value, separators=(",", ":")).encode("ascii"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token taken apart, of which nothing is believed yet."""

    kid: str
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def parse(text: str) -> Token:
    """Take a token apart. Raises InvalidToken."""
    parts = text.split(".")
    if len(parts) != len(("header", "claims", "signature")) or len(text) > TOKEN_MAX:
        raise InvalidToken("it is not three parts with dots between")
    try:
        header, content = (json.loads(decoded(part)) for part in parts[:2])
        signature = decoded(parts[2])
    except (ValueError, RecursionError) as error:
        raise InvalidToken(f"it cannot be read: {error}") from error
    if not isinstance(header, dict) or not isinstance(content, dict):
        raise InvalidToken("header or claims are no object")
    if header.get("alg") != ALGORITHM or "crit" in header:
        raise InvalidToken(f"its algorithm is {header.get('alg')!r}, not {ALGORITHM}")
    signed = f"{parts[0]}.{parts[1]}".encode("ascii")
    kid = str(header.get("kid", ""))
    return Token(kid=kid, claims=content, signed=signed, signature=signature)


def check(content: Mapping[str, Any], *, issuer: str, audience: str, now: float) -> None:
    """Whether claims that are signed hold for this audience now. Raises InvalidToken."""
    if content.get("iss") != issuer:
        raise InvalidToken(f"it was issued by {content.get('iss')!r}, not {issuer!r}")
    if content.get("aud") != audience:
        raise InvalidToken(f"it is for {content.get('aud')!r}, not {audience!r}")
    begin, end = content.get("nbf"), content.get("exp")
    if not isinstance(begin, int) or not isinstance(end, int):
        raise InvalidToken("it does not say from when till when it holds")
    if now >= end:
        raise InvalidToken(f"it expired {int(now - end)} s ago")
    if now + LEEWAY < begin:
        raise InvalidToken(f"it holds only in {int(begin - now)} s")
