"""The server, as its connections see it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from a9fe.http.report import Report
from a9fe.http.server.states import State
from a9fe.wire.limits import Limits
from a9fe.wire.message import Answer, Handler
from a9fe.wire.refusals import Refusal

C_contra = TypeVar("C_contra", contravariant=True)


class Host(Protocol[C_contra]):
    """The members of a server that a connection uses."""

    handler: Handler
    limits: Limits
    timeouts: dict[State, float]  # seconds
    report: Report
    now: float
    draining: bool
    hands_on: bool  # idle connections, when draining
    outgoing: Callable[[Answer], Answer] | None

    def opened(self, connection: C_contra) -> Refusal | None:
        """Count a new connection. Return why its requests are refused; None if they are not."""
        ...

    def holds(self, connection: C_contra, held: int, *, arriving: bool) -> None:
        """Record the bytes held now. `arriving`: a request has been received in part."""
        ...

    def closed(self, connection: C_contra) -> None:
        """Count a connection as closed."""
        ...

    def rests(self, connection: C_contra) -> None:
        """Keep an idle connection until it is handed on."""
        ...
