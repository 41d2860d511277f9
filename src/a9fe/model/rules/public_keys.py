"""SSH public keys and X.509 certificates: the key's bytes and Nova's fingerprints. Pure."""

import base64
import binascii
import hashlib
import re

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")


def is_certificate(text: str) -> bool:
    """Whether the text is an X.509 certificate in PEM."""
    return _PEM.fullmatch(text) is not None


def key_bytes(text: str) -> bytes | None:
    """Return the decoded key, of which fingerprints are made; None if the text is no key."""
    pem = _PEM.fullmatch(text)
    words = text.split()
    encoded = "".join(pem.group(1).split()) if pem else words[1] if len(words) > 1 else ""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    if pem:
        return blob or None
    name = words[0].encode("utf-8", "replace")
    framed = len(name).to_bytes(4, "big") + name  # RFC 4253 section 6.6: it begins with its type
    return blob if "\n" not in text and blob.startswith(framed) else None


def fingerprint(public_key: str, type: str) -> str:
    """Return Nova's fingerprint: MD5 of an SSH key, SHA-1 of a certificate, hex with colons."""
    blob = key_bytes(public_key) or b""
    algorithm = "md5" if type == "ssh" else "sha1"
    digest = hashlib.new(algorithm, blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
