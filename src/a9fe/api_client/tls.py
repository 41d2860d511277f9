"""How servers are known: by the certificates that httpx trusts, read once for each process.

They are read before privileges are dropped (`load`): their file may be root's alone. And reading
them takes longer than a call, so plain URLs do without.
"""

import functools
import ssl

import httpx


def verification(url: str) -> ssl.SSLContext | bool:
    """httpx's `verify` for a server_url, of which some may be plain; False where all are."""
    is_plain = all(part.strip().startswith("http://") for part in url.split(","))
    return False if is_plain else trusted()


def load(url: str) -> None:
    """Read the certificates if a server_url needs them."""
    verification(url)


@functools.cache
def trusted() -> ssl.SSLContext:
    """The certificates that httpx trusts without more."""
    return httpx.create_ssl_context(trust_env=False)
