"""Operations on the quotas of projects."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables.quota_requests import read_quota
from a9fe.api_tables.schemas import OBJECT, members
from a9fe.model.errors import InvalidInput
from a9fe.operations import quotas
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import NEUTRON, Access, OperationTable, api_of, example, read_body

ALL = OperationTable(f"{NEUTRON}/quotas", chapter="Network: quotas")
ONE = OperationTable(f"{NEUTRON}/quotas/{{project_id}}", chapter="Network: quotas")
_OF_DEFAULT = (example(project_id="default"),)


def _shown(limits: dict[str, int], project_id: str) -> Json:
    return {**limits, "project_id": project_id, "tenant_id": project_id}


def _project(request: Request) -> str:
    project_id: str = to.header_text(minimum=1)("project_id", request.path_params["project_id"])
    if not project_id.isprintable():
        raise InvalidInput("project_id", project_id, "printable text")
    return project_id


@ONE.add(
    "PUT",
    "",
    Access.ADMIN,
    body=members(
        quota={"type": "object", "additionalProperties": {"type": "integer", "minimum": -1}}
    ),
    answers={200: OBJECT},
    examples=(example({"quota": {"port": 1000}}, project_id="default"),),
)
async def update_quota(request: Request) -> Response:
    """Set a project's quotas."""
    project_id, change = _project(request), read_quota(await read_body(request))

    def work(tx: Transaction) -> Json:
        return _shown(quotas.update(tx, project_id, change), project_id)

    return JSONResponse({"quota": await api_of(request).write(request, work)})


@ALL.add("GET", "", Access.ADMIN, answers={200: OBJECT}, examples=(example(),))
async def list_quotas(request: Request) -> Response:
    """List the quotas that differ from the defaults."""

    def work(tx: Transaction) -> list[Json]:
        return [_shown(limits, id) for id, limits in quotas.changed_limits(tx).items()]

    return JSONResponse({"quotas": await api_of(request).read(request, work)})


async def _own_project(request: Request, name: str) -> Response:
    def work(tx: Transaction) -> Json:
        return {"tenant_id": tx.project_id, "project_id": tx.project_id}

    return JSONResponse({name: await api_of(request).read(request, work)})


@ALL.add("GET", "/tenant", Access.PROJECT, answers={200: OBJECT}, examples=(example(),))
async def show_own_tenant(request: Request) -> Response:
    """Show the caller's own project."""
    return await _own_project(request, "tenant")


@ALL.add("GET", "/project", Access.PROJECT, answers={200: OBJECT}, examples=(example(),))
async def show_own_project(request: Request) -> Response:
    """Show the caller's own project."""
    return await _own_project(request, "project")


@ONE.add("GET", "", Access.OWN_PROJECT, answers={200: OBJECT}, examples=_OF_DEFAULT)
async def show_quota(request: Request) -> Response:
    """Show a project's quotas."""
    project_id = _project(request)

    def work(tx: Transaction) -> Json:
        quotas.check_readable(tx, project_id)
        return _shown(quotas.limits(tx, project_id), project_id)

    return JSONResponse({"quota": await api_of(request).read(request, work)})


@ONE.add("GET", "/default", Access.OWN_PROJECT, answers={200: OBJECT}, examples=_OF_DEFAULT)
async def show_defaults(request: Request) -> Response:
    """Show the default quotas."""
    project_id = _project(request)

    def work(tx: Transaction) -> Json:
        quotas.check_readable(tx, project_id)
        return _shown(quotas.defaults(tx.config), project_id)

    return JSONResponse({"quota": await api_of(request).read(request, work)})


@ONE.add("GET", "/details", Access.OWN_PROJECT, answers={200: OBJECT}, examples=_OF_DEFAULT)
@ONE.add("GET", "/details.json", Access.OWN_PROJECT, answers={200: OBJECT}, examples=_OF_DEFAULT)
async def show_details(request: Request) -> Response:
    """Show a project's quotas and how much of each it uses."""
    project_id = _project(request)

    def work(tx: Transaction) -> Json:
        quotas.check_readable(tx, project_id)
        return {
            kind: {"limit": limit, "used": quotas.used(tx, kind, project_id), "reserved": 0}
            for kind, limit in quotas.limits(tx, project_id).items()
        }

    return JSONResponse({"quota": await api_of(request).read(request, work)})


@ONE.add(
    "DELETE",
    "",
    Access.ADMIN,
    answers={204: None},
    examples=(example(status=204, project_id="default"),),
)
async def delete_quota(request: Request) -> Response:
    """Reset a project to the default quotas."""
    project_id = _project(request)

    await api_of(request).write(request, lambda tx: quotas.delete(tx, project_id))
    return Response(status_code=204)


OPERATIONS = (*ONE, *ALL)
