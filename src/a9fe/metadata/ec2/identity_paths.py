"""The entries of EC2's dynamic/instance-identity, which AWS has and Nova has not."""

from collections.abc import Callable

from a9fe.metadata.identity.document import document
from a9fe.metadata.identity.signer import Signatures
from a9fe.metadata.table import LATEST, Asked, Entry

PATH = "dynamic/instance-identity"


def _is_ready(asked: Asked) -> bool:
    signer = asked.view.settings.identity
    return signer is not None and signer.ready()


def _document(asked: Asked) -> bytes:
    signer = asked.view.settings.identity
    return b"" if signer is None else document(asked.view, signer.architecture)


def _signed(part: Callable[[Signatures], bytes]) -> Callable[[Asked], bytes]:
    def extract(asked: Asked) -> bytes:
        signer = asked.view.settings.identity
        return b"" if signer is None else part(signer.sign(_document(asked)))

    return extract


def _entry(name: str, about: str, extract: Callable[[Asked], bytes]) -> Entry:
    return Entry(
        path=f"{PATH}/{name}", since=LATEST, about=about, extract=extract, present=_is_ready
    )


ENTRIES = (
    _entry("document", "who the instance is, as JSON (enable_identity)", _document),
    _entry(
        "signature",
        "RSA PKCS#1 v1.5 with SHA-256 over the document, base64",
        _signed(lambda signed: signed.signature),
    ),
    _entry(
        "pkcs7",
        "PKCS#7 signed data with the document in it, base64 without armour",
        _signed(lambda signed: signed.pkcs7),
    ),
    _entry("rsa2048", "as pkcs7, which on EC2 is DSA", _signed(lambda signed: signed.pkcs7)),
)
