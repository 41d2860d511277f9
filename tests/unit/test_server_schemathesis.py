"""The API, called as its document says and as it does not: no 5xx, no undocumented answer.

Paths have the ids of the examples' resources half of the time, so that bodies are read at all.
"""

import random
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from a9fe.server import openapi
from a9fe.server.documents import EXAMPLES
from a9fe.server.openapi_page import METHODS
from tests.unit.server_calls import ids_of, made_by_examples
from tests.unit.server_world import World

pytestmark = pytest.mark.sqlite
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ENDLESS = "/a9fe/v1/feed"
TRIES = 3  # of each operation, as documented and as not: more find no more, and take minutes


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    """One for all, with what the examples make."""
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def known(world: World) -> dict[str, str]:
    """The ids of what the examples made, by the examples' names."""
    return made_by_examples(world)


def order(operation: Any) -> int:
    """What deletes comes last."""
    return METHODS.index(operation.method.lower())


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_documented(world: World, known: dict[str, str], mode: GenerationMode):
    schema = schemathesis.openapi.from_asgi("/openapi.json", world.app)
    found = [result.ok() for result in schema.get_all_operations()]
    ids = {o.key: ids_of(o, known) for o in openapi.operations(world.routes(), EXAMPLES)[0]}
    failures: list[str] = []
    for operation in sorted(found, key=order):
        if operation.path != ENDLESS and (mode.is_positive or may_be_wrong(operation)):
            failures += tried(world, operation, mode, ids[operation.label])
    assert failures == []


def may_be_wrong(operation: Any) -> bool:
    """Whether a call can have a wrong body: any text is a path or a query that may be asked."""
    return bool(operation.body) and not operation.path.endswith("/file")


def sent(world: World, case: Any) -> Any:
    """The answer to a call."""
    given = case.as_transport_kwargs(base_url="http://server")
    given["content"] = given.pop("data", None)
    given.pop("cookies", None)
    return world.send(given.pop("method"), given.pop("url"), **given)


def tried(world: World, operation: Any, mode: GenerationMode, ids: dict[str, str]) -> list[str]:
    """Calls of one operation; what was wrong with the first bad one."""
    choose = random.Random(operation.label)

    @seed(1)
    @settings(
        max_examples=TRIES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        if ids and choose.random() < 0.5:
            case.path_parameters = dict(ids)
        case.validate_response(sent(world, case), checks=CHECKS)

    try:
        call()
    except BaseExceptionGroup as group:
        return [f"{operation.label}: {error}" for error in group.exceptions]
    return []
