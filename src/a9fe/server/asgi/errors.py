"""Turn an exception into an error answer, from the attributes of its class."""

from dataclasses import dataclass, replace

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse

from a9fe.model.errors import FAILED, OVER_QUOTA, A9feError
from a9fe.server.asgi import faults

log = structlog.get_logger()

RETRY_AFTER = "5"  # s, in answers with status 503


@dataclass(frozen=True, slots=True)
class Problem:
    """The status, error type and message of an error answer."""

    status: int
    type: str
    message: str


def problem_of(error: Exception) -> Problem:
    """Return the problem to report. Any exception but A9feError is a bug: 500. Pure."""
    if not isinstance(error, A9feError):
        return Problem(A9feError.status, A9feError.type, FAILED)
    return Problem(error.status, error.type, error.public)


def _one_line(text: str) -> str:
    """Return the text with unprintable characters escaped as in Python: \\n, \\x00."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def answer(problem: Problem, path: str) -> JSONResponse:
    """Return the error answer in the format of the API that the path belongs to."""
    message = _one_line(problem.message)
    body = faults.body_of(path, problem.status, problem.type, message)
    headers = {"Retry-After": RETRY_AFTER} if problem.status == 503 else None
    return JSONResponse(body, status_code=problem.status, headers=headers)


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an A9feError: Starlette's exception handler."""
    problem = problem_of(error)
    if problem.type == OVER_QUOTA:
        problem = replace(problem, status=faults.over_quota(request.url.path))
    if problem.status >= 500:
        log.error("request failed", path=request.url.path, reason=str(error))
    return answer(problem, request.url.path)


async def on_failure(request: Request, error: Exception) -> JSONResponse:
    """Answer any other exception with 500: Starlette's handler. uvicorn logs the traceback."""
    log.error("request failed", path=request.url.path, method=request.method)
    return answer(problem_of(error), request.url.path)
