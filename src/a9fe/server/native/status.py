"""Operations for operators: the server's status and its metrics."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables.schemas import OBJECT, TEXT
from a9fe.model.resources import KINDS
from a9fe.operations.transaction import Transaction
from a9fe.runtime import metrics
from a9fe.server.asgi import NATIVE, Access, OperationTable, api_of, example

STATUS = OperationTable("", chapter="About the server")


@STATUS.add("GET", f"{NATIVE}/status", Access.ADMIN, answers={200: OBJECT}, examples=(example(),))
async def status(request: Request) -> Response:
    """Show the revision, the number of resources of each kind, and the open feeds."""

    def work(tx: Transaction) -> dict[str, object]:
        counts = {kind: tx.session.count(kind) for kind in KINDS}
        return {"revision": tx.session.revision(), "counts": counts}

    found = await api_of(request).read(request, work)
    streams = sorted(str(stream.follower) for stream in api_of(request).hub.streams)
    return JSONResponse({**found, "streams": streams})


@STATUS.add(
    "GET",
    "/metrics",
    Access.ADMIN,
    answers={200: TEXT},
    answer_type="text/plain",
    examples=(example(),),
)
async def metrics_page(_request: Request) -> Response:
    """Show the metrics in Prometheus' text format."""
    return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)


OPERATIONS = tuple(STATUS)
