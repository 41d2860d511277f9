"""Handlers of the compute API for flavors and key pairs."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables import record_tables
from a9fe.api_tables.envelope import member
from a9fe.api_tables.schemas import OBJECT, enclosed, enclosed_list, members, taken_by
from a9fe.model.compute import Flavor, KeypairRecord
from a9fe.model.errors import Forbidden, InvalidInput, NotFound
from a9fe.model.pages import Filter, Page, Slice
from a9fe.operations import access
from a9fe.operations.instances import records
from a9fe.operations.slices import filter_by, read_slice, unknown_marker
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import Access, api_of, example, last_values, read_body
from a9fe.server.nova import schemas
from a9fe.server.nova.fields import (
    FLAVOR_DETAIL,
    FLAVOR_SUMMARY,
    KEYPAIR_DETAIL,
    KEYPAIR_MADE,
    KEYPAIR_SUMMARY,
    Field,
    KeypairView,
    R,
    RecordView,
    render,
)
from a9fe.server.nova.server_request import Reader
from a9fe.server.nova.versions import AnswerFormat, Handler, compute_table, next_link

FLAVORS = compute_table("/flavors", chapter="Compute: flavors")
KEYPAIRS = compute_table("/os-keypairs", chapter="Compute: os-keypairs")

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
"""Members of a flavor's body: the model's field ("" for an ignored member) and the converter."""
KEYPAIRS_LINKS = 35  # first microversion in which a list of key pairs links to its next page
KEYPAIR_MEMBERS: dict[str, Reader] = {
    "name": record_tables.visible_name,
    "public_key": record_tables.public_key,
    "type": to.choice("ssh", "x509"),
    "user_id": to.string(),
}


_FLAVOR_FILTERS = {
    "is_public": "true, false, or None for both; false and None are for admins",
    **schemas.PAGE,
}
_FLAVOR_REQUIRED = ("name", "ram", "vcpus", "disk")
_FLAVOR_REQUEST = members(
    tuple(FLAVOR_MEMBERS.keys() - set(_FLAVOR_REQUIRED)),
    **{name: taken_by(read) for name, (_, read) in FLAVOR_MEMBERS.items()},
)
_EXAMPLE_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKpj3vZ6Tn9w0Jq1cX0m5Yx0T3uWm1gk3b5kq0s0f0aB me@desk"
)
_KEYPAIR_REQUIRED = ("name", "public_key")
_KEYPAIR_REQUEST = members(
    tuple(KEYPAIR_MEMBERS.keys() - set(_KEYPAIR_REQUIRED)),
    **{name: taken_by(read) for name, read in KEYPAIR_MEMBERS.items()},
)


def _members(
    given: object, known: Mapping[str, object], required: tuple[str, ...]
) -> dict[str, object]:
    """Return `given`, a JSON object. Raises InvalidInput for unknown and missing members."""
    if not isinstance(given, dict):
        raise InvalidInput("body", given, "an object")
    for name in given:
        if name not in known:
            raise InvalidInput(str(name), "unknown attribute", f"one of {', '.join(known)}")
    for name in required:
        if name not in given:
            raise InvalidInput(name, None, "a value, since it is required")
    return given


def _of(form: AnswerFormat, record: R) -> RecordView[R]:
    return RecordView(record=record, version=form.version, base=form.base)


# ---- flavors


def _flavor(tx: Transaction, id: str) -> Flavor:
    found: Flavor = access.require(tx, Flavor, id)
    return found


def _public(tx: Transaction, query: dict[str, str]) -> bool | None:
    """Return the is_public value of the flavors to list; None, for both, is for admins only."""
    text = query.get("is_public", "true")
    if not tx.caller.is_admin:
        return True
    return None if text.lower() == "none" else to.boolean("is_public", text)


def _flavors(*, detail: bool) -> Handler:
    fields = FLAVOR_DETAIL if detail else FLAVOR_SUMMARY

    async def listed(request: Request, form: AnswerFormat) -> Response:
        query = last_values(request)

        def work(tx: Transaction) -> Slice[Flavor]:
            public = _public(tx, query)
            filters = () if public is None else (Filter(field="is_public", values=(public,)),)
            return read_slice(tx, Flavor, Page(filters=filters), query)

        found = await api_of(request).read(request, work)
        answer: Json = {"flavors": [render(fields, _of(form, f)) for f in found.rows]}
        marker = found.rows[-1].id if found.more and found.rows else ""
        return JSONResponse(answer | next_link(request, form, "flavors", marker))

    return listed


@FLAVORS.add(
    "POST",
    "",
    Access.ADMIN,
    body=members(flavor=_FLAVOR_REQUEST),
    answers={200: enclosed("flavor", schemas.FLAVOR)},
    examples=(
        example(
            {"flavor": {"name": "db.large", "vcpus": 4, "ram": 8192, "disk": 80}},
            save={"large": "flavor.id"},
        ),
    ),
)
async def create_flavor(request: Request, form: AnswerFormat) -> Response:
    """Create a flavor."""
    document = member(await read_body(request), "flavor")
    given = _members(document, FLAVOR_MEMBERS, _FLAVOR_REQUIRED)
    read = {n: FLAVOR_MEMBERS[n][1](n, value) for n, value in given.items()}
    values = {FLAVOR_MEMBERS[n][0]: value for n, value in read.items() if value is not None}
    values.pop("", None)
    new = records.NewFlavor(**values)

    def work(tx: Transaction) -> Json:
        access.check_create(tx, "flavor", document)
        made = records.create_flavor(tx, new)
        return render(FLAVOR_DETAIL, _of(form, made))

    return JSONResponse({"flavor": await api_of(request).write(request, work)})


FLAVORS.add(
    "GET",
    "",
    Access.PROJECT,
    summary="List flavors: id, name and links",
    query=_FLAVOR_FILTERS,
    answers={200: enclosed_list("flavors", schemas.FLAVOR_SUMMARY)},
    examples=(example(),),
)(_flavors(detail=False))
FLAVORS.add(
    "GET",
    "/detail",
    Access.PROJECT,
    summary="List flavors with all fields",
    query=_FLAVOR_FILTERS,
    answers={200: enclosed_list("flavors", schemas.FLAVOR)},
    examples=(example(),),
)(_flavors(detail=True))


@FLAVORS.add(
    "GET",
    "/{id}",
    Access.PROJECT,
    answers={200: enclosed("flavor", schemas.FLAVOR)},
    examples=(example(id="{large}"),),
)
async def show_flavor(request: Request, form: AnswerFormat) -> Response:
    """Show a flavor."""
    id = request.path_params["id"]
    found = await api_of(request).read(request, lambda tx: _flavor(tx, id))
    return JSONResponse({"flavor": render(FLAVOR_DETAIL, _of(form, found))})


@FLAVORS.add(
    "DELETE",
    "/{id}",
    Access.ADMIN,
    answers={202: None},
    examples=(example(status=202, id="{large}", last=True),),
)
async def delete_flavor(request: Request, _form: AnswerFormat) -> Response:
    """Delete a flavor. Servers keep its name."""
    id = request.path_params["id"]

    def work(tx: Transaction) -> None:
        found = _flavor(tx, id)
        access.check_change(tx, found)
        records.delete_flavor(tx, found)

    await api_of(request).write(request, work)
    return Response(status_code=202)


@FLAVORS.add(
    "GET",
    "/{id}/os-extra_specs",
    Access.PROJECT,
    answers={200: OBJECT},
    examples=(example(id="{large}"),),
)
async def show_extra_specs(request: Request, _form: AnswerFormat) -> Response:
    """Show the extra specs of a flavor."""
    id = request.path_params["id"]
    found = await api_of(request).read(request, lambda tx: _flavor(tx, id))
    return JSONResponse({"extra_specs": found.extra_specs})


# ---- key pairs


def _keypair(tx: Transaction, name: str) -> KeypairRecord:
    found = tx.session.find(KeypairRecord, name=name, project_id=tx.project_id)
    if not found:
        raise NotFound("keypair", name)
    return found[0]


def _keypair_fields(
    form: AnswerFormat, fields: tuple[Field[KeypairView], ...], record: KeypairRecord
) -> Json:
    return {"keypair": render(fields, _of(form, record))}


@KEYPAIRS.add(
    "GET",
    "",
    Access.PROJECT,
    query=schemas.PAGE,
    answers={200: enclosed_list("keypairs", enclosed("keypair", schemas.KEYPAIR_SUMMARY))},
    examples=(example(),),
)
async def list_keypairs(request: Request, form: AnswerFormat) -> Response:
    """List the project's key pairs."""
    query = last_values(request)
    found = await api_of(request).read(request, lambda tx: _list_keypairs(tx, query))
    records = [_keypair_fields(form, KEYPAIR_SUMMARY, record) for record in found.rows]
    has_next = found.more and found.rows and form.version >= KEYPAIRS_LINKS
    marker = found.rows[-1].name if has_next else ""
    answer: Json = {"keypairs": records}
    return JSONResponse(answer | next_link(request, form, "keypairs", marker))


def _list_keypairs(tx: Transaction, query: dict[str, str]) -> Slice[KeypairRecord]:
    """Return a page of the project's key pairs, sorted by name; the marker is a name (Nova)."""
    own = filter_by("project_id", tx.project_id)
    wanted = Page(filters=(own,), order=(("name", False),))
    if name := query.get("marker"):
        named = tx.session.find(KeypairRecord, name=name, project_id=tx.project_id)
        if not named:
            raise unknown_marker(name)
        query = {**query, "marker": named[0].id}
    return read_slice(tx, KeypairRecord, wanted, query)


@KEYPAIRS.add(
    "POST",
    "",
    Access.PROJECT,
    body=members(keypair=_KEYPAIR_REQUEST),
    answers=dict.fromkeys((200, 201), enclosed("keypair", schemas.KEYPAIR_SUMMARY)),
    examples=(example({"keypair": {"name": "laptop", "public_key": _EXAMPLE_KEY}}),),
)
async def create_keypair(request: Request, form: AnswerFormat) -> Response:
    """Create a key pair from a public key; the server generates no keys."""
    document = member(await read_body(request), "keypair")
    given = _members(document, KEYPAIR_MEMBERS, _KEYPAIR_REQUIRED)
    values = {name: KEYPAIR_MEMBERS[name](name, value) for name, value in given.items()}
    values.pop("user_id", None)
    new = records.NewKeypair(**values)

    def work(tx: Transaction) -> Json:
        if not tx.project_id:
            raise Forbidden("a key pair needs a project")
        made = records.create_keypair(tx, new)
        return _keypair_fields(form, KEYPAIR_MADE, made)

    made = await api_of(request).write(request, work)
    return JSONResponse(made, status_code=201 if form.version >= 2 else 200)


@KEYPAIRS.add(
    "GET",
    "/{name}",
    Access.PROJECT,
    answers={200: enclosed("keypair", schemas.KEYPAIR)},
    examples=(example(name="laptop"),),
)
async def show_keypair(request: Request, form: AnswerFormat) -> Response:
    """Show a key pair."""
    name = request.path_params["name"]
    found = await api_of(request).read(request, lambda tx: _keypair(tx, name))
    return JSONResponse(_keypair_fields(form, KEYPAIR_DETAIL, found))


@KEYPAIRS.add(
    "DELETE",
    "/{name}",
    Access.PROJECT,
    answers={202: None, 204: None},
    examples=(example(status=202, name="laptop", last=True),),
)
async def delete_keypair(request: Request, form: AnswerFormat) -> Response:
    """Delete a key pair. Servers keep their copy."""
    name = request.path_params["name"]
    await api_of(request).write(request, lambda tx: records.delete_keypair(tx, _keypair(tx, name)))
    return Response(status_code=204 if form.version >= 2 else 202)


OPERATIONS = (*FLAVORS, *KEYPAIRS)
