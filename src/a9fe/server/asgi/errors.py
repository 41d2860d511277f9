"""Every error to a status and Neutron's error body, in one place."""

from dataclasses import dataclass, replace

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse

from a9fe.api_tables.bad_request import BadRequest
from a9fe.model.errors import Conflict, Forbidden, InvalidInput, NotFound
from a9fe.operations.collections import RevisionMismatch
from a9fe.operations.networks.address_groups import AddressesNotFound
from a9fe.operations.quota_limits import OVER_QUOTA
from a9fe.operations.routers.floating_ips import ExternalGatewayNotFound
from a9fe.operations.routers.routers import InterfaceNotFound, InterfaceNotFoundForSubnet
from a9fe.operations.tags import TagNotFound
from a9fe.server.asgi import faults
from a9fe.server.auth.credentials import IdentityUnavailable, Unauthorized
from a9fe.store import StoreError

log = structlog.get_logger()

SHOWN_MAX = 200  # characters of a client's value in a message: enough to recognise it
RETRY_AFTER = "5"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told."""

    status: int
    type: str
    message: str


def problem_of(error: Exception) -> Problem:
    """The answer to an error. Pure."""
    match error:
        case BadRequest():
            return Problem(error.status, error.type, str(error))
        case InvalidInput():
            return Problem(400, error.type, _message(error))
        case NotFound():
            return Problem(404, _not_found_type(error.kind), _shortened(str(error)))
        case Conflict():
            return Problem(409, error.type, str(error))
        case StoreError():
            return Problem(503, "ServiceUnavailable", error.advice)
        case _:
            return _plain(error)


PLAIN: tuple[tuple[type[Exception], int, str], ...] = (
    (InterfaceNotFoundForSubnet, 404, "RouterInterfaceNotFoundForSubnet"),
    (InterfaceNotFound, 404, "RouterInterfaceNotFound"),
    (ExternalGatewayNotFound, 404, "ExternalGatewayForFloatingIPNotFound"),
    (AddressesNotFound, 404, "AddressesNotFound"),
    (TagNotFound, 404, "TagNotFound"),
    (RevisionMismatch, 412, "RevisionNumberConstraintFailed"),
    (Unauthorized, 401, "Unauthorized"),
    (Forbidden, 403, "PolicyNotAuthorized"),
    (IdentityUnavailable, 503, "ServiceUnavailable"),
)
"""Errors whose text is the message: status and type."""


def _plain(error: Exception) -> Problem:
    for cls, status, type in PLAIN:
        if isinstance(error, cls):
            return Problem(status, type, _shortened(str(error)))
    return Problem(500, "HTTPInternalServerError", "The server failed; its log says why")


def _message(error: InvalidInput) -> str:
    field, text = _shortened(error.field), _shortened(repr(error.value))
    ours = f"{field}: {text} is not valid, expected {error.expected}"
    return f"{_shortened(error.words)} ({ours})" if error.words else ours


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "..."


def _one_line(text: str) -> str:
    """The text with what cannot be seen written as Python does: \\n, \\x00."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


NOT_FOUND = {"subnetpool": "SubnetPoolNotFound", "floatingip": "FloatingIPNotFound"}


def _not_found_type(kind: str) -> str:
    return (
        NOT_FOUND.get(kind) or "".join(word.capitalize() for word in kind.split("_")) + "NotFound"
    )


def answer(problem: Problem, path: str) -> JSONResponse:
    """The error body of the API that the path is of."""
    message = _one_line(problem.message)
    body = faults.body_of(path, problem.status, problem.type, message)
    headers = {"Retry-After": RETRY_AFTER} if problem.status == 503 else None
    return JSONResponse(body, status_code=problem.status, headers=headers)


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler of every error of ours."""
    problem = problem_of(error)
    if problem.type == OVER_QUOTA:
        problem = replace(problem, status=faults.over_quota(request.url.path))
    if problem.status >= 500:
        log.error("request failed", path=request.url.path, reason=str(error))
    return answer(problem, request.url.path)


async def on_failure(request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler of what should not happen; uvicorn logs the traceback."""
    log.error("request failed", path=request.url.path, method=request.method)
    return answer(problem_of(error), request.url.path)
