"""Make the API's OpenAPI 3.1 document from the rows of its operations."""

import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from a9fe.api_tables.schemas import Schema, components_in
from a9fe.server.asgi import COMPUTE, IMAGE, ExampleRequest, Operation, Samples, below, filled

Json = dict[str, Any]
VERSION = version("a9fe")  # read at import, before privileges are dropped

ABOUT = """\
The parts of OpenStack's Network API (below `/v2.0`), compute API (below `/v2.1`) and image API
(below `/image`) that a9fe implements, and a9fe's own API (below `/a9fe/v1`). The compute and image
APIs only keep records: they start no VM and store no image data.

A boolean or a number may be sent as text ("True", "22"), as OpenStack's clients do.
"""
JSON = "application/json"
METHODS = ("get", "post", "put", "patch", "delete")
READS, WRITES = (400, 401, 403, 404, 503), (400, 401, 403, 404, 409, 413, 415, 503)
REASONS = {
    400: "Not valid; the message names the field, the value and what is expected",
    401: "The API token is missing or not valid",
    403: "The caller may not do this",
    404: "Not found, or not visible to the caller",
    406: "The microversion is not supported",
    409: "In conflict with the present state",
    413: "The body is too large",
    415: "The media type of the body is not supported",
    503: "The database is temporarily unavailable",
}
_PARAMETER = re.compile(r"\{(\w+)\}")


def document(operations: Iterable[Operation]) -> Json:
    """Return the OpenAPI document of the operations."""
    rows = tuple(operations)
    known = {row.path for row in rows}
    paths: dict[str, Json] = {}
    for row in sorted(rows, key=_order_of_row):
        item = paths.setdefault(row.path, _parameters(row.path, known))
        item[row.method.lower()] = _shown(row)
    return {
        "openapi": "3.1.0",
        "info": {"title": "a9fe", "version": VERSION, "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}],
        "tags": [{"name": tag} for tag in _tags(paths)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}
            },
            "schemas": _components(rows),
        },
    }


def _components(rows: Iterable[Operation]) -> Json:
    """Return every schema that an operation refers to, by component name."""
    found: dict[str, Schema] = dict(_FAULTS)
    for row in rows:
        found |= components_in(row.body.schema if row.body else None)
        found |= components_in(row.answers)
    return dict(sorted(found.items()))


def _order_of_row(row: Operation) -> tuple[int, str, int]:
    """Return the sort key of a row: API, path, method."""
    bases = ("/v2.0", "/a9fe/v1", "/v2.1", "/image")
    api = next((i for i, base in enumerate(bases) if row.path.startswith(base)), len(bases))
    return api, row.path, METHODS.index(row.method.lower())


def _tags(paths: Json) -> dict[str, None]:
    """Return the tags (chapters) in the order of the paths, as a dict's keys."""
    shown = (item[method] for item in paths.values() for method in METHODS if method in item)
    return dict.fromkeys(tag for operation in shown for tag in operation["tags"])


def _parameters(path: str, known: set[str]) -> Json:
    """Return the parameters of a path.

    A value that would make the path another operation's literal path is excluded: /servers/{id}
    does not match /servers/detail.
    """
    found = []
    for match in _PARAMETER.finditer(path):
        before, after = path[: match.start()], path[match.end() :]
        others = {p[len(before) :] for p in known if p.startswith(before) and p.endswith(after)}
        words = sorted(o.removesuffix(after) for o in others)
        taken = [w for w in words if w and "/" not in w and "{" not in w]
        schema: Json = {"type": "string", "minLength": 1}
        if taken:
            schema["not"] = {"enum": taken}
        found.append({"name": match[1], "in": "path", "required": True, "schema": schema})
    return {"parameters": found} if found else {}


def _shown(row: Operation) -> Json:
    shown: Json = {"operationId": _id(row), "tags": [row.chapter], "summary": row.summary}
    parameters = [*_query(row), *_headers(row)]
    if parameters:
        shown["parameters"] = parameters
    if row.body:
        shown["requestBody"] = _request(row)
    shown["responses"] = _responses(row)
    if row.examples:
        shown["x-examples"] = [_example(request) for request in row.requests()]
    return shown


def _id(row: Operation) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", row.path).strip("_") or "root"
    trailing = "_root" if row.path.endswith("/") and words != "root" else ""
    return f"{row.method.lower()}_{words}{trailing}"


def _query(row: Operation) -> list[Json]:
    return [
        {
            "name": name,
            "in": "query",
            "schema": {"type": "string"},
            "description": about,
            **({"required": True} if name in row.query_required else {}),
        }
        for name, about in row.query.items()
    ]


def _headers(row: Operation) -> list[Json]:
    if not below(row.path, COMPUTE):
        return []
    schema = {"type": "string", "examples": ["compute 2.96"]}
    about = "The microversion; 2.1 without this header"
    return [
        {"name": "OpenStack-API-Version", "in": "header", "schema": schema, "description": about}
    ]


def _request(row: Operation) -> Json:
    assert row.body is not None
    content: Json = {"schema": row.body.schema}
    with_body = [r for r in row.requests() if r.body is not None]
    if with_body:
        content["example"] = filled(with_body[0].body, Samples())
    return {"required": True, "content": {row.body.media_type: content}}


def _responses(row: Operation) -> Json:
    found: Json = {}
    for status, schema in sorted(row.answers.items()):
        found[str(status)] = {"description": _SUCCESS.get(status, "OK")}
        if schema is not None:
            found[str(status)]["content"] = {row.answer_type: {"schema": schema}}
    fault = {"$ref": f"#/components/schemas/{_fault(row.path)}"}
    for status in _refusals(row):
        found[str(status)] = {
            "description": REASONS[status],
            "content": {JSON: {"schema": fault}},
        }
    return found


def _refusals(row: Operation) -> tuple[int, ...]:
    compute = below(row.path, COMPUTE)
    if not row.can_fail:
        return (406, 400) if compute else ()
    statuses = READS if row.method == "GET" else WRITES
    return (*statuses, 406) if compute else statuses


def _fault(path: str) -> str:
    if below(path, COMPUTE):
        return "NovaFault"
    return "GlanceFault" if below(path, IMAGE) else "NeutronError"


def _example(request: ExampleRequest) -> Json:
    samples = Samples()
    shown: Json = {"method": request.method, "path": filled(request.path, samples)}
    if request.headers:
        shown["headers"] = dict(request.headers)
    if request.body is not None:
        shown["body"] = filled(request.body, samples)
    return {**shown, "status": request.status}


def _message(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT: Json = {"type": "string"}
_FAULTS: Json = {
    "NeutronError": _message(NeutronError=_message(type=_TEXT, message=_TEXT, detail=_TEXT)),
    "NovaFault": {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": _message(code={"type": "integer"}, message=_TEXT),
    },
    "GlanceFault": _message(code=_TEXT, title=_TEXT, message=_TEXT),
}
_SUCCESS = {201: "Created", 202: "Accepted", 204: "No content"}
