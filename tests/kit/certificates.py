"""Certificates for TLS sockets of tests, made by a certificate authority of the test."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Authority:
    """A certificate authority that keeps its files in `directory`."""

    directory: Path
    name: str = "ca"

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def _subject(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])

    @cached_property
    def certificate(self) -> str:
        """The path of the authority's own certificate."""
        built = self._builder(self._subject, self._key, DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        path = self.directory / f"{self.name}.pem"
        path.write_bytes(_pem(built.sign(self._key, hashes.SHA256())))
        return str(path)

    def issue(self, name: str, *, valid: timedelta = DAY, password: bytes = b"") -> Pair:
        """Issue a certificate for a host name or address; `valid` from now, maybe negative."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = self._builder(subject, key, valid).add_extension(
            x509.SubjectAlternativeName([_alternative(name)]), critical=False
        )
        stem = f"{self.name}-{name.replace(':', '-')}-{valid.total_seconds():.0f}{len(password)}"
        certificate, key_path = (self.directory / f"{stem}.{end}" for end in ("pem", "key"))
        certificate.write_bytes(_pem(built.sign(self._key, hashes.SHA256())))
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(password)
                if password
                else serialization.NoEncryption(),
            )
        )
        return Pair(str(certificate), str(key_path))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, valid: timedelta
    ) -> x509.CertificateBuilder:
        until = datetime.now(UTC) + valid
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(until - 2 * DAY)
            .not_valid_after(until)
        )


def server_context(pair: Pair, clients: Authority | None = None) -> ssl.SSLContext:
    """Return a server's context; with `clients` it wants a client certificate of theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if clients is not None:
        context.load_verify_locations(clients.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
