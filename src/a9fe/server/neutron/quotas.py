"""Operations on quotas."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables.envelope import member
from a9fe.api_tables.schemas import OBJECT, members
from a9fe.model.errors import Conflict, InvalidInput, NotFound
from a9fe.operations import access
from a9fe.operations.quotas import ENFORCED, defaults, limits
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import NEUTRON, Access, OperationTable, api_of, example, read_body

Json = dict[str, Any]

ALL = OperationTable(f"{NEUTRON}/quotas", chapter="Network: quotas")
ONE = OperationTable(f"{NEUTRON}/quotas/{{project_id}}", chapter="Network: quotas")
_OF_DEFAULT = (example(project_id="default"),)
MAXIMUM = to.integer(-1, 2**31 - 1)


def _forced(document: object) -> bool | None:
    """The member `force`; None: it is not given."""
    value = document.get("force") if isinstance(document, dict) else None
    return None if value is None else bool(to.boolean("force", value))


def _check_used(
    tx: Transaction, project_id: str, wanted: dict[str, int], *, forced: bool | None
) -> None:
    """Raises for a limit below what the project uses, unless forced (Neutron since 2025.1).

    400 as Neutron has it, but 409 where the client says `force: false`.
    """
    if forced:
        return
    for kind, maximum in wanted.items():
        used = _used(tx, kind, project_id)
        if 0 <= maximum < used:
            words = (
                f"Quota limit {maximum} for {kind} must be greater than or equal to already used"
            )
            message = f"{words} {used}; use force, or delete some"
            if forced is False:
                raise Conflict("QuotaLimitBelowUse", message)
            expected = f"at least {used} (the usage), or force: true"
            raise InvalidInput(kind, maximum, expected, type="HTTPBadRequest", words=message)


def _shown(tx: Transaction, project_id: str) -> Json:
    return {**limits(tx, project_id), "project_id": project_id, "tenant_id": project_id}


def _read(document: object) -> dict[str, int]:
    if not isinstance(document, dict):
        raise InvalidInput("quota", document, "an object")
    known = set(ENFORCED)
    found = {}
    for name, value in document.items():
        if name in {"tenant_id", "project_id", "force", "check_limit"}:
            continue
        if name not in known:
            raise InvalidInput(name, "unknown resource", "one of " + ", ".join(sorted(known)))
        found[name] = MAXIMUM(name, value)
    return found


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
    project_id, document = _project(request), await read_body(request)

    def work(tx: Transaction) -> Json:
        access.require_admin(tx, "quotas")
        given = member(document, "quota")
        wanted = _read(given)
        _check_used(tx, project_id, wanted, forced=_forced(given))
        tx.session.quotas.set(project_id, wanted)
        return _shown(tx, project_id)

    return JSONResponse({"quota": await api_of(request).write(request, work)})


@ALL.add("GET", "", Access.ADMIN, answers={200: OBJECT}, examples=(example(),))
async def list_quotas(request: Request) -> Response:
    """List the quotas that differ from the defaults."""

    def work(tx: Transaction) -> list[Json]:
        access.require_admin(tx, "quotas")
        return [_shown(tx, project_id) for project_id in tx.session.quotas.all()]

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
        _check_readable(tx, project_id)
        return _shown(tx, project_id)

    return JSONResponse({"quota": await api_of(request).read(request, work)})


def _check_readable(tx: Transaction, project_id: str) -> None:
    if project_id != tx.project_id:
        access.require_admin(tx, "quotas of other projects")


@ONE.add("GET", "/default", Access.OWN_PROJECT, answers={200: OBJECT}, examples=_OF_DEFAULT)
async def show_defaults(request: Request) -> Response:
    """Show the default quotas."""
    project_id = _project(request)

    def work(tx: Transaction) -> Json:
        _check_readable(tx, project_id)
        mine = {"project_id": project_id, "tenant_id": project_id}
        return {**defaults(tx.config), **mine}

    return JSONResponse({"quota": await api_of(request).read(request, work)})


@ONE.add("GET", "/details", Access.OWN_PROJECT, answers={200: OBJECT}, examples=_OF_DEFAULT)
@ONE.add("GET", "/details.json", Access.OWN_PROJECT, answers={200: OBJECT}, examples=_OF_DEFAULT)
async def show_details(request: Request) -> Response:
    """Show a project's quotas, and what is used."""
    project_id = _project(request)

    def work(tx: Transaction) -> Json:
        _check_readable(tx, project_id)
        return {
            name: {"limit": limit, "used": _used(tx, name, project_id), "reserved": 0}
            for name, limit in limits(tx, project_id).items()
        }

    return JSONResponse({"quota": await api_of(request).read(request, work)})


def _used(tx: Transaction, name: str, project_id: str) -> int:
    return tx.session.quotas.used(name, project_id) if name in ENFORCED else 0


@ONE.add(
    "DELETE",
    "",
    Access.ADMIN,
    answers={204: None},
    examples=(example(status=204, project_id="default"),),
)
async def delete_quota(request: Request) -> Response:
    """Return a project to the default quotas."""
    project_id = _project(request)

    def work(tx: Transaction) -> None:
        access.require_admin(tx, "quotas")
        if not tx.session.quotas.of(project_id):
            raise NotFound("tenant_quota", project_id)
        tx.session.quotas.clear(project_id)

    await api_of(request).write(request, work)
    return Response(status_code=204)


OPERATIONS = (*ONE, *ALL)
