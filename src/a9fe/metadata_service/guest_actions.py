"""What a guest may do besides reading documents: a table of methods and paths."""

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
    """One row: `parts` of the path after its versions' tree, ANY for any one segment.

    VERSION stands for any version of the EC2 tree but `latest`, a set for any of its names.

    `open`: it needs no token where reading does (it is how a token is had). `changes`: what is
    read at its path are documents, and where the trees have none there is nothing.
    """

    method: bytes
    parts: tuple[str | frozenset[str], ...]
    run: Callable[[GuestCall], Result]
    open: bool = False
    changes: bool = False

    def is_at(self, parts: tuple[str, ...]) -> bool:
        """Whether the path is this action's."""
        return len(parts) == len(self.parts) and all(
            _fits(mine, theirs) for mine, theirs in zip(self.parts, parts, strict=True)
        )


def _fits(mine: str | frozenset[str], theirs: str) -> bool:
    if isinstance(mine, frozenset):
        return theirs in mine
    if mine == VERSION:
        return theirs != LATEST and canonical(theirs) is not None
    return mine in {ANY, theirs}


def at(actions: Sequence[Action], path: str) -> tuple[Action, ...]:
    """The actions at a path, whatever their method."""
    parts = parts_of(path)
    return () if parts is None else tuple(a for a in actions if a.is_at(parts))
