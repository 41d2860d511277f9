"""Failover: which of several servers a request is sent to."""

import zlib
from collections.abc import Iterator
from types import TracebackType

import httpx

from a9fe.api_client.errors import ServerUnreachable, reason_of


def servers(server_url: str) -> tuple[str, ...]:
    """Return the URLs of the option server_url, without trailing slashes."""
    found = tuple(part.strip().rstrip("/") for part in server_url.split(","))
    return tuple(url for url in found if url) or ("",)


class Attempt:
    """One attempt to send a request to `url`; a context manager around the sending.

    After a failure the next request goes to the next server. httpx errors become
    ServerUnreachable; an error is suppressed if the request was not sent and another server is
    left to try, because a request that was sent may have been executed.
    """

    def __init__(self, rotation: "Rotation", *, is_last: bool) -> None:
        self._rotation = rotation
        self._is_last = is_last
        self.url = rotation.current

    def answered(self, response: httpx.Response) -> httpx.Response:
        """Return the response; after a server error (5xx) the next request goes elsewhere."""
        if response.is_server_error:
            self._rotation.turn()
        return response

    def __enter__(self) -> None:
        """Begin the attempt."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Return whether the request may be sent to the next server."""
        if not isinstance(error, httpx.HTTPError):
            return False
        self._rotation.turn()
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) and not self._is_last:
            return True
        raise ServerUnreachable(self.url, reason_of(error)) from error


class Rotation:
    """The servers in a cycle. Each client starts at another one, so that they share the work."""

    def __init__(self, server_url: str, name: str = "") -> None:
        """`name` of the client selects the first server; without it, the first of the list."""
        self.urls = servers(server_url)
        self._at = zlib.crc32(name.encode()) % len(self.urls) if name else 0

    @property
    def current(self) -> str:
        """The URL of the server to send to now."""
        return self.urls[self._at]

    def turn(self) -> None:
        """Go on to the next server."""
        self._at = (self._at + 1) % len(self.urls)

    def attempts(self) -> Iterator[Attempt]:
        """Yield one attempt for each server, as long as the request may be sent again."""
        for left in reversed(range(len(self.urls))):
            yield Attempt(self, is_last=left == 0)
