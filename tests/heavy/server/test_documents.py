"""The OpenAPI document: it has every operation, with examples that work, and is up to date."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from a9fe.server.app import OPERATIONS
from a9fe.server.asgi.examples import ExampleRequest, filled, saved
from a9fe.server.asgi.operation import Operation
from a9fe.server.openapi import page as openapi_page
from tests.kit.server_calls import EXAMPLES
from tests.kit.server_world import World

DOCS = Path(__file__).parents[3] / "docs"
ENDLESS = "/a9fe/v1/feed"


@pytest.fixture
def document(world: World) -> Any:
    return world.get("/openapi.json")


def test_every_endpoint_has_an_example_and_a_summary(world: World, document: Any):
    operations = [
        (f"{method} {path}", item[method])
        for path, item in document["paths"].items()
        for method in openapi_page.METHODS
        if method in item
    ]
    assert len(operations) > 100
    assert [key for key, o in operations if not o.get("x-examples")] == []
    assert [key for key, o in operations if not o["summary"]] == []
    ids = [o["operationId"] for _, o in operations]
    assert len(ids) == len(set(ids))


def operation_of(example: ExampleRequest) -> Operation:
    return next(o for o in OPERATIONS if example in o.requests())


def schema_of(document: Any, operation: Operation, status: int) -> Any:
    item = document["paths"][operation.path][operation.method.lower()]
    content = item["responses"][str(status)].get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return schema and {**schema, "components": document["components"]}


def test_every_example_works_and_answers_what_is_documented(world: World, document: Any):
    known: dict[str, str] = {}
    for example in EXAMPLES:
        path = filled(example.path, known)
        if path.startswith(ENDLESS):
            continue
        body = filled(example.body, known)
        answer = world.send(example.method, path, json=body, headers=dict(example.headers))
        assert answer.status_code == example.status, f"{example.method} {path}: {answer.text}"
        schema = schema_of(document, operation_of(example), answer.status_code)
        if schema:
            jsonschema.Draft202012Validator(schema).validate(answer.json())
            known |= saved(example, answer.json())


def test_requests_of_examples_are_what_is_documented(document: Any):
    for path, item in document["paths"].items():
        for method in openapi_page.METHODS:
            body = item.get(method, {}).get("requestBody")
            if not body:
                continue
            [content] = body["content"].values()
            schema = {**content["schema"], "components": document["components"]}
            errors = list(jsonschema.Draft202012Validator(schema).iter_errors(content["example"]))
            assert errors == [], f"{method} {path}"


def test_the_document_in_the_repository_is_the_server_s(document: Any):
    kept = json.loads((DOCS / "openapi.json").read_text())
    assert kept == document, "docs/openapi.json is not current: ./run docs writes it again"


def test_the_page_has_every_operation_and_no_external_resource(world: World, document: Any):
    page = world.send("GET", "/docs").text
    for item in document["paths"].values():
        for method in openapi_page.METHODS:
            if method in item:
                assert f'id="{item[method]["operationId"]}"' in page
    for foreign in ("<script", "<link", "src=", "@import", "url("):
        assert foreign not in page
