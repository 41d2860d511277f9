"""Handlers of the compute API for flavors and key pairs, and what is asked about the service."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from a9fe.api_tables import converters as to
from a9fe.api_tables import record_tables
from a9fe.api_tables.envelope import member
from a9fe.model.compute import Flavor, KeypairRecord
from a9fe.model.errors import Forbidden, InvalidInput, NotFound
from a9fe.model.pages import Filter, Page, Slice
from a9fe.model.resources import Agent
from a9fe.operations import access, quotas
from a9fe.operations.instances import records
from a9fe.operations.slices import filter_by, read_slice, unknown_marker
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import body
from a9fe.server.asgi.api import api_of, last_values
from a9fe.server.nova.fields import (
    FLAVOR_DETAIL,
    FLAVOR_SUMMARY,
    KEYPAIR_DETAIL,
    KEYPAIR_MADE,
    KEYPAIR_SUMMARY,
    Field,
    Json,
    RecordView,
    render,
)
from a9fe.server.nova.handlers import next_link, route
from a9fe.server.nova.server_request import Reader
from a9fe.server.nova.servers import Asker

FLAVOR_MEMBERS: dict[str, tuple[str, Reader]] = {
    "name": ("name", record_tables.visible_name),
    "id": ("id", to.nullable(record_tables.flavor_id)),
    "vcpus": ("vcpus", to.integer(1, record_tables.SIZE_MAX)),
    "ram": ("ram", to.integer(1, record_tables.SIZE_MAX)),
    "disk": ("disk", to.integer(0, record_tables.SIZE_MAX)),
    "swap": ("swap", to.integer(0, record_tables.SIZE_MAX)),
    "OS-FLV-EXT-DATA:ephemeral": ("ephemeral", to.integer(0, record_tables.SIZE_MAX)),
    "os-flavor-access:is_public": ("is_public", to.boolean),
    "description": ("description", to.nullable(to.string())),
    "rxtx_factor": ("", lambda _, value: value),
}
"""Members of a flavor's body: the model's field ("" for none), and what reads it."""
KEYPAIRS_LINKS = 35  # the microversion since which a list of key pairs links to its next page
KEYPAIR_MEMBERS: dict[str, Reader] = {
    "name": record_tables.visible_name,
    "public_key": record_tables.public_key,
    "type": to.choice("ssh", "x509"),
    "user_id": to.string(),
}


def _members(given: object, known: dict[str, Any], required: tuple[str, ...]) -> dict[str, object]:
    """The object, if it has what it must and nothing unknown. Raises InvalidInput."""
    if not isinstance(given, dict):
        raise InvalidInput("body", given, "an object")
    for name in given:
        if name not in known:
            raise InvalidInput(str(name), "unknown attribute", f"one of {', '.join(known)}")
    for name in required:
        if name not in given:
            raise InvalidInput(name, None, "a value, since it is required")
    return given


def _of(asker: Asker, record: object) -> RecordView:
    return RecordView(record=record, version=asker.version, base=asker.base)


# ---- flavors


def _flavor(tx: Transaction, id: str) -> Flavor:
    found: Flavor = access.require(tx, Flavor, id)
    return found


def _public(tx: Transaction, query: dict[str, str]) -> bool | None:
    """Return the is_public of the flavors to list; None for any, which only admins may ask for."""
    text = query.get("is_public", "true")
    if not tx.caller.is_admin:
        return True
    return None if text.lower() == "none" else to.boolean("is_public", text)


def _flavors(*, detail: bool) -> Any:  # noqa: ANN401 - a handler
    fields = FLAVOR_DETAIL if detail else FLAVOR_SUMMARY

    async def listed(request: Request, asker: Asker) -> Response:
        query = last_values(request)

        def work(tx: Transaction) -> Slice[Flavor]:
            public = _public(tx, query)
            filters = () if public is None else (Filter(field="is_public", values=(public,)),)
            return read_slice(tx, Flavor, Page(filters=filters), query)

        found = await api_of(request).read(request, work)
        answer: Json = {"flavors": [render(fields, _of(asker, f)) for f in found.rows]}
        marker = found.rows[-1].id if found.more and found.rows else ""
        return JSONResponse(answer | next_link(request, asker, "flavors", marker))

    listed.__doc__ = "List flavors" + (", with all of their fields." if detail else " briefly.")
    listed.__name__ = "list_flavors_detail" if detail else "list_flavors"
    return listed


async def create_flavor(request: Request, asker: Asker) -> Response:
    """Record a flavor."""
    document = member(await body.read(request), "flavor")
    given = _members(document, FLAVOR_MEMBERS, ("name", "ram", "vcpus", "disk"))
    read = {n: FLAVOR_MEMBERS[n][1](n, value) for n, value in given.items()}
    values = {FLAVOR_MEMBERS[n][0]: value for n, value in read.items() if value is not None}
    values.pop("", None)
    new = records.NewFlavor(**values)

    def work(tx: Transaction) -> Json:
        access.check_create(tx, "flavor", document)
        made = records.create_flavor(tx, new)
        return render(FLAVOR_DETAIL, _of(asker, made))

    return JSONResponse({"flavor": await api_of(request).write(request, work)})


async def show_flavor(request: Request, asker: Asker) -> Response:
    """Show a flavor."""
    id = request.path_params["id"]
    found = await api_of(request).read(request, lambda tx: _flavor(tx, id))
    return JSONResponse({"flavor": render(FLAVOR_DETAIL, _of(asker, found))})


async def delete_flavor(request: Request, _asker: Asker) -> Response:
    """Delete a flavor; servers keep its name."""
    id = request.path_params["id"]

    def work(tx: Transaction) -> None:
        found = _flavor(tx, id)
        access.check_change(tx, found)
        records.delete_flavor(tx, found)

    await api_of(request).write(request, work)
    return Response(status_code=202)


async def show_extra_specs(request: Request, _asker: Asker) -> Response:
    """The extra specs of a flavor."""
    id = request.path_params["id"]
    found = await api_of(request).read(request, lambda tx: _flavor(tx, id))
    return JSONResponse({"extra_specs": found.extra_specs})


# ---- key pairs


def _keypair(tx: Transaction, name: str) -> KeypairRecord:
    found = tx.session.find(KeypairRecord, name=name, project_id=tx.project_id)
    if not found:
        raise NotFound("keypair", name)
    return found[0]


def _keypair_fields(asker: Asker, fields: tuple[Field, ...], record: KeypairRecord) -> Json:
    return {"keypair": render(fields, _of(asker, record))}


async def list_keypairs(request: Request, asker: Asker) -> Response:
    """List the project's key pairs."""
    query = last_values(request)
    found = await api_of(request).read(request, lambda tx: _list_keypairs(tx, query))
    records = [_keypair_fields(asker, KEYPAIR_SUMMARY, record) for record in found.rows]
    has_next = found.more and found.rows and asker.version >= KEYPAIRS_LINKS
    marker = found.rows[-1].name if has_next else ""
    answer: Json = {"keypairs": records}
    return JSONResponse(answer | next_link(request, asker, "keypairs", marker))


def _list_keypairs(tx: Transaction, query: dict[str, str]) -> Slice[KeypairRecord]:
    """Return a page of the project's key pairs by name; a marker is a name (Nova)."""
    own = filter_by("project_id", tx.project_id)
    wanted = Page(filters=(own,), order=(("name", False),))
    if name := query.get("marker"):
        named = tx.session.find(KeypairRecord, name=name, project_id=tx.project_id)
        if not named:
            raise unknown_marker(name)
        query = {**query, "marker": named[0].id}
    return read_slice(tx, KeypairRecord, wanted, query)


async def create_keypair(request: Request, asker: Asker) -> Response:
    """Record a public key by a name. Keys are not made here: clients make them."""
    document = member(await body.read(request), "keypair")
    given = _members(document, KEYPAIR_MEMBERS, ("name", "public_key"))
    values = {name: KEYPAIR_MEMBERS[name](name, value) for name, value in given.items()}
    values.pop("user_id", None)
    new = records.NewKeypair(**values)

    def work(tx: Transaction) -> Json:
        if not tx.project_id:
            raise Forbidden("a key pair needs a project")
        made = records.create_keypair(tx, new)
        return _keypair_fields(asker, KEYPAIR_MADE, made)

    made = await api_of(request).write(request, work)
    return JSONResponse(made, status_code=201 if asker.version >= 2 else 200)


async def show_keypair(request: Request, asker: Asker) -> Response:
    """Show a key pair."""
    name = request.path_params["name"]
    found = await api_of(request).read(request, lambda tx: _keypair(tx, name))
    return JSONResponse(_keypair_fields(asker, KEYPAIR_DETAIL, found))


async def delete_keypair(request: Request, asker: Asker) -> Response:
    """Delete a key pair; servers keep their copy."""
    name = request.path_params["name"]
    await api_of(request).write(request, lambda tx: records.delete_keypair(tx, _keypair(tx, name)))
    return Response(status_code=204 if asker.version >= 2 else 202)


# ---- the service

LIMITS = {
    "maxServerMeta": to.METADATA_MAX,
    "maxTotalCores": -1,
    "maxTotalRAMSize": -1,
    "maxServerGroups": 0,
    "maxServerGroupMembers": 0,
    "totalCoresUsed": 0,
    "totalRAMUsed": 0,
    "totalServerGroupsUsed": 0,
}
"""-1 is no limit: a record takes nobody's memory. The others of Nova's stand in the options."""


async def show_limits(request: Request, _asker: Asker) -> Response:
    """What a project may use, and uses."""

    def work(tx: Transaction) -> Json:
        return {
            **LIMITS,
            "maxTotalInstances": quotas.record_limit(tx, "instance"),
            "maxTotalKeypairs": quotas.record_limit(tx, "keypair"),
            "totalInstancesUsed": tx.session.quotas.used("instance", tx.project_id),
        }

    absolute = await api_of(request).read(request, work)
    return JSONResponse({"limits": {"rate": [], "absolute": absolute}})


async def list_zones(request: Request, _asker: Asker) -> Response:
    """The availability zones: that of the settings, and those of agents."""

    def work(tx: Transaction) -> list[str]:
        zones = {agent.availability_zone for agent in tx.session.find(Agent)}
        return sorted({tx.config.default_availability_zone, *zones})

    names = await api_of(request).read(request, work)
    zones = [{"zoneName": n, "zoneState": {"available": True}, "hosts": None} for n in names]
    return JSONResponse({"availabilityZoneInfo": zones})


async def list_zones_detail(request: Request, asker: Asker) -> Response:
    """The availability zones with the hosts of each: none, as hosts are the network's to know."""
    return await list_zones(request, asker)


async def list_none(_request: Request, _asker: Asker) -> Response:
    """Extensions: none, microversions say what there is."""
    return JSONResponse({"extensions": []})


def routes() -> list[Route]:
    """All paths of flavors, key pairs and the service."""
    return [
        route("/flavors", _flavors(detail=False), "GET"),
        route("/flavors", create_flavor, "POST"),
        route("/flavors/detail", _flavors(detail=True), "GET"),
        route("/flavors/{id}", show_flavor, "GET"),
        route("/flavors/{id}", delete_flavor, "DELETE"),
        route("/flavors/{id}/os-extra_specs", show_extra_specs, "GET"),
        route("/os-keypairs", list_keypairs, "GET"),
        route("/os-keypairs", create_keypair, "POST"),
        route("/os-keypairs/{name}", show_keypair, "GET"),
        route("/os-keypairs/{name}", delete_keypair, "DELETE"),
        route("/limits", show_limits, "GET"),
        route("/os-availability-zone", list_zones, "GET"),
        route("/os-availability-zone/detail", list_zones_detail, "GET"),
        route("/extensions", list_none, "GET"),
    ]
