"""The actions of guests besides reading documents: rows of method, path and function."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from a9fe.metadata.ec2.paths import canonical
from a9fe.metadata.table import LATEST
from a9fe.metadata.tree import parts_of
from a9fe.metadata_service.guest_call import GuestCall, Result

ANY = "*"
VERSION = "<version>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One row. `parts` are the segments of the path.

    A set stands for any of its names, ANY for any one segment, VERSION for any version of the EC2
    tree except `latest`. `ungated`: the gates do not apply, because guests request tokens through
    it. `changes`: GET and HEAD of the path read a document, and are 404 if the trees have none.
    """

    method: bytes
    parts: tuple[str | frozenset[str], ...]
    run: Callable[[GuestCall], Result]
    ungated: bool = False
    changes: bool = False

    def is_at(self, parts: tuple[str, ...]) -> bool:
        """Return whether the path is this action's."""
        return len(parts) == len(self.parts) and all(
            _fits(pattern, part) for pattern, part in zip(self.parts, parts, strict=True)
        )


def _fits(pattern: str | frozenset[str], part: str) -> bool:
    if isinstance(pattern, frozenset):
        return part in pattern
    if pattern == VERSION:
        return part != LATEST and canonical(part) is not None
    return pattern in {ANY, part}


def actions_at(actions: Sequence[Action], path: str) -> tuple[Action, ...]:
    """Return the actions at a path, of any method."""
    parts = parts_of(path)
    return () if parts is None else tuple(a for a in actions if a.is_at(parts))
