"""The API's document, OpenAPI 3.1, from the rows of its operations."""

import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from a9fe.api_tables.schemas import Schema, components_in
from a9fe.server.asgi import COMPUTE, IMAGE, ExampleRequest, Operation, Samples, below, filled

Json = dict[str, Any]
VERSION = version("a9fe")  # read before privileges are dropped

ABOUT = """\
OpenStack's Network API below `/v2.0`, its compute API below `/v2.1` and its image API below
`/image`, as far as a9fe has them, and what is a9fe's own below `/a9fe/v1`. Compute and image
calls keep records; nothing starts a VM.

Text is accepted where a value is typed ("True", "22"), as OpenStack's clients send it.
"""
JSON = "application/json"
METHODS = ("get", "post", "put", "patch", "delete")
READS, WRITES = (400, 401, 403, 404, 503), (400, 401, 403, 404, 409, 413, 415, 503)
REASONS = {
    400: "Invalid: the message names what",
    401: "The token is missing or not valid",
    403: "Not for this caller",
    404: "There is none, or it is not this caller's",
    406: "The microversion is not served",
    409: "Valid, but in conflict with what is there",
    413: "The body is too large",
    415: "The body is not of the type that is read here",
    503: "The database is not usable now",
}
_PARAMETER = re.compile(r"\{(\w+)\}")


def document(operations: Iterable[Operation]) -> Json:
    """Return the document of all operations."""
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
    """Return every schema that an operation refers to, by name."""
    found: dict[str, Schema] = dict(_FAULTS)
    for row in rows:
        found |= components_in(row.body.schema if row.body else None)
        found |= components_in(row.answers)
    return dict(sorted(found.items()))


def _order_of_row(row: Operation) -> tuple[int, str, int]:
    """Sort by API, path and method."""
    bases = ("/v2.0", "/a9fe/v1", "/v2.1", "/image")
    api = next((i for i, base in enumerate(bases) if row.path.startswith(base)), len(bases))
    return api, row.path, METHODS.index(row.method.lower())


def _tags(paths: Json) -> dict[str, None]:
    """Return the chapters, in the order of the paths."""
    shown = (item[method] for item in paths.values() for method in METHODS if method in item)
    return dict.fromkeys(tag for operation in shown for tag in operation["tags"])


def _parameters(path: str, known: set[str]) -> Json:
    """The parameters of a path; none has the value that makes it another known path."""
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
    about = "The microversion; 2.1 without"
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
        found[str(status)] = {"description": _GOOD.get(status, "Found")}
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
_GOOD = {201: "Made", 202: "Accepted", 204: "Done"}
