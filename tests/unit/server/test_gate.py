"""The gate over all operations: which callers reach the handlers, by the access in the rows."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from a9fe.model.policy import Caller
from a9fe.server.app import OPERATIONS
from a9fe.server.asgi.gate import Gate

ADMIN = Caller(project_id="ops", roles=frozenset({"admin"}), is_admin=True)
MEMBER = Caller(project_id="mine", roles=frozenset({"member"}))
READER = Caller(project_id="mine", roles=frozenset({"reader"}))
AGENT = Caller(project_id="", roles=frozenset({"agent"}), host="h1")

READ, WRITE = "GET", "POST"
OPEN, NEEDS_TOKEN, REFUSED = "open", 401, 403

# method, path, and what the gate does with: nobody, member, reader, admin, agent
PATHS = [
    (READ, "/", OPEN, OPEN, OPEN, OPEN, OPEN),
    ("POST", "/", NEEDS_TOKEN, OPEN, REFUSED, OPEN, REFUSED),
    (READ, "/v2.1/", OPEN, OPEN, OPEN, OPEN, OPEN),
    (READ, "/v2.0/networks", NEEDS_TOKEN, OPEN, OPEN, OPEN, REFUSED),
    (WRITE, "/v2.0/networks", NEEDS_TOKEN, OPEN, REFUSED, OPEN, REFUSED),
    (READ, "/v2.0/agents", NEEDS_TOKEN, OPEN, OPEN, OPEN, REFUSED),
    (READ, "/v2.0/agents/a/dhcp-networks", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    (WRITE, "/v2.0/agents/a/l3-routers", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    (READ, "/v2.0/networks/n/dhcp-agents", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    (READ, "/v2.0/routers/r/l3-agents", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    (READ, "/v2.0/quotas/mine", NEEDS_TOKEN, OPEN, OPEN, OPEN, REFUSED),
    (READ, "/v2.0/quotas/theirs", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    ("PUT", "/v2.0/quotas/mine", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    (READ, "/a9fe/v1/instances", NEEDS_TOKEN, OPEN, OPEN, OPEN, REFUSED),
    (READ, "/a9fe/v1/feed", NEEDS_TOKEN, REFUSED, REFUSED, REFUSED, OPEN),
    (WRITE, "/a9fe/v1/agents/report", NEEDS_TOKEN, REFUSED, REFUSED, REFUSED, OPEN),
    (READ, "/a9fe/v1/tokens", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    ("DELETE", "/a9fe/v1/tokens/x", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    (READ, "/a9fe/v1/status", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    (READ, "/a9fe/v1/identity/keys", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    ("PUT", "/a9fe/v1/identity/keys/k", NEEDS_TOKEN, REFUSED, REFUSED, REFUSED, OPEN),
    ("DELETE", "/a9fe/v1/identity/keys/k", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    (READ, "/a9fe/v1/identity/jwks", OPEN, OPEN, OPEN, OPEN, OPEN),
    (READ, "/.well-known/openid-configuration", OPEN, OPEN, OPEN, OPEN, OPEN),
    (READ, "/metrics", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    (READ, "/v2.1/flavors", NEEDS_TOKEN, OPEN, OPEN, OPEN, REFUSED),
    (WRITE, "/v2.1/flavors", NEEDS_TOKEN, REFUSED, REFUSED, OPEN, REFUSED),
    (READ, "/never/heard/of", NEEDS_TOKEN, OPEN, OPEN, OPEN, REFUSED),
]


@dataclass(frozen=True)
class Knows:
    """An authenticator that finds the same caller in every request."""

    found: Caller | None
    challenge: str = ""

    async def caller(self, headers: Headers) -> Caller | None:
        del headers
        return self.found

    async def unknown(self, shown: Collection[str]) -> frozenset[str]:
        del shown
        return frozenset()


async def reached(_request: Request) -> Response:
    return Response()


def app_of(caller: Caller | None) -> Starlette:
    """All operations with handlers that do nothing, behind the gate."""
    gate = Gate(Knows(caller))
    rows = [replace(operation, handler=reached) for operation in OPERATIONS]
    handlers = {HTTPException: gate.on_unmatched}
    return Starlette(routes=gate.routes(rows), exception_handlers=handlers)


async def answered(caller: Caller | None, method: str, path: str) -> object:
    transport = httpx.ASGITransport(app_of(caller))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        status = (await client.request(method, path)).status_code
    return OPEN if status in {200, 404, 405} else status


@pytest.mark.parametrize("row", PATHS, ids=lambda row: f"{row[0]} {row[1]}")
def test_paths(row: tuple):
    method, path, *expected = row
    callers = (None, MEMBER, READER, ADMIN, AGENT)
    assert [asyncio.run(answered(caller, method, path)) for caller in callers] == expected
