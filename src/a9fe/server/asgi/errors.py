"""Turn an error into an answer: status and error body, by the attributes of its class."""

from dataclasses import dataclass, replace

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse

from a9fe.model.errors import FAILED, OVER_QUOTA, A9feError
from a9fe.server.asgi import faults

log = structlog.get_logger()

RETRY_AFTER = "5"


@dataclass(frozen=True, slots=True)
class Problem:
    """What the answer to an error reports."""

    status: int
    type: str
    message: str


def problem_of(error: Exception) -> Problem:
    """The answer to an error. An error outside A9feError is a defect of ours: 500. Pure."""
    if not isinstance(error, A9feError):
        return Problem(A9feError.status, A9feError.type, FAILED)
    return Problem(error.status, error.type, error.public)


def _one_line(text: str) -> str:
    """The text, with unprintable characters escaped as Python does: \\n, \\x00."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def answer(problem: Problem, path: str) -> JSONResponse:
    """The error in the shape of the API that the path belongs to."""
    message = _one_line(problem.message)
    body = faults.body_of(path, problem.status, problem.type, message)
    headers = {"Retry-After": RETRY_AFTER} if problem.status == 503 else None
    return JSONResponse(body, status_code=problem.status, headers=headers)


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's exception handler for A9feError."""
    problem = problem_of(error)
    if problem.type == OVER_QUOTA:
        problem = replace(problem, status=faults.over_quota(request.url.path))
    if problem.status >= 500:
        log.error("request failed", path=request.url.path, reason=str(error))
    return answer(problem, request.url.path)


async def on_failure(request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler for all other exceptions; uvicorn logs the traceback."""
    log.error("request failed", path=request.url.path, method=request.method)
    return answer(problem_of(error), request.url.path)
