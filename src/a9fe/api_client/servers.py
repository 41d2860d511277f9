"""Which server is asked: one of a list, and the next one when that does not answer."""

import zlib


def servers(server_url: str) -> tuple[str, ...]:
    """The URLs of the option server_url, without a slash at their ends."""
    found = tuple(part.strip().rstrip("/") for part in server_url.split(","))
    return tuple(url for url in found if url) or ("",)


def headers(token: str) -> dict[str, str]:
    """What a request with that token says; nothing for ""."""
    return {"X-Auth-Token": token} if token else {}


class Rotation:
    """Goes round the servers, each client from another one on, so that they share the work."""

    def __init__(self, server_url: str, name: str = "") -> None:
        """`name` of the client: the same one begins with the same server."""
        self.urls = servers(server_url)
        self._at = zlib.crc32(name.encode()) % len(self.urls) if name else 0

    @property
    def current(self) -> str:
        """The server to ask now."""
        return self.urls[self._at]

    def turn(self) -> None:
        """It does not answer: the next one."""
        self._at = (self._at + 1) % len(self.urls)
