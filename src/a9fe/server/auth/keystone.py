"""Authenticates callers by Keystone's tokens (Identity API v3), with our service credentials.

An answer of Keystone is cached for token_cache_time seconds, and not beyond the token's expiry. So
a revoked token works for that time at most. Only hashes of tokens are stored.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from starlette.datastructures import Headers

from a9fe.model.api_tokens import id_of
from a9fe.model.policy import ADMIN, Caller
from a9fe.runtime.clock import Clock
from a9fe.runtime.config import Config
from a9fe.server.auth.credentials import (
    IdentityUnavailable,
    OwnTokens,
    Unauthorized,
    shown_in,
)
from a9fe.store import Store

TIMEOUT = 10.0  # s
CACHE_MAX = 10_000  # tokens; about 3 MB


@dataclass(frozen=True, slots=True)
class _Known:
    """A cached caller. `until`: UNIX seconds."""

    caller: Caller
    until: float


def caller_of(token: dict[str, Any]) -> Caller:
    """Return the caller of a token in Keystone's answer.

    Raises Unauthorized for a token without a project and without system scope.
    """
    roles = frozenset(str(role["name"]).lower() for role in token.get("roles", ()))
    project = token.get("project")
    is_system = bool(token.get("system"))
    if project is None and not is_system:
        raise Unauthorized("The token has no project")
    return Caller(
        project_id=str(project["id"]) if project else "",
        roles=roles,
        is_admin=ADMIN in roles,
    )


def expiry_of(token: dict[str, Any]) -> float:
    """Return when a token expires, in UNIX seconds."""
    return datetime.fromisoformat(str(token["expires_at"])).timestamp()


class Keystone:
    """Authenticates callers by Keystone's tokens, and agents by our own API tokens."""

    def __init__(
        self,
        config: Config,
        store: Store,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Keystone is called only for a request with a token. `transport` replaces it in tests."""
        self._config = config
        self._clock = clock
        self._url = config.keystone_auth_url.rstrip("/").removesuffix("/v3") + "/v3"
        self.challenge = f'Keystone uri="{self._url}"'
        self._agents = OwnTokens(store, agents_only=True)
        self._http = httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, transport=transport)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._own = ""
        self._asking: dict[str, asyncio.Future[Caller]] = {}

    async def caller(self, headers: Headers) -> Caller | None:
        """Return the caller, None without a token. Raises Unauthorized, IdentityUnavailable."""
        shown = shown_in(headers)
        if shown is None:
            return None
        if id_of(shown) is not None:
            return await self._agents.caller(headers)
        name = hashlib.sha256(shown.encode()).hexdigest()
        known = self._known.get(name)
        if known is not None and self._clock.now() < known.until:
            return known.caller
        return await self._ask_once(name, shown)

    async def unknown(self, shown: Collection[str]) -> frozenset[str]:
        """Return the invalid tokens. Only agents have open streams, with our own API tokens."""
        return await self._agents.unknown(shown)

    async def _ask_once(self, name: str, shown: str) -> Caller:
        """Concurrent requests with one token share one call to Keystone."""
        if name not in self._asking:
            self._asking[name] = asyncio.ensure_future(self._ask(name, shown))
            self._asking[name].add_done_callback(lambda _: self._asking.pop(name, None))
        return await asyncio.shield(self._asking[name])

    async def _ask(self, name: str, shown: str) -> Caller:
        self._known.pop(name, None)
        token = await self._validate(shown)
        caller = caller_of(token)
        until = min(self._clock.now() + self._config.token_cache_time, expiry_of(token))
        self._known[name] = _Known(caller, until)
        while len(self._known) > CACHE_MAX:
            self._known.popitem(last=False)
        return caller

    async def _validate(self, shown: str) -> dict[str, Any]:
        """Return the token's data from Keystone. Renews our own token once if it has expired."""
        for own in (self._own or await self._log_in(), ""):
            asking = {"X-Auth-Token": own or await self._log_in(), "X-Subject-Token": shown}
            answer = await self._send("GET", headers=asking)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                break
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise Unauthorized("Keystone does not know the token, or it has expired")
        return self._token(answer)

    async def _log_in(self) -> str:
        """Return a new token of our service user."""
        config = self._config
        user = {
            "name": config.keystone_username,
            "password": config.keystone_password,
            "domain": {"name": config.keystone_user_domain_name},
        }
        project = {
            "name": config.keystone_project_name,
            "domain": {"name": config.keystone_project_domain_name},
        }
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": project},
            }
        }
        answer = await self._send("POST", json=body)
        self._token(answer)
        self._own = answer.headers.get("X-Subject-Token", "")
        return self._own

    async def _send(self, method: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        try:
            return await self._http.request(method, f"{self._url}/auth/tokens", **more)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise IdentityUnavailable(f"Keystone does not answer: {reason}") from error

    def _token(self, answer: httpx.Response) -> dict[str, Any]:
        """Return the token of a successful answer.

        Raises IdentityUnavailable for any other answer, which does not concern the caller.
        """
        try:
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()["token"]
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            reason = f"Keystone answers {answer.status_code} to our own user's request"
            raise IdentityUnavailable(reason) from error
        return found
