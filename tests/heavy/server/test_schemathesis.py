"""Requests that fit the OpenAPI document, and some that do not: no 5xx, no undocumented answer.

Half of the paths have ids of existing resources, so that the server reads the bodies.
"""

import random
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from a9fe.server.app import OPERATIONS
from a9fe.server.feed.roles import ROLES
from a9fe.server.glance.images import PATCH_TYPE
from a9fe.server.openapi.document import METHODS
from tests.kit.databases import DATABASES, KINDS
from tests.kit.server_calls import ids_of, made_by_examples
from tests.kit.server_world import World

schemathesis.serializer.alias(PATCH_TYPE, "application/json")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ENDLESS = "/a9fe/v1/feed"
TRIES = 6  # of each operation, as documented and as not, other ones on each database


@pytest.fixture(scope="module")
def world(database_kind: str, tmp_path_factory: pytest.TempPathFactory):
    """Return one server for the module, with the resources of the examples."""
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def known(world: World) -> dict[str, str]:
    """Return the ids of the examples' resources, by the examples' variables."""
    return made_by_examples(world)


def order(operation: Any) -> int:
    """Return the sort key that puts DELETE last."""
    return METHODS.index(operation.method.lower())


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_documented(world: World, known: dict[str, str], mode: GenerationMode):
    schema = schemathesis.openapi.from_asgi("/openapi.json", world.app)
    found = [result.ok() for result in schema.get_all_operations()]
    ids = {o.key: ids_of(o, known) for o in OPERATIONS}
    failures: list[str] = []
    for operation in sorted(found, key=order):
        if operation.path != ENDLESS and (mode.is_positive or may_be_wrong(operation)):
            failures += tried(world, operation, mode, ids[operation.label])
    assert failures == []


def may_be_wrong(operation: Any) -> bool:
    """Whether a call can have a wrong body: any text is a path or a query that may be asked."""
    return bool(operation.body) and not operation.path.endswith("/file")


def sent(world: World, case: Any) -> Any:
    """Send a request; return the answer."""
    given = case.as_transport_kwargs(base_url="http://server")
    given["content"] = given.pop("data", None)
    given.pop("cookies", None)
    return world.send(given.pop("method"), given.pop("url"), **given)


def tried(world: World, operation: Any, mode: GenerationMode, ids: dict[str, str]) -> list[str]:
    """Send requests to one operation; return what was wrong with the first bad answer."""
    choose = random.Random(operation.label)

    @seed(KINDS.index(DATABASES.kind))
    @settings(
        max_examples=TRIES,
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


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
AGENTS = sorted(ROLES)
HOST = TEXT.filter(lambda text: text not in ("", "*"))  # "*" is for agent=service only
GOOD = {"host": HOST, "agent": st.sampled_from(AGENTS), "from": st.just("0")}
BAD = {
    "host": st.just(""),
    "agent": TEXT.filter(lambda text: text not in AGENTS),
    "from": TEXT.filter(lambda text: not (text.isascii() and text.isdigit()))
    | st.integers(10**18, 10**30).map(str)
    | st.integers(max_value=-1).map(str),
}
"""What a feed may be asked for, and what it refuses: it is endless once it is answered."""


@pytest.fixture(scope="module")
def feed(world: World) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", world.app)[ENDLESS]["GET"]


@given(data=st.data(), wrong=st.sampled_from(sorted(BAD)))
@settings(max_examples=150)
def test_a_feed_refuses_what_it_does_not_know(
    world: World, feed: Any, data: st.DataObject, wrong: str
):
    query = {name: data.draw((BAD if name == wrong else GOOD)[name], name) for name in GOOD}
    if data.draw(st.booleans(), "absent") and wrong != "from":
        del query[wrong]
    case = feed.Case(query=query)
    answer = sent(world, case)
    assert answer.status_code == 400
    assert answer.json()["NeutronError"]["message"].startswith(f"{wrong}: ")
    case.validate_response(answer, checks=CHECKS)
