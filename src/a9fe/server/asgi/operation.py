"""An operation of the API as one row: access, request body, answers and handler.

Routes, the gate's checks, the OpenAPI document and the tests of all operations are made from
these rows. A row is declared above its handler:

    OPERATIONS = OperationTable("/a9fe/v1/racks", chapter="a9fe: racks")

    @OPERATIONS.add("GET", "/{id}", Access.ADMIN, answers={200: RACK}, examples=(example(id="1"),))
    async def show_rack(request: Request) -> Response:
        \"""Show a rack.\"""
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from a9fe.api_tables.schemas import Schema
from a9fe.server.asgi.examples import Example, ExampleRequest, request_of

Handler = Callable[[Request], Awaitable[Response]]
H = TypeVar("H", bound=Callable[..., Awaitable[Response]])
JSON = "application/json"


class Access(Enum):
    """The callers that may use an operation; the value completes the message "... is for"."""

    ANYONE = "anyone, also without an API token"
    PROJECT = "a project's members"
    OWN_PROJECT = "members of the project in the path"
    ADMIN = "admins"
    AGENT = "an agent, with an API token that is bound to its host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A request's body: its JSON Schema and its media type."""

    schema: Schema
    media_type: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method and path.

    `path` has parameters in braces, each one segment. `answers` maps each status below 400 to the
    schema of its body, or None for no body. `query` maps query parameters to their descriptions.
    With `can_fail` False the OpenAPI document lists no error statuses.
    """

    method: str
    path: str
    access: Access
    handler: Handler
    summary: str
    chapter: str
    answers: Mapping[int, Schema | None]
    answer_type: str = JSON
    body: Body | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    query_required: tuple[str, ...] = ()
    can_fail: bool = True
    examples: tuple[Example, ...] = ()

    @property
    def key(self) -> str:
        """The name of the operation: "GET /v2.0/networks/{id}"."""
        return f"{self.method} {self.path}"

    def requests(self) -> tuple[ExampleRequest, ...]:
        """Return the example requests."""
        return tuple(request_of(self.method, self.path, e) for e in self.examples)


class OperationTable:
    """The operations of one module, in the order of its handlers."""

    def __init__(
        self,
        base: str,
        *,
        chapter: str,
        adapt: Callable[[Any], Handler] = lambda handler: handler,
    ) -> None:
        """All paths begin with `base`; the OpenAPI document groups operations by `chapter`.

        `adapt` turns a handler of this API into a Starlette handler.
        """
        self._base = base
        self._chapter = chapter
        self._adapt = adapt
        self._rows: list[Operation] = []

    def __iter__(self) -> Iterator[Operation]:
        """Iterate over the rows."""
        return iter(self._rows)

    def add(  # noqa: PLR0913 - one for each field of Operation
        self,
        method: str,
        path: str,
        access: Access,
        *,
        answers: Mapping[int, Schema | None],
        summary: str = "",
        body: Schema | Body | None = None,
        answer_type: str = JSON,
        query: Mapping[str, str] = MappingProxyType({}),
        query_required: tuple[str, ...] = (),
        can_fail: bool = True,
        examples: tuple[Example, ...] = (),
    ) -> Callable[[H], H]:
        """Return a decorator that adds an operation with the decorated handler.

        `summary` defaults to the first line of the handler's docstring.
        """

        def decorate(handler: H) -> H:
            self._rows.append(
                Operation(
                    method=method,
                    path=self._base + path,
                    access=access,
                    handler=self._adapt(handler),
                    summary=summary or summary_of(handler),
                    chapter=self._chapter,
                    answers=answers,
                    body=body if body is None or isinstance(body, Body) else Body(schema=body),
                    answer_type=answer_type,
                    query=query,
                    query_required=query_required,
                    can_fail=can_fail,
                    examples=examples,
                )
            )
            return handler

        return decorate


def summary_of(handler: Callable[..., Any]) -> str:
    """Return the first line of a handler's docstring, without its full stop."""
    return (inspect.getdoc(handler) or "").partition("\n")[0].rstrip(".")


def operation_of(request: Request) -> Operation:
    """Return the row that a request matched."""
    operation: Operation = request.state.operation
    return operation
