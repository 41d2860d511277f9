"""The signer of identity documents, as the trees use it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatures:
    """Signatures of one document, as EC2 serves them: base64 in lines of 64, without armour.

    `signature` is RSA PKCS#1 v1.5 with SHA-256 over the document's bytes; `pkcs7` is signed data
    (RFC 2315) that includes the document.
    """

    signature: bytes
    pkcs7: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSigner:
    """Signs documents. `architecture` is the host's, as EC2 names it, e.g. "x86_64".

    `ready()` returns whether there is a key to sign with now; call `sign` only then.
    """

    architecture: str
    ready: Callable[[], bool]
    sign: Callable[[bytes], Signatures]
