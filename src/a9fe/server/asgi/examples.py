"""Example requests: each is in its operation's row, and a test sends all of them.

A name in braces, such as `{network}`, is a variable. An earlier example sets it: its `save` gives
the place of the value in the answer. `ordered` sorts the examples so that each one's variables are
set before it is sent.
"""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any
NO_VALUES: Mapping[str, str] = {}
_VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One request for an operation, and the expected status.

    `values` are the path's parameters. `save` maps names of variables to dotted paths in the
    answer: {"network": "network.id"}. Examples with `last` delete resources, after all others.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    body: Json = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    save: Mapping[str, str] = field(default_factory=dict)
    last: bool = False


def example(
    body: Json = None,
    status: int = 200,
    *,
    query: str = "",
    headers: Mapping[str, str] = NO_VALUES,
    save: Mapping[str, str] = NO_VALUES,
    last: bool = False,
    **values: str,
) -> Example:
    """Return an Example; `values` are the path's parameters."""
    return Example(
        values=values,
        query=query,
        body=body,
        status=status,
        headers=headers,
        save=save,
        last=last,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRequest:
    """An example with its operation's method and path; variables are not replaced yet."""

    method: str
    path: str
    body: Json
    status: int
    headers: Mapping[str, str]
    save: Mapping[str, str]
    last: bool

    def needs(self) -> frozenset[str]:
        """Return the variables in the path and in the body."""
        return frozenset(_VARIABLE.findall(self.path) + _VARIABLE.findall(repr(self.body)))


def request_of(method: str, path: str, example: Example) -> ExampleRequest:
    """Return the request of an example. Raises KeyError for a path parameter without a value."""
    filled_path = filled(path, example.values)
    return ExampleRequest(
        method=method,
        path=f"{filled_path}?{example.query}" if example.query else filled_path,
        body=example.body,
        status=example.status,
        headers=example.headers,
        save=example.save,
        last=example.last,
    )


def ordered(requests: Iterable[ExampleRequest]) -> tuple[ExampleRequest, ...]:
    """Sort requests so that each comes after the ones that save its variables; stable otherwise.

    The `last` ones come at the end, in reverse order of creation. Raises ValueError for a variable
    that no example saves.
    """
    some = list(requests)
    made, waiting = [], [r for r in some if not r.last]
    position: dict[str, int] = {}
    while waiting:
        found = next((r for r in waiting if r.needs() <= position.keys()), None)
        if found is None:
            missing = sorted(waiting[0].needs() - position.keys())
            raise ValueError(f"{waiting[0].method} {waiting[0].path}: nothing saves {missing}")
        waiting.remove(found)
        made.append(found)
        position |= dict.fromkeys(found.save, len(made))
    undone = [r for r in reversed(some) if r.last]
    undone.sort(key=lambda r: -max((position[name] for name in r.needs()), default=0))
    return (*made, *undone)


def filled(value: Json, known: Mapping[str, str]) -> Json:
    """Return the value with its variables replaced, also inside lists and objects.

    Raises KeyError for a variable that is not in `known`.
    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: known[match[1]], value)
    if isinstance(value, list):
        return [filled(item, known) for item in value]
    if isinstance(value, dict):
        return {name: filled(item, known) for name, item in value.items()}
    return value


class Samples(dict[str, str]):
    """A constant UUID for every variable, for the OpenAPI document."""

    def __missing__(self, name: str) -> str:
        """Return the UUID of a variable: the same in every process."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def saved(request: ExampleRequest, answer: Json) -> dict[str, str]:
    """Return the variables that a request's `save` reads from the answer."""
    found = {}
    for name, where in request.save.items():
        value = answer
        for key in where.split("."):
            value = value[int(key)] if isinstance(value, list) else value[key]
        found[name] = str(value)
    return found
