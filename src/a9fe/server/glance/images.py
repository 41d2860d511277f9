"""Handlers of the image API below /image: image records without data.

It is the part of Glance's API v2 that clients need to refer to images in servers.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables import record_tables
from a9fe.api_tables.schemas import ANY, OBJECT, Schema, enclosed_list, members, taken_by
from a9fe.model.compute import Image
from a9fe.model.errors import Conflict, Forbidden, InvalidInput, NotFound
from a9fe.model.pages import NOTHING, Filter, Page, Slice
from a9fe.operations import access
from a9fe.operations.instances import records
from a9fe.operations.slices import filter_by, read_limit, read_slice
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import (
    IMAGE,
    Access,
    Body,
    OperationTable,
    api_of,
    example,
    last_values,
    read_body,
    root_of,
)

BASE = IMAGE
PATH = f"{BASE}/v2/images"
SCHEMA = "/v2/schemas/image"
VERSIONS = OperationTable(BASE, chapter="Images")
IMAGES = OperationTable(PATH, chapter="Images")
PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
PAGE_DEFAULT = 25  # images per page (Glance's limit_param_default)
Values = dict[str, Any]
"""Converted values, by the model's field names."""

MEMBERS = {
    "id": to.identifier,
    "name": to.nullable(to.one_line()),
    "visibility": to.choice(*record_tables.VISIBILITIES),
    "disk_format": to.nullable(to.string(16)),
    "container_format": to.nullable(to.string(16)),
    "min_disk": to.integer(0, record_tables.SIZE_MAX),
    "min_ram": to.integer(0, record_tables.SIZE_MAX),
    "protected": to.boolean,
    "tags": to.list_of(to.string(minimum=1), 128),
    "owner": to.header_text(minimum=1),
}
"""Members of a body that are fields of the model; all others are text properties."""
FIELD = {"owner": "project_id"}
READ_ONLY = frozenset(
    {"status", "checksum", "size", "virtual_size", "created_at", "updated_at", "self", "file"}
    | {"schema", "direct_url", "locations", "os_hash_algo", "os_hash_value"}
)


_IMAGE: Schema = {
    "type": "object",
    "properties": {name: taken_by(read) for name, read in MEMBERS.items()},
    "additionalProperties": {"type": "string", "maxLength": 255},
}
_PATCH: Schema = {
    "type": "array",
    "items": members(
        ("value",),
        op={"type": "string", "enum": ["add", "replace", "remove"]},
        path={"type": "string", "examples": ["/name"]},
        value=ANY,
    ),
}
_FILTERS = {
    "name": "Only images with this name",
    "owner": "Only images of this project",
    "visibility": "public, private, shared, community or all",
    "status": "All images are active; another status finds none",
    "limit": "Largest number of images to return",
    "marker": "Id of the last image of the previous page",
}


def shown(image: Image) -> Json:
    """Return Glance's answer for an image; its status is always active, as it has no data."""
    return {
        **image.properties,
        "id": image.id,
        "name": image.name or None,
        "status": "active",
        "visibility": image.visibility,
        "owner": image.project_id,
        "protected": image.protected,
        "disk_format": image.disk_format or None,
        "container_format": image.container_format or None,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "size": None,
        "virtual_size": None,
        "checksum": None,
        "os_hidden": False,
        "os_hash_algo": None,
        "os_hash_value": None,
        "tags": list(image.tags),
        "created_at": image.created_at,
        "updated_at": image.updated_at,
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": SCHEMA,
    }


@VERSIONS.add(
    "GET", "", Access.ANYONE, answers={200: OBJECT}, can_fail=False, examples=(example(),)
)
@VERSIONS.add(
    "GET", "/", Access.ANYONE, answers={200: OBJECT}, can_fail=False, examples=(example(),)
)
async def show_versions(request: Request) -> Response:
    """List the versions of the image API."""
    link = {"rel": "self", "href": f"{root_of(request)}{BASE}/v2/"}
    found = [
        {"id": id, "status": status, "links": [link]}
        for id, status in (("v2.2", "CURRENT"), ("v2.1", "SUPPORTED"), ("v2.0", "SUPPORTED"))
    ]
    return JSONResponse({"versions": found})


def read(document: object) -> Values:
    """Return the values of a new image. Raises InvalidInput."""
    if not isinstance(document, dict):
        raise InvalidInput("body", document, "an object")
    values: Values = {"properties": {}}
    for name, value in document.items():
        _put(values, name, value)
    to.string_map("properties", values["properties"])
    return values


def _put(values: Values, name: str, value: object) -> None:
    if name in READ_ONLY:
        raise InvalidInput(name, value, "a writable attribute; this one is read-only")
    if name in MEMBERS:
        converted = MEMBERS[name](name, value)
        values[FIELD.get(name, name)] = "" if converted is None else converted
    elif name == "os_hidden":
        to.only(False)(name, value)  # noqa: FBT003 - the value
    else:
        values["properties"] |= to.string_map("properties", {name: value})


def _check_given(tx: Transaction, values: Values) -> None:
    """Raise Forbidden for values that the caller may not set, by the model's field names."""
    access.check_create(tx, "image", {n: v for n, v in values.items() if n != "properties"})


@IMAGES.add(
    "POST",
    "",
    Access.PROJECT,
    body=_IMAGE,
    answers={201: OBJECT},
    examples=(example({"name": "cirros", "os_distro": "cirros"}, 201, save={"cirros": "id"}),),
)
async def create_image(request: Request) -> Response:
    """Create an image."""
    values = read(await read_body(request))

    def work(tx: Transaction) -> Json:
        _check_given(tx, values)
        return shown(records.create_image(tx, records.NewImage(**values)))

    made = await api_of(request).write(request, work)
    headers = {"Location": f"{root_of(request)}{PATH}/{made['id']}"}
    return JSONResponse(made, status_code=201, headers=headers)


_EXACT = {"name": "name", "id": "id", "owner": "project_id", "visibility": "visibility"}


@IMAGES.add(
    "GET",
    "",
    Access.PROJECT,
    query=_FILTERS,
    answers={200: enclosed_list("images", OBJECT)},
    examples=(example(query="name=cirros"),),
)
async def list_images(request: Request) -> Response:
    """List images, newest first."""
    query = last_values(request)

    def work(tx: Transaction) -> Slice[Image]:
        scope = [Filter(field=name, values=(value,)) for name, value in access.scope(tx).items()]
        wanted = Page(filters=(*_filters(query), *scope), newest_first=True)
        return read_slice(tx, Image, wanted, query, default=PAGE_DEFAULT)

    found = await api_of(request).read(request, work)
    answer: Json = {
        "images": [shown(image) for image in found.rows],
        "first": "/v2/images",
        "schema": "/v2/schemas/images",
    }
    if found.more and found.rows:
        limit = read_limit(query, PAGE_DEFAULT)
        answer["next"] = f"/v2/images?marker={found.rows[-1].id}&limit={limit}"
    return JSONResponse(answer)


def _filters(query: Mapping[str, str]) -> Iterator[Filter]:
    for name, field in _EXACT.items():
        value = query.get(name, "").removeprefix("in:")
        if name in query and (name, value) != ("visibility", "all"):
            yield filter_by(field, value)
    if query.get("status", "active") != "active":
        yield NOTHING


def _require(tx: Transaction, request: Request) -> Image:
    found: Image = access.require(tx, Image, request.path_params["id"])
    return found


@IMAGES.add(
    "GET", "/{id}", Access.PROJECT, answers={200: OBJECT}, examples=(example(id="{cirros}"),)
)
async def show_image(request: Request) -> Response:
    """Show an image."""
    found = await api_of(request).read(request, lambda tx: _require(tx, request))
    return JSONResponse(shown(found))


@IMAGES.add(
    "PATCH",
    "/{id}",
    Access.PROJECT,
    body=Body(schema=_PATCH, media_type=PATCH_TYPE),
    answers={200: OBJECT},
    examples=(
        example(
            [{"op": "replace", "path": "/name", "value": "cirros-0.6"}],
            id="{cirros}",
            headers={"Content-Type": PATCH_TYPE},
        ),
    ),
)
async def patch_image(request: Request) -> Response:
    """Change an image by a JSON patch (RFC 6902) that adds, replaces or removes attributes."""
    patch = await read_body(request)

    def work(tx: Transaction) -> Json:
        image = _require(tx, request)
        access.check_change(tx, image)
        values = _patched(image, patch)
        _check_given(tx, values)
        return shown(records.update_image(tx, image, records.ImageChange(**values)))

    return JSONResponse(await api_of(request).write(request, work))


def _patched(image: Image, patch: object) -> Values:
    if not isinstance(patch, list) or len(patch) > to.METADATA_MAX:
        raise InvalidInput("body", patch, f"a list of at most {to.METADATA_MAX} operations")
    values: Values = {"properties": dict(image.properties)}
    for operation in patch:
        _apply(values, operation)
    to.string_map("properties", values["properties"])
    return values


def _apply(values: Values, operation: object) -> None:
    expected = "an object with op (add, replace or remove), path and value"
    if not isinstance(operation, dict):
        raise InvalidInput("body", operation, expected)
    op, path = operation.get("op"), operation.get("path")
    if op not in ("add", "replace", "remove") or not isinstance(path, str) or path[:1] != "/":
        raise InvalidInput("op", operation, expected)
    name = path[1:].replace("~1", "/").replace("~0", "~")
    if name == "id" or not name:
        raise InvalidInput("path", path, "an attribute that can be changed")
    if op != "remove":
        _put(values, name, operation.get("value"))
    elif name in values["properties"]:
        del values["properties"][name]
    else:
        raise Conflict("ImageProperty", f"Image has no property {name[:100]!r} to remove")


@IMAGES.add(
    "DELETE",
    "/{id}",
    Access.PROJECT,
    answers={204: None},
    examples=(example(status=204, id="{cirros}", last=True),),
)
async def delete_image(request: Request) -> Response:
    """Delete an image. Servers keep its name."""

    def work(tx: Transaction) -> None:
        image = _require(tx, request)
        access.check_change(tx, image)
        try:
            records.delete_image(tx, image)
        except records.ImageProtected as error:  # 403 as in Glance; a9fe's own API answers 409
            raise Forbidden(f"Image {image.id} is protected and cannot be deleted") from error

    await api_of(request).write(request, work)
    return Response(status_code=204)


@IMAGES.add(
    "PUT",
    "/{id}/file",
    Access.PROJECT,
    body=ANY,
    answers={204: None},
    examples=(example({}, 204, id="{cirros}"),),
)
async def discard_data(request: Request) -> Response:
    """Accept and discard the data of an image: images are only records."""

    def work(tx: Transaction) -> None:
        access.check_change(tx, _require(tx, request))

    await api_of(request).read(request, work)
    async for _ in request.stream():
        pass
    return Response(status_code=204)


@IMAGES.add(
    "GET",
    "/{id}/file",
    Access.PROJECT,
    answers={},
    examples=(example(status=404, id="{cirros}"),),
)
async def no_data(request: Request) -> Response:
    """Answer 404 to the download of an image's data: none is stored."""

    def work(tx: Transaction) -> Image:
        image = _require(tx, request)
        raise NotFound("data of image", image.id)

    return JSONResponse(shown(await api_of(request).read(request, work)))


OPERATIONS = (*VERSIONS, *IMAGES)
