"""HTTP to the servers of the option server_url: TLS, credential, failover, and errors.

Every request to our own API is sent through here. `Sender` serves the command line, `AsyncSender`
a host's processes; the change feed reads one long answer through an `async_client`.
"""

from typing import Any, TypedDict

import httpx

from a9fe.api_client import tls
from a9fe.api_client.errors import ApiError, raise_for
from a9fe.api_client.servers import Rotation

TOKEN_HEADER = "X-Auth-Token"  # noqa: S105 - the header's name
Json = Any
Timeout = float | httpx.Timeout
"""Seconds."""


class _Options(TypedDict):
    timeout: Timeout
    trust_env: bool
    verify: Any
    headers: dict[str, str]


def _options(server_url: str, token: str, timeout: Timeout) -> _Options:
    """Return what all our clients have in common. Proxies of the environment are not used."""
    return {
        "timeout": timeout,
        "trust_env": False,
        "verify": tls.verification(server_url),
        "headers": {TOKEN_HEADER: token} if token else {},
    }


def async_client(
    server_url: str,
    token: str,
    timeout: Timeout,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Return a client for those servers. `transport` replaces the network in tests."""
    return httpx.AsyncClient(transport=transport, **_options(server_url, token, timeout))


class Sender:
    """Sends requests, each to the first server that accepts a connection."""

    def __init__(
        self,
        server_url: str,
        transport: httpx.BaseTransport | None,
        *,
        token: str,
        timeout: Timeout,
    ) -> None:
        """Start with the first server of `server_url`."""
        self.servers = Rotation(server_url)
        options = _options(server_url, token, timeout)
        self._http = httpx.Client(transport=transport, **options)

    def send(
        self, method: str, path: str, body: Json = None, params: dict[str, str] | None = None
    ) -> httpx.Response:
        """Return a successful answer. Raises ApiError or ServerUnreachable."""
        for attempt in self.servers.attempts():
            with attempt:
                url = attempt.url + path
                answer = self._http.request(method, url, json=body, params=params)
                return raise_for(attempt.answered(answer))
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncSender:
    """Sends requests, each to the first server that accepts a connection."""

    def __init__(
        self,
        server_url: str,
        transport: httpx.AsyncBaseTransport | None,
        *,
        client_name: str,
        token: str,
        timeout: Timeout,
    ) -> None:
        """`client_name` selects the server to start with, so that clients share the servers."""
        self.servers = Rotation(server_url, client_name)
        self._http = async_client(server_url, token, timeout, transport)

    async def send(self, method: str, path: str, body: Json = None) -> httpx.Response:
        """Return a successful answer. Raises ApiError or ServerUnreachable."""
        for attempt in self.servers.attempts():
            with attempt:
                answer = await self._http.request(method, attempt.url + path, json=body)
                return raise_for(attempt.answered(answer))
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def json_of(answer: httpx.Response) -> Json:
    """Return the JSON of an answer, None if it has no body. Raises ApiError."""
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError as error:
        raise not_our_server(str(answer.request.url)) from error


def not_our_server(url: str) -> ApiError:
    """Return the error for an answer that no server of a9fe gives."""
    return ApiError(502, "", f"{url} answers, but not as the API server of a9fe does")
