"""The gate before every handler: authenticate the caller and check the operation's `access`.

model.policy decides which resources and attributes a caller may see and change.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from a9fe.api_tables.bad_request import BadRequest
from a9fe.model.errors import A9feError, Forbidden
from a9fe.model.policy import NOBODY, Caller
from a9fe.server.asgi.errors import answer, problem_of
from a9fe.server.asgi.operation import Access, Handler, Operation
from a9fe.server.auth.credentials import Authenticator, Unauthorized

READS = frozenset({"GET", "HEAD"})
_UNMATCHED_TYPES = {404: "HTTPNotFound", 405: "HTTPMethodNotAllowed"}


def check(caller: Caller | None, method: str, path: str, access: Access, project: str) -> None:
    """Raise Unauthorized or Forbidden unless the caller may use an operation.

    `caller` is None for a request without an API token. `project` is the project id in the path,
    for Access.OWN_PROJECT.
    """
    if access is Access.ANYONE:
        return
    if caller is None:
        raise Unauthorized("The request needs an API token in X-Auth-Token")
    if not _fits(caller, access):
        raise Forbidden(f"{method} {path[:200]} is for {access.value}")
    if caller.host and not caller.is_admin:
        return
    if method not in READS and not caller.may_write:
        raise Forbidden("An API token of the reader role may only read")
    if access is Access.OWN_PROJECT and not caller.is_admin and project != caller.project_id:
        raise Forbidden("Only admins may use the quotas of another project")


def _fits(caller: Caller, access: Access) -> bool:
    if access is Access.AGENT:
        return bool(caller.host)
    if access is Access.ADMIN:
        return caller.is_admin
    return caller.is_admin or not caller.host


class OperationRoute(Route):
    """Starlette's route of one operation."""

    def __init__(self, operation: Operation, endpoint: Handler) -> None:
        """`endpoint` is the operation's handler, wrapped by the gate."""
        super().__init__(operation.path, endpoint, methods=[operation.method], name=operation.key)
        self.operation = operation


@dataclass(frozen=True, slots=True)
class Gate:
    """Wraps handlers with authentication and the check of `access`.

    `authenticator` is that of the option auth_strategy.
    """

    authenticator: Authenticator

    def routes(self, operations: Iterable[Operation]) -> list[OperationRoute]:
        """Return a route for each operation; literal paths precede paths with parameters."""
        rows = sorted(operations, key=lambda o: [part[:1] == "{" for part in o.path.split("/")])
        return [OperationRoute(operation, self._guarded(operation)) for operation in rows]

    def _guarded(self, operation: Operation) -> Handler:
        async def endpoint(request: Request) -> Response:
            try:
                await self._admit(request, operation)
            except A9feError as error:
                return self._refusal(error, request)
            return await operation.handler(request)

        return endpoint

    async def _admit(self, request: Request, operation: Operation) -> None:
        """Set the request's state: operation and caller. Raises Unauthorized, Forbidden."""
        request.state.operation = operation
        if operation.access is Access.ANYONE:
            request.state.caller = NOBODY
            return
        caller = await self.authenticator.caller(request.headers)
        project = request.path_params.get("project_id", "")
        check(caller, request.method, request.url.path, operation.access, project)
        request.state.caller = caller

    async def on_unmatched(self, request: Request, error: Exception) -> Response:
        """Answer a request that matches no operation: Starlette's handler for HTTPException.

        Only members of a project, and agents that may use another method of the path, get 404 or
        405. Others get 401 or 403.
        """
        assert isinstance(error, HTTPException)
        try:
            caller = await self.authenticator.caller(request.headers)
            if not _is_agent_of(caller, request):
                check(caller, request.method, request.url.path, Access.PROJECT, "")
        except A9feError as refused:
            return self._refusal(refused, request)
        message = f"{request.method} {request.url.path[:200]}: {error.detail}"
        type = _UNMATCHED_TYPES.get(error.status_code, "HTTPBadRequest")
        unmatched = BadRequest(error.status_code, message, type)
        response = answer(problem_of(unmatched), request.url.path)
        response.headers.update(error.headers or {})
        return response

    def _refusal(self, error: A9feError, request: Request) -> Response:
        refusal = answer(problem_of(error), request.url.path)
        if isinstance(error, Unauthorized) and self.authenticator.challenge:
            refusal.headers["WWW-Authenticate"] = self.authenticator.challenge
        return refusal


def _is_agent_of(caller: Caller | None, request: Request) -> bool:
    """Return whether the caller is an agent that may use another method of the path."""
    if caller is None or not caller.host:
        return False
    return any(
        _fits(caller, route.operation.access)
        for route in request.app.routes
        if isinstance(route, OperationRoute)
        and route.operation.access is not Access.ANYONE
        and route.matches(request.scope)[0] is not Match.NONE
    )
