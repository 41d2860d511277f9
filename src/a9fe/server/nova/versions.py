"""Microversions and links for all compute handlers, and the operations that show the version."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables.schemas import OBJECT
from a9fe.model.errors import A9feError
from a9fe.operations.transaction import Json
from a9fe.server.asgi import (
    COMPUTE,
    Access,
    OperationTable,
    RequestHandler,
    example,
    nova_fault,
    on_error,
    root_of,
)
from a9fe.server.nova import microversion

BASE = COMPUTE
UPDATED = "2013-07-23T11:33:21Z"  # Nova's value for v2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFormat:
    """The microversion of an answer, and the root URL of its links."""

    version: int
    base: str


Handler = Callable[[Request, AnswerFormat], Awaitable[Response]]


def versioned(handler: Handler) -> RequestHandler:
    """Return a Starlette handler that reads the microversion and adds it to the answer."""

    async def answered(request: Request) -> Response:
        try:
            version = microversion.requested(request.headers)
        except microversion.BadVersion as error:
            fault = nova_fault(error.status, str(error))
            headers = microversion.headers_of(microversion.LEAST)
            return JSONResponse(fault, status_code=error.status, headers=headers)
        try:
            answer = await handler(request, AnswerFormat(version=version, base=root_of(request)))
        except A9feError as error:
            answer = await on_error(request, error)
        answer.headers.update(microversion.headers_of(version))
        return answer

    return answered


def next_link(request: Request, form: AnswerFormat, plural: str, marker: str) -> Json:
    """Return `<plural>_links` with the link to the page after `marker`; {} without a marker."""
    if not marker:
        return {}
    kept = [(name, v) for name, v in request.query_params.multi_items() if name != "marker"]
    query = urlencode([*kept, ("marker", marker)])
    href = f"{form.base}{request.url.path}?{query}"
    return {f"{plural}_links": [{"rel": "next", "href": href}]}


def compute_table(path: str = "", *, chapter: str = "Compute") -> OperationTable:
    """Return a table of operations below /v2.1; their handlers take an AnswerFormat."""
    return OperationTable(f"{BASE}{path}", chapter=chapter, adapt=versioned)


VERSIONS = compute_table()


def version_shown(base: str) -> Json:
    """Return Nova's version document, from which clients choose a microversion."""
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
