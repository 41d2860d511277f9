"""The calls about quotas."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from a9fe.api_tables import converters as to
from a9fe.api_tables.envelope import member
from a9fe.model.errors import Conflict, InvalidInput, NotFound
from a9fe.operations import access
from a9fe.operations.quotas import ENFORCED, defaults, limits
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import body
from a9fe.server.asgi.api import api_of

Json = dict[str, Any]

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


async def listed(request: Request) -> Response:
    """GET /quotas: of the projects that have limits of their own."""

    def work(tx: Transaction) -> list[Json]:
        access.require_admin(tx, "quotas")
        return [_shown(tx, project_id) for project_id in tx.session.quotas.all()]

    return JSONResponse({"quotas": await api_of(request).read(request, work)})


def _own(name: str) -> Route:
    async def handler(request: Request) -> Response:
        def work(tx: Transaction) -> Json:
            return {"tenant_id": tx.project_id, "project_id": tx.project_id}

        return JSONResponse({name: await api_of(request).read(request, work)})

    return Route(f"/v2.0/quotas/{name}", handler, methods=["GET"])


async def shown(request: Request) -> Response:
    """GET /quotas/{project_id}."""
    project_id = _project(request)

    def work(tx: Transaction) -> Json:
        _check_readable(tx, project_id)
        return _shown(tx, project_id)

    return JSONResponse({"quota": await api_of(request).read(request, work)})


def _check_readable(tx: Transaction, project_id: str) -> None:
    if project_id != tx.project_id:
        access.require_admin(tx, "quotas of other projects")


async def default(request: Request) -> Response:
    """GET /quotas/{project_id}/default."""
    project_id = _project(request)

    def work(tx: Transaction) -> Json:
        _check_readable(tx, project_id)
        mine = {"project_id": project_id, "tenant_id": project_id}
        return {**defaults(tx.config), **mine}

    return JSONResponse({"quota": await api_of(request).read(request, work)})


async def details(request: Request) -> Response:
    """GET /quotas/{project_id}/details: with how much is used."""
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


async def updated(request: Request) -> Response:
    """PUT /quotas/{project_id}."""
    project_id, document = _project(request), await body.read(request)

    def work(tx: Transaction) -> Json:
        access.require_admin(tx, "quotas")
        given = member(document, "quota")
        wanted = _read(given)
        _check_used(tx, project_id, wanted, forced=_forced(given))
        tx.session.quotas.set(project_id, wanted)
        return _shown(tx, project_id)

    return JSONResponse({"quota": await api_of(request).write(request, work)})


async def deleted(request: Request) -> Response:
    """DELETE /quotas/{project_id}: back to the defaults."""
    project_id = _project(request)

    def work(tx: Transaction) -> None:
        access.require_admin(tx, "quotas")
        if not tx.session.quotas.of(project_id):
            raise NotFound("tenant_quota", project_id)
        tx.session.quotas.clear(project_id)

    await api_of(request).write(request, work)
    return Response(status_code=204)


def routes() -> list[Route]:
    """All of the paths."""
    one = "/v2.0/quotas/{project_id}"
    return [
        Route("/v2.0/quotas", listed, methods=["GET"]),
        _own("tenant"),
        _own("project"),
        Route(f"{one}/default", default, methods=["GET"]),
        Route(f"{one}/details", details, methods=["GET"]),
        Route(f"{one}/details.json", details, methods=["GET"]),
        Route(one, shown, methods=["GET"]),
        Route(one, updated, methods=["PUT"]),
        Route(one, deleted, methods=["DELETE"]),
    ]
