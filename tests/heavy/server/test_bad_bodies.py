"""Bad bodies and queries for every operation get the API's own error, and nothing changes.

The operations come from the OpenAPI document and use the resources that its examples create.
"""

import asyncio
import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from a9fe.api_tables.bad_request import BadRequest
from a9fe.server.app import OPERATIONS
from a9fe.server.asgi.body import BODY_MAX, DIGITS_MAX, read
from a9fe.server.asgi.errors import problem_of
from a9fe.server.asgi.examples import filled
from a9fe.server.asgi.operation import JSON, Operation
from tests.kit.server_calls import made_by_examples, message_of
from tests.kit.server_world import World
from tests.kit.strategies import json_values


@pytest.fixture(scope="module")
def world(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return one server for the module, with the resources of the examples."""
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@dataclass(frozen=True, kw_only=True)
class Call:
    """An example's request with a body."""

    key: str
    method: str
    path: str
    body: Any
    media_type: str


def media_type_of(operation: Operation) -> str:
    return operation.body.media_type if operation.body else JSON


@pytest.fixture(scope="module")
def calls(world: World) -> dict[str, Call]:
    known = made_by_examples(world)
    found = {}
    for operation in OPERATIONS:
        example = next((e for e in operation.requests() if e.body is not None), None)
        if example is not None and not operation.path.endswith("/file"):
            found[operation.key] = Call(
                key=operation.key,
                method=operation.method,
                path=filled(example.path, known),
                body=filled(example.body, known),
                media_type=media_type_of(operation),
            )
    return found


def sent(world: World, call: Call, content: bytes, **headers: str) -> Any:
    return world.send(call.method, call.path, content=content, headers=headers)


def refused(world: World, call: Call, content: bytes, status: int, **headers: str) -> str:
    """Return the message of an error; check that nothing has changed."""
    before = world.revision()
    answer = sent(world, call, content, **headers)
    assert answer.status_code == status, (call.key, content[:80], answer.text)
    assert world.revision() == before
    return message_of(answer, call.path)


# what is no document, the status, a word of the message
NO_DOCUMENTS: list[tuple[bytes, int, str]] = [
    (b"", 400, "not JSON"),
    (b"{", 400, "line 1 column 2"),
    (b'{"a": 1, "a": 2}', 400, "a: occurs more than once in an object"),
    (b'[{"b": {"same": 1, "same": 1}}]', 400, "same: occurs more than once in an object"),
    (b'{"\\u0061": 1, "a": 1}', 400, "a: occurs more than once in an object"),
    (b'{"\\ud800": 1, "\\ud800": 1}', 400, "ud800"),
    (b'{"a": "\xff"}', 400, "not UTF-8: byte 7"),
    (b"\xef\xbb\xbf{}", 400, "not JSON"),
    (b'{"left": "\\ud800"}', 400, "left: contains a NUL or a lone"),
    (b'{"there": ["a\\u0000b"]}', 400, "there: contains a NUL"),
    (b'{"a\\u0000": 1}', 400, "NUL"),
    (b'{"a": NaN}', 400, "NaN"),
    (b'{"a": -Infinity}', 400, "-Infinity"),
    (b'{"a": 1e999}', 400, "1e999"),
    (b'{"a": -' + b"9" * (DIGITS_MAX + 1) + b"}", 400, "digits"),
    (b'{"a": ' + b"9" * 100_000 + b"}", 400, "digits"),
    (b"[" * 100_000, 400, "levels deep"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, 400, "levels deep"),
    (b"[" + b" " * BODY_MAX + b"]", 413, "1048576 bytes"),
    (b'"' + b"a" * 10 * BODY_MAX + b'"', 413, "1048576 bytes"),
]


@pytest.mark.parametrize(("content", "status", "word"), NO_DOCUMENTS, ids=lambda v: str(v)[:30])
def test_a_body_that_is_not_json_is_refused_by_every_operation(
    world: World, calls: dict[str, Call], content: bytes, status: int, word: str
):
    for call in calls.values():
        assert word in refused(world, call, content, status)


@pytest.mark.parametrize("content", [b"null", b"5", b'"a"', b"[]", b"{}", b'{"colour": {}}'])
def test_a_document_of_another_shape(world: World, calls: dict[str, Call], content: bytes):
    for call in calls.values():
        if (content == b"[]") != (call.key in LISTS) and (call.key, content) not in GOOD:
            refused(world, call, content, 400)


LISTS = {"PATCH /image/v2/images/{id}"}
GOOD = {("POST /image/v2/images", b"{}")}
"""Bodies that need not have anything in them."""


# content types that curl, forms and other tools send
TYPES = {
    "application/x-www-form-urlencoded": "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x": "multipart/form-data",
    "text/plain": "text/plain",
    "application/xml": "application/xml",
    "application/jsonx": "application/jsonx",
    "application/json, text/plain": "application/json, text/plain",
    "nonsense": "nonsense",
    ";": "",
    "{right}; charset=latin-1": "latin-1",
    "{right}; charset=": "charset",
}


@pytest.mark.parametrize("given_type", TYPES)
def test_another_type_is_refused_and_the_right_one_named(
    world: World, calls: dict[str, Call], given_type: str
):
    for call in calls.values():
        content = json.dumps(call.body).encode()
        type = given_type.replace("{right}", call.media_type)
        message = refused(world, call, content, 415, **{"Content-Type": type})
        assert TYPES[given_type] in message
        assert "UTF-8" in message if "charset" in given_type else call.media_type in message


def test_a_packed_body_is_refused(world: World, calls: dict[str, Call]):
    for call in calls.values():
        assert "gzip" in refused(world, call, b"\x1f\x8b", 415, **{"Content-Encoding": "gzip"})


@pytest.mark.parametrize("end", ["the client hangs up", "nothing more comes"])
def test_a_body_that_does_not_arrive_is_408(end: str):
    async def receive() -> dict[str, Any]:
        if "hangs up" in end:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError("the event is never set")

    state = {"operation": next(o for o in OPERATIONS if o.body)}
    scope = {"type": "http", "method": "POST", "headers": [], "state": state}
    request = Request(scope, receive)
    with pytest.raises(BadRequest, match="did not arrive") as refusal:
        asyncio.run(read(request, time_max=0.01))
    assert problem_of(refusal.value).status == 408


@pytest.mark.parametrize(
    "form", ["{right}", "{right}; charset=UTF-8", '{Right} ;charset="utf8"', ""]
)
def test_the_right_type_and_none_are_read(world: World, form: str):
    type = form.replace("{right}", JSON).replace("{Right}", JSON.title())
    body = {"headers": {"Content-Type": type}, "content": b'{"network": {}}'}
    assert world.send("POST", "/v2.0/networks", **body).status_code == 201


def test_two_types_are_refused(world: World):
    headers = [("Content-Type", JSON), ("Content-Type", "text/plain")]
    answer = world.send("POST", "/v2.0/networks", content=b"{}", headers=headers)
    assert answer.status_code == 415


FREE = {
    "POST /image/v2/images",  # any other name is a property
    "POST /v2.1/servers/{id}/metadata",
    "PUT /v2.1/servers/{id}/metadata",
    "POST /a9fe/v1/agents/report",  # a newer agent may say more
}


def inner(body: Any) -> Any:
    """Return the object with the attributes: the inner one of {"network": {...}}, or the body."""
    values = list(body.values()) if isinstance(body, dict) else body
    return values[0] if len(values) == 1 and isinstance(values[0], dict) else body


@pytest.mark.parametrize("name", ["colour", "c" * 5000, "a\nb", "\u202e", "__class__"])
def test_an_unknown_attribute_is_named(world: World, calls: dict[str, Call], name: str):
    shown = "ccc" if len(name) > 100 else name if name.isprintable() else repr(name)[1:-1]
    for call in calls.values():
        if call.key in FREE | LISTS:
            continue
        body = copy.deepcopy(call.body)
        inner(body)[name] = "x"
        message = refused(world, call, json.dumps(body).encode(), 400)
        assert shown in message or message.startswith(("meta: ", "body: ")), call.key


ODD = (
    st.sampled_from(
        [-1, 0, 2**31, 2**63, -(2**63), 10**DIGITS_MAX // 10, 1.5, True, None, "", " "]
    )
    | st.sampled_from(["9" * 400, "-1", "1e5", "\u202e", "a\nb", "x" * 70_000, "%00", "\ufffe"])
    | st.sampled_from([[], {}, [[]], [{}], {"": ""}, [None], ["a"] * 2000])
    | json_values
)


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the path of every value in a body."""
    yield path
    items = (
        body.items()
        if isinstance(body, dict)
        else enumerate(body)
        if isinstance(body, list)
        else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


def changed(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return the body with another value at this path."""
    if not path:
        return value
    found = copy.copy(body)
    found[path[0]] = changed(body[path[0]], path[1:], value)
    return found


@given(data=st.data())
@settings(max_examples=300)
def test_any_value_at_any_place_of_any_call(
    world: World, calls: dict[str, Call], data: st.DataObject
):
    call = calls[data.draw(st.sampled_from(sorted(calls)))]
    path = data.draw(st.sampled_from(list(places(call.body))))
    body = changed(call.body, path, data.draw(ODD))
    try:
        content = json.dumps(body).encode()
    except UnicodeEncodeError:
        return
    before = world.revision()
    answer = sent(world, call, content)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        message_of(answer, call.path)
        assert world.revision() == before


def lists(world: World) -> list[tuple[str, str]]:
    """Return every operation with a query, with the names of its parameters."""
    document = world.get("/openapi.json")
    return [
        (path, parameter["name"])
        for path, item in document["paths"].items()
        for parameter in item.get("get", {}).get("parameters", [])
        if parameter["in"] == "query" and path != "/a9fe/v1/feed" and "{" not in path
    ]


@pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "%D9%A3", "%00", "9" * 30])
def test_limits(world: World, value: str):
    limited = [path for path, name in lists(world) if name == "limit"]
    assert len(limited) > 15
    for path in limited:
        answer = world.send("GET", f"{path}?limit={value}")
        if value != "9" * 30 or answer.status_code != 200:
            assert answer.status_code == 400, path
            assert message_of(answer, path).startswith("limit: ")


ODD_VALUES = ("%00", "%ff", "%27;DROP%20TABLE%20ports;--", "-1", "9" * 30, "", "%F0%9F%92%A9")


@pytest.mark.parametrize("value", ODD_VALUES)
def test_any_query_is_answered_or_refused(world: World, value: str):
    world.get("/v2.0/security-groups")  # the first list makes the project's own
    before = world.revision()
    for path, name in lists(world):
        answer = world.send("GET", f"{path}?{name}={value}")
        if answer.status_code != 200:
            assert answer.status_code in {400, 404}, (path, name, answer.text)
            message_of(answer, path)
        elif value.startswith("%27"):
            found = [
                v for k, v in answer.json().items() if isinstance(v, list) and "links" not in k
            ]
            assert name not in EXACT or found == [[]], (path, name)
    assert world.revision() == before


EXACT = {"id", "name", "project_id", "device_id", "network_id", "description", "ip", "status"}


@pytest.mark.parametrize("name", ["%00", "%ff", "%0a", "a" * 3000, "%F0%9F%92%A9"])
def test_any_name_in_a_path_is_refused_or_taken(world: World, calls: dict[str, Call], name: str):
    for operation in OPERATIONS:
        if "{" in operation.path:
            path = re.sub(r"\{\w+\}", name, operation.path)
            body = calls[operation.key].body if operation.key in calls else None
            type = {"Content-Type": media_type_of(operation)}
            answer = world.send(operation.method, path, json=body, headers=type)
            assert answer.status_code < 500, (operation.key, answer.text)
            if answer.status_code >= 400:
                message_of(answer, path)


@pytest.mark.parametrize("query", ["name=%00", "tags=a%00b", "fields=%00", "%00=1"])
def test_a_nul_in_a_query_finds_nothing_or_is_refused(world: World, query: str):
    for path in ("/v2.0/ports", "/v2.1/servers", "/image/v2/images", "/a9fe/v1/instances"):
        assert world.send("GET", f"{path}?{query}").status_code in {200, 400}
