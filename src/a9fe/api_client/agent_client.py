"""Calls of a host's processes: asynchronous, with the credential that is bound to the host."""

from typing import Any

import httpx

from a9fe.api_client import tls
from a9fe.api_client.errors import (
    ApiError,
    ServerUnreachable,
    raise_for,
    reason_of,
)
from a9fe.api_client.servers import Rotation, headers

TIMEOUT = 10.0  # s


class AgentClient:
    """The servers of the option server_url. Calls raise ApiError or ServerUnreachable."""

    def __init__(
        self,
        url: str,
        host: str,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        token: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        """`token` an agent's of `host`; `timeout` in seconds for each attempt."""
        self.host = host
        self._servers = Rotation(url, host)
        self._http = httpx.AsyncClient(
            timeout=timeout,
            trust_env=False,
            transport=transport,
            verify=tls.verification(url),
            headers=headers(token),
        )

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - a JSON value
        """The JSON of the answer, None where it has no body."""
        answer = await self._send(method, path, body)
        raise_for(answer)
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError as error:
            text = f"{answer.request.url} answers, but not as the API server of a9fe does"
            raise ApiError(502, "", text) from error

    async def lines(self, path: str) -> list[str]:
        """The lines of an answer to GET."""
        answer = await self._send("GET", path, None)
        raise_for(answer)
        return answer.text.splitlines()

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        """To the first server that can be connected to: what was sent once is not sent again."""
        for attempt in range(len(self._servers.urls)):
            url = self._servers.current
            try:
                answer = await self._http.request(method, url + path, json=body)
            except httpx.HTTPError as error:
                self._servers.turn()
                unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if not unsent or attempt + 1 == len(self._servers.urls):
                    raise ServerUnreachable(url, reason_of(error)) from error
            else:
                if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                    self._servers.turn()
                return answer
        raise AssertionError("a rotation has at least one server")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
