"""The gate before the API: finds out who calls, and what paths are for whom.

A table of paths says whom each is for; what of a path's resources a caller sees and may change
is model.policy's, where the resource is known.
"""

import re
from dataclasses import dataclass
from enum import Enum

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from a9fe.model.errors import A9feError, Forbidden
from a9fe.model.policy import NOBODY, Caller
from a9fe.server.asgi.errors import answer, problem_of
from a9fe.server.auth.credentials import Authenticator, Unauthorized

log = structlog.get_logger()


class Who(Enum):
    """Whom a path is for."""

    ANYONE = "anyone, also without a token"
    CALLER = "a project's members"
    ADMIN = "admins"
    AGENT = "an agent, with a token that is bound to its host"


@dataclass(frozen=True, slots=True)
class Row:
    """Methods ("" is all) and whole paths, by a pattern."""

    methods: str
    pattern: str
    who: Who


READS = "GET HEAD"
WRITES = "POST PUT PATCH DELETE"
PATHS: tuple[Row, ...] = (
    Row(READS, r"/|/v2\.1/?|/image/?|/docs/?|/openapi[^/]*", Who.ANYONE),
    Row(READS, r"/\.well-known/.+|/a9fe/v1/identity/(jwks|certificates)", Who.ANYONE),
    Row("PUT", r"/a9fe/v1/identity/keys/[^/]+", Who.AGENT),
    Row("", r"/a9fe/v1/identity/.+", Who.ADMIN),
    Row("", r"/a9fe/v1/(feed|agents/report)", Who.AGENT),
    Row("POST", r"/a9fe/v1/imds-usage", Who.AGENT),
    Row("PUT", r"/a9fe/v1/instances/[^/]+/password", Who.AGENT),
    Row("PUT DELETE", r"/a9fe/v1/instances/[^/]+/guest-attributes/.+", Who.AGENT),
    Row("POST", r"/a9fe/v1/instances/[^/]+/events/[^/]+/acknowledge", Who.AGENT),
    Row("POST PUT", r"/a9fe/v1/instances/[^/]+/events(/.*)?", Who.ADMIN),
    Row("", r"/metrics|/a9fe/v1/status|/a9fe/v1/tokens(/.*)?", Who.ADMIN),
    Row("", r"/v2\.0/agents/[^/]+/.+", Who.ADMIN),
    Row("", r"/v2\.0/networks/[^/]+/dhcp-agents(/.*)?", Who.ADMIN),
    Row("", r"/v2\.0/routers/[^/]+/l3-agents(/.*)?", Who.ADMIN),
    Row(READS, r"/v2\.0/quotas(\.json)?/?", Who.ADMIN),
    Row(WRITES, r"/v2\.0/quotas(/.*)?", Who.ADMIN),
    Row(WRITES, r"/(a9fe/v1|v2\.1)/flavors(/.*)?", Who.ADMIN),
    Row("", r".*", Who.CALLER),
)
"""The first row that fits counts."""
_ROWS = tuple(
    (frozenset(r.methods.split()), re.compile(r.pattern).fullmatch, r.who) for r in PATHS
)
_QUOTA = re.compile(r"/v2\.0/quotas/([^/]+)(/.*)?")
_OWN_QUOTA = frozenset({"tenant", "project"})  # paths that ask for one's own project


def who_may(method: str, path: str) -> Who:
    """Whom a path is for."""
    for methods, matches, who in _ROWS:
        if (not methods or method in methods) and matches(path):
            return who
    return Who.ADMIN


def check(caller: Caller | None, method: str, path: str) -> None:
    """Raises Unauthorized or Forbidden unless the caller may use the path at all."""
    who = who_may(method, path)
    if who is Who.ANYONE:
        return
    if caller is None:
        raise Unauthorized("The request needs a token, in X-Auth-Token")
    if not _fits(caller, who):
        raise Forbidden(f"{method} {path[:200]} is for {who.value}")
    if caller.host and not caller.is_admin:
        return
    if method not in READS and not caller.may_write:
        raise Forbidden("A reader's token may not change anything")
    quota = _QUOTA.fullmatch(path)
    if quota and not caller.is_admin and quota[1] not in {caller.project_id, *_OWN_QUOTA}:
        raise Forbidden("Another project's quotas are for admins")


def _fits(caller: Caller, who: Who) -> bool:
    if who is Who.AGENT:
        return bool(caller.host)
    if who is Who.ADMIN:
        return caller.is_admin
    return caller.is_admin or not caller.host


def _without_nul(scope: Scope) -> None:
    """Replace a NUL in the path by U+FFFD: no name has one, and PostgreSQL refuses the query."""
    scope["path"] = scope["path"].replace("\0", "\ufffd")


class Gate:
    """ASGI middleware: puts the caller into the request's state, or answers 401, 403 or 503."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        """The authenticator is asked for every request."""
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._admit(scope)
        except A9feError as error:
            refusal = answer(problem_of(error), scope["path"])
            if isinstance(error, Unauthorized) and self._authenticator.challenge:
                refusal.headers["WWW-Authenticate"] = self._authenticator.challenge
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        _without_nul(scope)
        method, path = scope["method"], scope["path"]
        state = scope.setdefault("state", {})
        if who_may(method, path) is Who.ANYONE:
            state["caller"] = NOBODY
            return
        caller = await self._authenticator.caller(Headers(scope=scope))
        check(caller, method, path)
        state["caller"] = caller
