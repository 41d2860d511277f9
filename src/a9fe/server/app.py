"""The Starlette application: all operations behind the gate, error answers, counted answers."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from a9fe.model.errors import A9feError
from a9fe.runtime import metrics
from a9fe.runtime.clock import Clock
from a9fe.runtime.config import Config
from a9fe.server import glance, native, neutron, nova, openapi
from a9fe.server.asgi import Api, Gate, Operation, on_error, on_failure
from a9fe.server.auth.credentials import Authenticator, Everyone
from a9fe.server.feed.hub import Hub
from a9fe.store import Store

PROCESS = "server"
OPERATIONS: tuple[Operation, ...] = (
    *native.OPERATIONS,
    *neutron.OPERATIONS,
    *nova.OPERATIONS,
    *glance.OPERATIONS,
    *openapi.OPERATIONS,
)
"""Every operation of the API."""


class _Outermost:
    """ASGI middleware: counts answers by status and replaces NUL in paths with U+FFFD.

    No resource name contains a NUL, and PostgreSQL refuses a query that does.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                metrics.answered(PROCESS, message["status"])
            await send(message)

        if scope["type"] == "http":
            scope["path"] = scope["path"].replace("\0", "\ufffd")
        await self._app(scope, receive, counted)


def application(
    store: Store,
    config: Config,
    clock: Clock,
    hub: Hub,
    authenticator: Authenticator | None = None,
    operations: Iterable[Operation] = OPERATIONS,
) -> Starlette:
    """Return the ASGI application over a migrated store. The code that calls this runs the hub.

    Without an authenticator every caller is admin.
    """
    authenticator = authenticator or Everyone()
    rows, gate = tuple(operations), Gate(authenticator)
    app = Starlette(
        routes=gate.routes(rows),
        middleware=[Middleware(_Outermost)],
        exception_handlers={
            A9feError: on_error,
            HTTPException: gate.on_unmatched,
            Exception: on_failure,
        },
    )
    app.router.redirect_slashes = False
    app.state.operations = rows
    app.state.api = Api(store, config, clock, hub, authenticator)
    return app
