"""The API client of a host's processes: asynchronous, with a token that is bound to the host."""

import httpx

from a9fe.api_client.transport import AsyncSender, Json, json_of
from a9fe.runtime.config import Config

TIMEOUT = 10.0  # s: well below agent_down_time


class AgentClient:
    """Sends requests to the servers of the option server_url.

    Every request raises ApiError if the server refuses it, ServerUnreachable if none answers.
    """

    def __init__(
        self,
        url: str,
        host: str,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        token: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        """`url` as in the option server_url; `timeout` in seconds for each attempt."""
        self.host = host
        self._sender = AsyncSender(url, transport, client_name=host, token=token, timeout=timeout)

    @classmethod
    def of(cls, config: Config, timeout: float = TIMEOUT) -> "AgentClient":
        """Return the client of a process on config.host."""
        return cls(config.server_url, config.host, token=config.auth_token, timeout=timeout)

    async def call(self, method: str, path: str, body: Json = None) -> Json:
        """Return the JSON of the answer, None if it has no body."""
        return json_of(await self._sender.send(method, path, body))

    async def lines(self, path: str) -> list[str]:
        """Return the lines of the answer to a GET."""
        return (await self._sender.send("GET", path)).text.splitlines()

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.close()
