"""Nova's microversions around every compute handler, and the operations that show them."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables.schemas import OBJECT
from a9fe.model.errors import A9feError
from a9fe.operations.answers import Json
from a9fe.server.asgi import errors, faults, operation
from a9fe.server.asgi.api import root_of
from a9fe.server.asgi.examples import example
from a9fe.server.asgi.operation import Access, OperationTable
from a9fe.server.nova import microversion
from a9fe.server.nova.servers import AnswerFormat

BASE = faults.COMPUTE
UPDATED = "2013-07-23T11:33:21Z"  # Nova's value for v2.1
Handler = Callable[[Request, AnswerFormat], Awaitable[Response]]


def versioned(handler: Handler) -> operation.Handler:
    """Return a handler that reads the microversion; every answer has it in its headers."""

    async def answered(request: Request) -> Response:
        try:
            version = microversion.asked(request.headers)
        except microversion.BadVersion as error:
            fault = faults.nova(error.status, str(error))
            headers = microversion.said(microversion.LEAST)
            return JSONResponse(fault, status_code=error.status, headers=headers)
        try:
            answer = await handler(request, AnswerFormat(version=version, base=root_of(request)))
        except A9feError as error:
            answer = await errors.on_error(request, error)
        answer.headers.update(microversion.said(version))
        return answer

    return answered


def compute_table(path: str = "", *, chapter: str = "Compute") -> OperationTable:
    """Return a table of operations below /v2.1, whose handlers take the microversion."""
    return OperationTable(f"{BASE}{path}", chapter=chapter, adapt=versioned)


VERSIONS = compute_table()


def version_shown(base: str) -> Json:
    """Return the document from which a client chooses its microversion."""
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": microversion.shown(microversion.MOST),
        "min_version": microversion.shown(microversion.LEAST),
        "updated": UPDATED,
        "links": [{"rel": "self", "href": f"{base}{BASE}/"}],
        "media-types": [
            {
                "base": "application/json",
                "type": "application/vnd.openstack.compute+json;version=2.1",
            }
        ],
    }


@VERSIONS.add(
    "GET", "", Access.ANYONE, answers={200: OBJECT}, can_fail=False, examples=(example(),)
)
@VERSIONS.add(
    "GET", "/", Access.ANYONE, answers={200: OBJECT}, can_fail=False, examples=(example(),)
)
async def show_version(_request: Request, form: AnswerFormat) -> Response:
    """Show the API's version and the range of its microversions."""
    return JSONResponse({"version": version_shown(form.base)})


OPERATIONS = tuple(VERSIONS)
