"""Examples of the API's calls: each is in its document, and a test makes them all in this order.

`{network}` and its like stand for what an earlier example's answer had (`save`: where it was).
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any
NOBODY = "0a9fe000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One call. `save` has the names of what its answer gives: {"network": "network.id"}."""

    method: str
    path: str
    body: Json = None
    expect: int = 200
    save: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


_VARIABLE = re.compile(r"\{(\w+)\}")


def filled(value: Json, known: Mapping[str, str]) -> Json:
    """The value with its variables replaced, inside lists and objects too."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: known[match[1]], value)
    if isinstance(value, list):
        return [filled(item, known) for item in value]
    if isinstance(value, dict):
        return {name: filled(item, known) for name, item in value.items()}
    return value


class Samples(dict[str, str]):
    """An id for every variable, always the same: for the document."""

    def __missing__(self, name: str) -> str:
        """The id of a variable."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def saved(example: Example, answer: Json) -> dict[str, str]:
    """The variables that an answer gives."""
    found = {}
    for name, where in example.save.items():
        value = answer
        for key in where.split("."):
            value = value[int(key)] if isinstance(value, list) else value[key]
        found[name] = str(value)
    return found


def get(path: str, **more: Any) -> Example:  # noqa: ANN401 - Example's fields
    """A GET."""
    return Example(method="GET", path=path, **more)


def post(path: str, body: Json, expect: int = 201, **save: str) -> Example:
    """A POST; what to save by name."""
    return Example(method="POST", path=path, body=body, expect=expect, save=save)


def put(path: str, body: Json) -> Example:
    """A PUT."""
    return Example(method="PUT", path=path, body=body)


def delete(path: str, expect: int = 204, body: Json = None) -> Example:
    """A DELETE."""
    return Example(method="DELETE", path=path, expect=expect, body=body)
