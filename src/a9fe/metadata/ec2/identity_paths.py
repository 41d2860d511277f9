"""The entries of AWS's dynamic/instance-identity, which Nova does not have."""

from collections.abc import Callable

from a9fe.metadata.document_signer import Signatures
from a9fe.metadata.identity.document import document
from a9fe.metadata.table import LATEST, Entry, EntryContext

PATH = "dynamic/instance-identity"


def _is_ready(context: EntryContext) -> bool:
    signer = context.view.settings.identity
    return signer is not None and signer.ready()


def _document(context: EntryContext) -> bytes:
    signer = context.view.settings.identity
    return b"" if signer is None else document(context.view, signer.architecture)


def _signed(part: Callable[[Signatures], bytes]) -> Callable[[EntryContext], bytes]:
    def extract(context: EntryContext) -> bytes:
        signer = context.view.settings.identity
        return b"" if signer is None else part(signer.sign(_document(context)))

    return extract


def _entry(name: str, about: str, extract: Callable[[EntryContext], bytes]) -> Entry:
    return Entry(
        path=f"{PATH}/{name}",
        since=LATEST,
        about=about,
        extract=extract,
        present=_is_ready,
        is_volatile=True,
    )


ENTRIES = (
    _entry("document", "identity document of the instance, JSON (enable_identity)", _document),
    _entry(
        "signature",
        "RSA PKCS#1 v1.5 with SHA-256 over the document, base64",
        _signed(lambda signed: signed.signature),
    ),
    _entry(
        "pkcs7",
        "PKCS#7 signed data that includes the document, base64 without armour",
        _signed(lambda signed: signed.pkcs7),
    ),
    _entry("rsa2048", "as pkcs7, which is DSA on EC2", _signed(lambda signed: signed.pkcs7)),
)
