"""One request to an upstream and its answer.

A future that the pool (`pool`) and a connection (`upstream_connection`) share.
"""

import asyncio
from math import inf
from typing import Protocol

from a9fe.http.upstream.addresses import Address
from a9fe.http.upstream.errors import UpstreamError
from a9fe.wire.message import Answer, Request
from a9fe.wire.trusted import REQUEST_ID


class Abortable(Protocol):
    """The method of a connection that an exchange calls."""

    def abort(self) -> None:
        """Close at once."""
        ...


class Exchange(asyncio.Future[Answer]):
    """A future: the answer or an UpstreamError. Cancelling it closes the connection upstream.

    `deadline` in loop time. `fresh` needs a new connection. `repeats`: how often to send it again
    if its connection closes before the answer is complete. `patience`: loop time after which
    another address is asked, if one is up. `avoid`: the address that did not answer.
    """

    def __init__(self, request: Request, deadline: float, loop: asyncio.AbstractEventLoop) -> None:
        """The exchange has no connection yet."""
        super().__init__(loop=loop)
        self.request = request
        self.deadline = deadline
        self.head_only = request.method == b"HEAD"
        self.fresh = False
        self.was_sent = False
        self.repeats = 0
        self.patience = inf
        self.avoid: Address | None = None
        self.connection: Abortable | None = None

    def cancel(self, msg: str | None = None) -> bool:
        """Cancel the request, and close its connection."""
        cancelled = super().cancel(msg)
        if self.connection is not None:
            self.connection.abort()
        return cancelled

    def answer(self, answer: Answer) -> None:
        """Complete with an answer."""
        self.connection = None
        if not self.done():
            self.set_result(answer)

    def fail(self, error_type: type[UpstreamError], text: str) -> None:
        """Complete with an error."""
        self.connection = None
        if not self.done():
            ids = self.request.values(REQUEST_ID)
            self.set_exception(error_type(text, ids[0] if ids else b""))
