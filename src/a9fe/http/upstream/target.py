"""An address that an upstream listens on."""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an upstream listens: `path` of a Unix socket, or `host` and `port`.

    `name` is the host name that `host` is an address of; "" if `host` is as configured. With `tls`
    the upstream's certificate must be for the name, or for the address if it has none.
    """

    path: str = ""
    host: str = ""
    port: int = 0
    name: str = ""
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        """Return the path, or host:port, an IPv6 address in brackets."""
        return self.path or _joined(self.host, self.port)

    @property
    def server_name(self) -> str:
        """Return the name or address that a certificate must be for."""
        return self.name or self.host

    @property
    def authority(self) -> bytes:
        """Return the Host header for requests without one, and for all with TLS."""
        return b"localhost" if self.path else _joined(self.server_name, self.port).encode()


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
