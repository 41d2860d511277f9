"""Operations that serve the API's OpenAPI document: /openapi.json, and /docs as HTML."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from a9fe.api_tables.schemas import OBJECT, TEXT
from a9fe.server.asgi import Access, OperationTable, example
from a9fe.server.openapi.document import Json, document
from a9fe.server.openapi.page import page

DOCUMENT = OperationTable("", chapter="API description")


def _document(request: Request) -> Json:
    """Return the OpenAPI document of the application's operations; it is made once and kept."""
    state = request.app.state
    if not hasattr(state, "document"):
        state.document = document(state.operations)
    kept: Json = state.document
    return kept


@DOCUMENT.add(
    "GET",
    "/openapi.json",
    Access.ANYONE,
    answers={200: OBJECT},
    can_fail=False,
    examples=(example(),),
)
async def show_document(request: Request) -> Response:
    """Show the OpenAPI 3.1 document of this API."""
    return JSONResponse(_document(request))


@DOCUMENT.add(
    "GET",
    "/docs",
    Access.ANYONE,
    answers={200: TEXT},
    answer_type="text/html",
    can_fail=False,
    examples=(example(),),
)
async def show_page(request: Request) -> Response:
    """Show the OpenAPI document as an HTML page."""
    return HTMLResponse(page(_document(request)))


OPERATIONS = tuple(DOCUMENT)
