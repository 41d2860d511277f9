"""The Starlette application: the routes, errors as Neutron's bodies, a count of every answer."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from a9fe.api_tables.bad_request import BadRequest
from a9fe.model.errors import A9feError
from a9fe.runtime import metrics
from a9fe.runtime.clock import Clock
from a9fe.runtime.config import Config
from a9fe.server.asgi.api import Api
from a9fe.server.asgi.errors import on_error, on_failure
from a9fe.server.asgi.gate import Gate
from a9fe.server.auth.admissions import Admissions
from a9fe.server.auth.credentials import Authenticator, Everyone
from a9fe.server.feed.hub import Hub
from a9fe.server.glance import images as image
from a9fe.server.native import agent_reports, config_drives, imds_usage
from a9fe.server.native import api_tokens as token_calls
from a9fe.server.native import guest_data as guest_calls
from a9fe.server.native import identity_keys as identity
from a9fe.server.neutron import handlers as neutron
from a9fe.server.nova import handlers as compute
from a9fe.server.nova import records as compute_records
from a9fe.server.openapi import handlers as documents
from a9fe.store import Store

PROCESS = "server"


class _Counted:
    """Counts answers by status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                metrics.answered(PROCESS, message["status"])
            await send(message)

        await self._app(scope, receive, counted)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    """No such path or method."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    name = {404: "HTTPNotFound", 405: "HTTPMethodNotAllowed"}.get(error.status_code)
    answer = await on_error(
        request, BadRequest(error.status_code, message, name or "HTTPBadRequest")
    )
    answer.headers.update(error.headers or {})
    return answer


def routes() -> list[Route]:
    """All that is served."""
    return [
        *neutron.routes(),
        *agent_reports.routes(),
        *guest_calls.routes(),
        *config_drives.routes(),
        *identity.routes(),
        *imds_usage.routes(),
        *token_calls.routes(),
        *compute.routes(),
        *compute_records.routes(),
        *image.routes(),
        *documents.routes(),
    ]


def application(
    store: Store,
    config: Config,
    clock: Clock,
    hub: Hub,
    authenticator: Authenticator | None = None,
) -> Starlette:
    """The ASGI application over a migrated store; somebody else runs the hub.

    Without an authenticator everyone is admin.
    """
    authenticator = authenticator or Everyone()
    app = Starlette(
        routes=routes(),
        middleware=[
            Middleware(_Counted),
            Middleware(Gate, authenticator=authenticator),
        ],
        exception_handlers={
            A9feError: on_error,
            HTTPException: _on_http,
            Exception: on_failure,
        },
    )
    app.router.redirect_slashes = False
    app.state.api = Api(store, config, clock, hub, Admissions(authenticator))
    return app
