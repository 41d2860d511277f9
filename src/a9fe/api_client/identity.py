"""Publishing the public halves of keys that sign identities."""

from collections.abc import Mapping
from typing import Any

import httpx

from a9fe.api_client.errors import (
    ApiError,
    ServerUnreachable,
    checks_certificates,
    raise_for,
    reason_of,
)
from a9fe.api_client.servers import Rotation, headers

TIMEOUT = 10.0  # s


class KeyRegistry:
    """The servers, as far as keys of one host go."""

    def __init__(
        self,
        url: str,
        host: str,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        token: str = "",
    ) -> None:
        """`url` as in the option server_url; `token` an agent's of this host."""
        self._servers = Rotation(url, host)
        self._host = host
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT,
            trust_env=False,
            transport=transport,
            verify=checks_certificates(url),
            headers=headers(token),
        )

    async def publish(self, jwk: Mapping[str, str], certificate: str, expires_at: str) -> str:
        """Publish a key, or say the same again; the issuer in whose name it signs.

        `certificate` is PEM, `expires_at` ISO 8601 UTC. Raises ServerUnreachable or ApiError;
        the next call asks the next server.
        """
        key = {
            "host": self._host,
            "jwk": dict(jwk),
            "certificate": certificate,
            "expires_at": expires_at,
        }
        answer = await self._put(f"/a9fe/v1/identity/keys/{jwk['kid']}", {"key": key})
        issuer = answer.get("issuer")
        if not isinstance(issuer, str) or not issuer:
            raise ApiError(502, "", f"{self._servers.current} names no issuer of identities")
        return issuer

    async def _put(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        url = self._servers.current
        try:
            answer = await self._http.put(url + path, json=body)
            raise_for(answer)
            document = answer.json()
        except httpx.HTTPError as error:
            self._servers.turn()
            raise ServerUnreachable(url, reason_of(error)) from error
        except ApiError:
            self._servers.turn()
            raise
        except ValueError as error:
            self._servers.turn()
            raise ApiError(502, "", f"{url} answers, but not as an API server") from error
        return document if isinstance(document, dict) else {}

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
