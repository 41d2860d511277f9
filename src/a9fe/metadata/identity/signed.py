"""What signs for an instance, as the trees are given it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Signatures of one document, as EC2 serves them: base64 in lines of 64, without armour.

    `signature` is RSA PKCS#1 v1.5 with SHA-256 over the document's bytes; `pkcs7` signed data
    (RFC 2315) that holds the document.
    """

    signature: bytes
    pkcs7: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Signs documents. `architecture` is the host's, as EC2 names it, e.g. "x86_64".

    `ready()` says whether there is a key to sign with now; `sign` may be called only then.
    """

    architecture: str
    ready: Callable[[], bool]
    sign: Callable[[bytes], Signed]
