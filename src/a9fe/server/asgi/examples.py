"""Examples of requests: each stands in its operation's row, and a test sends all of them.

`{network}` and its like are variables: an earlier example's `save` says where its answer has the
value. `ordered` sorts the examples so that each one's variables are known when it is sent.
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
    """One request of an operation, and the status of its answer.

    `values` fill the parameters of the path. `save` maps names of variables to places in the
    answer: {"network": "network.id"}. `last` examples undo what others made.
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
    """Return an Example; keywords without a name of its own are parameters of the path."""
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
    """An example with the method and the path of its operation; variables are still in it."""

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
    """Return the request of an example. Raises KeyError for a parameter without a value."""
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
    """Sort requests so that each finds its variables; the order is kept where it does not matter.

    The `last` ones come at the end; what was made last goes first. Raises ValueError for a
    variable that no example saves.
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
    """Return the value with its variables replaced, also inside lists and objects."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: known[match[1]], value)
    if isinstance(value, list):
        return [filled(item, known) for item in value]
    if isinstance(value, dict):
        return {name: filled(item, known) for name, item in value.items()}
    return value


class Samples(dict[str, str]):
    """A constant id for every variable, for the document."""

    def __missing__(self, name: str) -> str:
        """Return the id of a variable."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def saved(request: ExampleRequest, answer: Json) -> dict[str, str]:
    """Return the variables that an answer gives."""
    found = {}
    for name, where in request.save.items():
        value = answer
        for key in where.split("."):
            value = value[int(key)] if isinstance(value, list) else value[key]
        found[name] = str(value)
    return found
