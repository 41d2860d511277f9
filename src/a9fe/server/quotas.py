"""Quotas: how many of each kind a project may make. Defaults are options (Neutron's quota_*)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from a9fe.model.errors import Conflict, InvalidInput, NotFound
from a9fe.server import access, body
from a9fe.server import converters as to
from a9fe.server.api import api_of
from a9fe.server.call import Call, Settings

Json = dict[str, Any]

ENFORCED = ("network", "subnet", "port", "router", "security_group", "security_group_rule")
NOT_MADE = {"floatingip": 50, "rbac_policy": 10, "subnetpool": -1}
"""Kinds that Neutron has and a9fe does not: shown and set, never reached."""
MAXIMUM = to.integer(-1, 2**31 - 1)


def defaults(settings: Settings) -> dict[str, int]:
    """The limits of a project that has none of its own; -1: none."""
    return {**{kind: getattr(settings, f"quota_{kind}") for kind in ENFORCED}, **NOT_MADE}


def limits(call: Call, project_id: str) -> dict[str, int]:
    """The limits of a project."""
    return {**defaults(call.settings), **call.session.quotas.of(project_id)}


def check(call: Call, kind: str, project_id: str) -> None:
    """Room for one more. Raises OverQuota."""
    if kind not in ENFORCED:
        return
    maximum = limits(call, project_id)[kind]
    if maximum >= 0 and call.session.quotas.used(kind, project_id, at_most=maximum) >= maximum:
        raise Conflict("OverQuota", f"Quota exceeded for resources: ['{kind}']: {maximum} at most")


def _shown(call: Call, project_id: str) -> Json:
    return {**limits(call, project_id), "project_id": project_id, "tenant_id": project_id}


def _read(document: object) -> dict[str, int]:
    if not isinstance(document, dict):
        raise InvalidInput("quota", document, "an object")
    known = {*ENFORCED, *NOT_MADE}
    found = {}
    for name, value in document.items():
        if name in {"tenant_id", "project_id", "force", "check_limit"}:
            continue
        if name not in known:
            raise InvalidInput(name, "unknown resource", "one of " + ", ".join(sorted(known)))
        found[name] = MAXIMUM(name, value)
    return found


def _project(request: Request) -> str:
    project_id: str = to.string(minimum=1)("project_id", request.path_params["project_id"])
    if not project_id.isprintable():
        raise InvalidInput("project_id", project_id, "printable text")
    return project_id


async def listed(request: Request) -> Response:
    """GET /quotas: of the projects that have limits of their own."""

    def work(call: Call) -> list[Json]:
        access.require_admin(call, "quotas")
        return [_shown(call, project_id) for project_id in call.session.quotas.all()]

    return JSONResponse({"quotas": await api_of(request).read(request, work)})


def _own(name: str) -> Route:
    async def handler(request: Request) -> Response:
        def work(call: Call) -> Json:
            return {"tenant_id": call.project_id, "project_id": call.project_id}

        return JSONResponse({name: await api_of(request).read(request, work)})

    return Route(f"/v2.0/quotas/{name}", handler, methods=["GET"])


async def shown(request: Request) -> Response:
    """GET /quotas/{project_id}."""
    project_id = _project(request)

    def work(call: Call) -> Json:
        _check_readable(call, project_id)
        return _shown(call, project_id)

    return JSONResponse({"quota": await api_of(request).read(request, work)})


def _check_readable(call: Call, project_id: str) -> None:
    if project_id != call.project_id:
        access.require_admin(call, "quotas of other projects")


async def default(request: Request) -> Response:
    """GET /quotas/{project_id}/default."""
    project_id = _project(request)

    def work(call: Call) -> Json:
        _check_readable(call, project_id)
        mine = {"project_id": project_id, "tenant_id": project_id}
        return {**defaults(call.settings), **mine}

    return JSONResponse({"quota": await api_of(request).read(request, work)})


async def details(request: Request) -> Response:
    """GET /quotas/{project_id}/details: with how much is used."""
    project_id = _project(request)

    def work(call: Call) -> Json:
        _check_readable(call, project_id)
        return {
            name: {"limit": limit, "used": _used(call, name, project_id), "reserved": 0}
            for name, limit in limits(call, project_id).items()
        }

    return JSONResponse({"quota": await api_of(request).read(request, work)})


def _used(call: Call, name: str, project_id: str) -> int:
    return call.session.quotas.used(name, project_id) if name in ENFORCED else 0


async def updated(request: Request) -> Response:
    """PUT /quotas/{project_id}."""
    project_id, document = _project(request), await body.read(request)

    def work(call: Call) -> Json:
        access.require_admin(call, "quotas")
        call.session.quotas.set(project_id, _read(body.member(document, "quota")))
        return _shown(call, project_id)

    return JSONResponse({"quota": await api_of(request).write(request, work)})


async def deleted(request: Request) -> Response:
    """DELETE /quotas/{project_id}: back to the defaults."""
    project_id = _project(request)

    def work(call: Call) -> None:
        access.require_admin(call, "quotas")
        if not call.session.quotas.of(project_id):
            raise NotFound("tenant_quota", project_id)
        call.session.quotas.clear(project_id)

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
