"""Keys that sign identities: RSA, each with a certificate and a file that only we can read."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from a9fe.metadata.identity.key_schedule import KeyTimes
from a9fe.model import jwk
from a9fe.runtime import whole_files

log = structlog.get_logger()

BITS = 2048
EXPONENT = 65537
SKEW = timedelta(minutes=5)  # that a verifier's clock may be behind
# Sign the document's bytes unchanged, without attributes: signing again gives the same bytes.
PKCS7_OPTIONS = [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoAttributes]


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key with its certificate. `issuer`: the issuer that the server named last."""

    times: KeyTimes
    private: rsa.RSAPrivateKey
    certificate: x509.Certificate
    issuer: str = ""

    @property
    def id(self) -> str:
        """The key's thumbprint (RFC 7638)."""
        return self.times.id

    @property
    def certificate_pem(self) -> str:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as a JWK."""
        return jwk_of(self.private.public_key())

    def published(self, at: float, issuer: str) -> "SigningKey":
        """Return the key as published at `at`, UNIX seconds, with the server's issuer."""
        first = at if self.times.published_at is None else self.times.published_at
        return replace(self, times=replace(self.times, published_at=first), issuer=issuer)

    def signature(self, data: bytes) -> bytes:
        """Return the RSASSA-PKCS1-v1_5 signature with SHA-256."""
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def signed_data(self, data: bytes) -> bytes:
        """Return PKCS#7 signed data that includes `data` and the certificate, in DER."""
        builder = pkcs7.PKCS7SignatureBuilder().set_data(data)
        signer = builder.add_signer(self.certificate, self.private, hashes.SHA256())
        return signer.sign(serialization.Encoding.DER, PKCS7_OPTIONS)


def jwk_of(key: rsa.RSAPublicKey) -> dict[str, str]:
    """Return the JWK of a public key."""
    numbers = key.public_numbers()
    return jwk.of_numbers(numbers.n, numbers.e)


def generate(signs_from: float, expires_at: float, now: float) -> SigningKey:
    """Generate a key; times in UNIX seconds. It takes some tenths of a second."""
    private = rsa.generate_private_key(EXPONENT, BITS)
    id = jwk_of(private.public_key())["kid"]
    return SigningKey(
        times=KeyTimes(id=id, signs_from=signs_from, expires_at=expires_at),
        private=private,
        certificate=_certificate(private, id, now, expires_at),
    )


def _certificate(
    private: rsa.RSAPrivateKey, id: str, now: float, expires_at: float
) -> x509.Certificate:
    """Return a self-signed certificate without a host name: the server vouches for its key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"a9fe identity {id}")])
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(int(now), UTC) - SKEW)
        .not_valid_after(datetime.fromtimestamp(int(expires_at), UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
    )
    return builder.sign(private, hashes.SHA256())


class KeyDirectory:
    """The keys of this host, a file each, mode 0600. Use it as the user that signs.

    Loading removes files of another host, whose state was copied, and files that cannot be read;
    new keys replace them.
    """

    def __init__(self, path: Path, host: str) -> None:
        """`path` is a directory that only that user can read."""
        self._path = path
        self._host = host

    def load(self) -> list[SigningKey]:
        """Return all keys."""
        found = []
        for file in sorted(self._path.glob("*.json")):
            try:
                found.append(self._read(file.read_bytes()))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("removed an unusable identity key", file=file.name, reason=str(error))
                file.unlink(missing_ok=True)
        return found

    def _read(self, content: bytes) -> SigningKey:
        document = json.loads(content)
        if document["host"] != self._host:
            raise ValueError(f"it belongs to host {document['host']}")
        private = serialization.load_pem_private_key(document["private_key"].encode(), None)
        certificate = x509.load_pem_x509_certificate(document["certificate"].encode())
        if not isinstance(private, rsa.RSAPrivateKey):
            raise TypeError("it is not an RSA key")
        if certificate.public_key() != private.public_key():
            raise ValueError("its certificate is for another key")
        published_at = document["published_at"]
        times = KeyTimes(
            id=jwk_of(private.public_key())["kid"],
            signs_from=float(document["signs_from"]),
            expires_at=float(document["expires_at"]),
            published_at=None if published_at is None else float(published_at),
        )
        issuer = str(document["issuer"])
        return SigningKey(times=times, private=private, certificate=certificate, issuer=issuer)

    def save(self, key: SigningKey) -> None:
        """Write a key atomically. Raises OSError."""
        private = key.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        document = {
            "host": self._host,
            "issuer": key.issuer,
            "signs_from": key.times.signs_from,
            "expires_at": key.times.expires_at,
            "published_at": key.times.published_at,
            "certificate": key.certificate_pem,
            "private_key": private.decode("ascii"),
        }
        whole_files.replace(self._path / f"{key.id}.json", json.dumps(document).encode())

    def remove(self, ids: Iterable[str]) -> None:
        """Remove the keys with these ids."""
        for id in ids:
            (self._path / f"{id}.json").unlink(missing_ok=True)
