"""Trusted certificates for https URLs: those of httpx, read once per process.

`load` reads them before privileges are dropped, because only root may be able to read the file.
Reading takes longer than a call, so they are not read for plain http URLs.
"""

import functools
import ssl

import httpx


def verification(url: str) -> ssl.SSLContext | bool:
    """httpx's `verify` for the URLs of a server_url; False if all of them are plain http."""
    is_plain = all(part.strip().startswith("http://") for part in url.split(","))
    return False if is_plain else trusted()


def load(url: str) -> None:
    """Read the certificates if a server_url needs them."""
    verification(url)


@functools.cache
def trusted() -> ssl.SSLContext:
    """The certificates that httpx trusts by default."""
    return httpx.create_ssl_context(trust_env=False)
