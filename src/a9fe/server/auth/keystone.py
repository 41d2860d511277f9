"""Callers by Keystone's tokens (Identity API v3), asked about with our own service credentials.

What Keystone said of a token is believed for token_cache_time seconds, and no longer than the
token lives; so a revoked token works that long at most. Tokens are kept as hashes only.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import httpx
from starlette.datastructures import Headers

from a9fe.model.api_tokens import id_of
from a9fe.model.policy import ADMIN, Caller
from a9fe.runtime.clock import Clock
from a9fe.server.auth.credentials import (
    IdentityUnavailable,
    OwnTokens,
    Unauthorized,
    shown_in,
)
from a9fe.store import Store

TIMEOUT = 10.0  # s
CACHE_MAX = 10_000  # tokens; about 3 MB


class KeystoneSettings(Protocol):
    """The options of Keystone; runtime.config.Config has them."""

    @property
    def keystone_auth_url(self) -> str:
        """Its URL, with or without /v3."""

    @property
    def keystone_username(self) -> str:
        """Our user."""

    @property
    def keystone_password(self) -> str:
        """Its password."""

    @property
    def keystone_project_name(self) -> str:
        """Its project."""

    @property
    def keystone_user_domain_name(self) -> str:
        """The domain of the user."""

    @property
    def keystone_project_domain_name(self) -> str:
        """The domain of the project."""

    @property
    def token_cache_time(self) -> int:
        """Seconds for which Keystone's word counts."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A caller, until a time (UNIX seconds)."""

    caller: Caller
    until: float


def caller_of(token: dict[str, Any]) -> Caller:
    """Whom the token of an answer stands for. Raises Unauthorized for one without a project."""
    roles = frozenset(str(role["name"]).lower() for role in token.get("roles", ()))
    project = token.get("project")
    is_system = bool(token.get("system"))
    if project is None and not is_system:
        raise Unauthorized("The token is of no project")
    return Caller(
        project_id=str(project["id"]) if project else "",
        roles=roles,
        is_admin=ADMIN in roles,
    )


def expiry_of(token: dict[str, Any]) -> float:
    """When a token ends, in UNIX seconds."""
    return datetime.fromisoformat(str(token["expires_at"])).timestamp()


class Keystone:
    """Knows callers by Keystone's tokens, and agents by tokens of our own."""

    def __init__(
        self,
        settings: KeystoneSettings,
        store: Store,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Nothing is asked before a token is shown. `transport`: a Keystone that is no socket."""
        self._settings = settings
        self._clock = clock
        self._url = settings.keystone_auth_url.rstrip("/").removesuffix("/v3") + "/v3"
        self.challenge = f'Keystone uri="{self._url}"'
        self._agents = OwnTokens(store, agents_only=True)
        self._http = httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, transport=transport)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._own = ""
        self._asking: dict[str, asyncio.Future[Caller]] = {}

    async def caller(self, headers: Headers) -> Caller | None:
        """Raises Unauthorized and IdentityUnavailable."""
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
        """Only agents hold anything open, with tokens of ours."""
        return await self._agents.unknown(shown)

    async def _ask_once(self, name: str, shown: str) -> Caller:
        """Many requests with one token ask Keystone once."""
        if name not in self._asking:
            self._asking[name] = asyncio.ensure_future(self._ask(name, shown))
            self._asking[name].add_done_callback(lambda _: self._asking.pop(name, None))
        return await asyncio.shield(self._asking[name])

    async def _ask(self, name: str, shown: str) -> Caller:
        self._known.pop(name, None)
        token = await self._validate(shown)
        caller = caller_of(token)
        until = min(self._clock.now() + self._settings.token_cache_time, expiry_of(token))
        self._known[name] = _Known(caller, until)
        while len(self._known) > CACHE_MAX:
            self._known.popitem(last=False)
        return caller

    async def _validate(self, shown: str) -> dict[str, Any]:
        """What Keystone says of a token. Our own may have expired: then we get another."""
        for own in (self._own or await self._log_in(), ""):
            asking = {"X-Auth-Token": own or await self._log_in(), "X-Subject-Token": shown}
            answer = await self._send("GET", headers=asking)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                break
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise Unauthorized("Keystone does not know the token, or it has ended")
        return self._token(answer)

    async def _log_in(self) -> str:
        """A token of our own service user."""
        s = self._settings
        user = {
            "name": s.keystone_username,
            "password": s.keystone_password,
            "domain": {"name": s.keystone_user_domain_name},
        }
        project = {
            "name": s.keystone_project_name,
            "domain": {"name": s.keystone_project_domain_name},
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
        """The token of a successful answer; anything else is no word about the caller."""
        try:
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()["token"]
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            reason = f"Keystone answers {answer.status_code} to our own user's request"
            raise IdentityUnavailable(reason) from error
        return found
