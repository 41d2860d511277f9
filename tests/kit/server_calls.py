"""Requests of the API's examples, and the shape of its errors."""

import re
from typing import Any

from a9fe.server.app import OPERATIONS
from a9fe.server.asgi import faults
from a9fe.server.asgi.examples import filled, ordered, saved
from a9fe.server.asgi.operation import Operation
from tests.kit.server_world import World

EXAMPLES = ordered(request for row in OPERATIONS for request in row.requests())
"""The requests of all examples, in an order in which they work."""
_NOVA = {400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound",
         405: "badMethod", 408: "requestTimeout", 409: "conflictingRequest", 413: "overLimit",
         415: "badMediaType"}  # fmt: skip


def made_by_examples(world: World) -> dict[str, str]:
    """Run the examples that create resources; return the ids by the examples' names."""
    found: dict[str, str] = {}
    for example in EXAMPLES:
        if example.method != "POST":
            continue
        body = filled(example.body, found)
        answer = world.send(example.method, filled(example.path, found), json=body)
        if answer.status_code == example.status:
            found |= saved(example, answer.json())
    assert {name for example in EXAMPLES for name in example.save} <= found.keys()
    return found


def ids_of(operation: Operation, known: dict[str, str]) -> dict[str, str]:
    """Return the path parameters of the operation's first example."""
    names = re.findall(r"\{(\w+)\}", operation.path)
    pattern = re.sub(r"\\\{\w+\\\}", "([^/?]+)", re.escape(operation.path)) + r"(\?.*)?"
    match = re.fullmatch(pattern, filled(operation.requests()[0].path, known))
    assert match is not None
    return dict(zip(names, match.groups(), strict=False))


def message_of(answer: Any, path: str) -> str:
    """Check the shape of an error of the path's API and return its message."""
    status, found = answer.status_code, answer.json()
    assert 400 <= status < 500, answer.text
    if faults.below(path, faults.IMAGE):
        assert found.keys() == {"code", "title", "message"}
        assert found["code"].startswith(str(status))
        message = found["message"]
    elif faults.below(path, faults.COMPUTE):
        assert found.keys() == {_NOVA[status]}
        assert found[_NOVA[status]].keys() == {"code", "message"}
        assert found[_NOVA[status]]["code"] == status
        message = found[_NOVA[status]]["message"]
    else:
        assert found.keys() == {"NeutronError"}
        assert found["NeutronError"].keys() == {"type", "message", "detail"}
        message = found["NeutronError"]["message"]
    assert message.isprintable()
    assert 0 < len(message) < 1000
    return str(message)
