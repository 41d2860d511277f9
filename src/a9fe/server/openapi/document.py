"""The API's document, OpenAPI 3.1: from the routes, the attribute tables and the examples."""

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version

from starlette.routing import BaseRoute, Match, Route

from a9fe.server.asgi import faults
from a9fe.server.openapi import bodies as openapi_bodies
from a9fe.server.openapi import schemas as openapi_schemas
from a9fe.server.openapi.examples import Example, Samples, filled
from a9fe.server.openapi.schemas import Json

VERSION = version("a9fe")  # read before privileges are dropped

ABOUT = """\
OpenStack's Network API below `/v2.0`, its compute API below `/v2.1` and its image API below
`/image`, as far as a9fe has them, and what is a9fe's own below `/a9fe/v1`. Compute and image
calls keep records; nothing starts a VM.

Text is accepted where a value is typed ("True", "22"), as OpenStack's clients send it.
"""
JSON = "application/json"
TEXT = {
    "/metrics": "text/plain",
    "/a9fe/v1/feed": "application/x-ndjson",
    "/a9fe/v1/identity/certificates": "application/x-pem-file",
    "/docs": "text/html",
}
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
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method of a path, with what serves it."""

    method: str
    path: str
    route: Route
    examples: tuple[Example, ...] = ()

    @property
    def key(self) -> str:
        """E.g. "GET /v2.0/networks/{id}"."""
        return f"{self.method} {self.path}"


def operations(
    routes: Iterable[BaseRoute], examples: Iterable[Example]
) -> tuple[list[Operation], list[Example]]:
    """What the routes serve, each with its examples; and the examples that nothing serves."""
    served = [
        Operation(method=method, path=_PARAMETER.sub(r"{\1}", route.path), route=route)
        for route in routes
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]
    found: dict[str, list[Example]] = {operation.key: [] for operation in served}
    lost = []
    for example in examples:
        operation = next((o for o in served if _serves(o, example)), None)
        if operation is None:
            lost.append(example)
        else:
            found[operation.key].append(example)
    first = {o.key: o for o in reversed(served)}  # of two routes alike the first serves
    return [replace(first[key], examples=tuple(calls)) for key, calls in found.items()], lost


def _serves(operation: Operation, example: Example) -> bool:
    path = filled(example.path, Samples()).partition("?")[0]
    scope = {"type": "http", "method": example.method, "path": path, "root_path": ""}
    return example.method == operation.method and operation.route.matches(scope)[0] is Match.FULL


def document(routes: Iterable[BaseRoute], examples: Iterable[Example]) -> Json:
    """The whole document."""
    paths: dict[str, Json] = {}
    served = operations(routes, examples)[0]
    known = {operation.path for operation in served}
    for operation in served:
        item = paths.setdefault(operation.path, _parameters(operation.path, known))
        item[operation.method.lower()] = _shown(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "a9fe", "version": VERSION, "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}],
        "tags": [
            {"name": tag} for tag in dict.fromkeys(openapi_bodies.tag_of(path) for path in paths)
        ],
        "paths": dict(sorted(paths.items(), key=lambda item: _order(item[0]))),
        "components": {
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}
            },
            "schemas": openapi_schemas.components(),
        },
    }


def _order(path: str) -> tuple[int, str]:
    bases = ("/v2.0", "/a9fe/v1", "/v2.1", "/image")
    return next((i for i, base in enumerate(bases) if path.startswith(base)), len(bases)), path


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


def _shown(operation: Operation) -> Json:
    shown: Json = {
        "operationId": _id(operation),
        "tags": [openapi_bodies.tag_of(operation.path)],
        "summary": summary(operation),
    }
    query = openapi_bodies.query_of(operation.method, operation.path)
    headers = _headers(operation)
    if query or headers:
        shown["parameters"] = [*query, *headers]
    body = _request(operation)
    if body:
        shown["requestBody"] = body
    shown["responses"] = _responses(operation)
    if operation.examples:
        shown["x-examples"] = [_call(example) for example in operation.examples]
    return shown


def _id(operation: Operation) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", operation.path).strip("_") or "root"
    trailing = "_root" if operation.path.endswith("/") and words != "root" else ""
    return f"{operation.method.lower()}_{words}{trailing}"


def summary(operation: Operation) -> str:
    """One line: from the tables, or the first of the handler's own words."""
    known = openapi_bodies.summary_of(operation.method, operation.path)
    text = (inspect.getdoc(operation.route.endpoint) or "").partition("\n")[0]
    return known or text.rstrip(".")


def _headers(operation: Operation) -> list[Json]:
    if not faults.below(operation.path, faults.COMPUTE):
        return []
    schema = {"type": "string", "examples": ["compute 2.96"]}
    about = "The microversion; 2.1 without"
    return [
        {"name": "OpenStack-API-Version", "in": "header", "schema": schema, "description": about}
    ]


def _request(operation: Operation) -> Json | None:
    schema = openapi_bodies.request_of(operation.method, operation.path)
    with_body = [e for e in operation.examples if e.body is not None]
    if schema is None and not with_body:
        return None
    content: Json = {"schema": schema or {}}
    if with_body:
        content["example"] = filled(with_body[0].body, Samples())
    media_type = openapi_bodies.TYPES.get(operation.key, JSON)
    return {"required": True, "content": {media_type: content}}


def _responses(operation: Operation) -> Json:
    method, path = operation.method, operation.path
    good = {e.expect for e in operation.examples if e.expect < 400}
    good |= set(openapi_bodies.ALSO.get(operation.key, ()))
    if not good and not operation.examples:
        good = {{"POST": 201, "DELETE": 204}.get(method, 200)}
    found: Json = {}
    for status in sorted(good):
        found[str(status)] = _good(method, path, status)
    for status in _refusals(operation):
        schema = {"$ref": f"#/components/schemas/{_fault(path)}"}
        found[str(status)] = {
            "description": REASONS[status],
            "content": {JSON: {"schema": schema}},
        }
    return found


def _refusals(operation: Operation) -> tuple[int, ...]:
    if operation.path in openapi_bodies.OPEN:
        return (406, 400) if faults.below(operation.path, faults.COMPUTE) else ()
    statuses = READS if operation.method == "GET" else WRITES
    return (*statuses, 406) if faults.below(operation.path, faults.COMPUTE) else statuses


def _good(method: str, path: str, status: int) -> Json:
    description = {201: "Made", 202: "Accepted", 204: "Done"}.get(status, "Found")
    if status == 204 or (status == 202 and method == "DELETE"):
        return {"description": description}
    if path in TEXT:
        content: Mapping[str, Json] = {TEXT[path]: {"schema": {"type": "string"}}}
    else:
        content = {JSON: {"schema": openapi_bodies.answer_of(method, path)}}
    return {"description": description, "content": content}


def _fault(path: str) -> str:
    if faults.below(path, faults.COMPUTE):
        return "NovaFault"
    return "GlanceFault" if faults.below(path, faults.IMAGE) else "NeutronError"


def _call(example: Example) -> Json:
    samples = Samples()
    call: Json = {"method": example.method, "path": filled(example.path, samples)}
    if example.headers:
        call["headers"] = dict(example.headers)
    if example.body is not None:
        call["body"] = filled(example.body, samples)
    return {**call, "status": example.expect}
