"""Ends open streams whose API token is no longer valid.

The gate authenticates a request once, but a stream stays open. The tokens of all open streams are
checked together: at once when this server revokes a token, and every few seconds, because a token
can also be revoked by another server or expire.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from a9fe.model.errors import A9feError
from a9fe.runtime import tasks
from a9fe.server.auth.credentials import Authenticator

log = structlog.get_logger()

INTERVAL = 5.0  # s: half of the feed's heartbeat

End = Callable[[], None]


class Admissions:
    """The open streams by API token. Not thread-safe: use it in the event loop's thread."""

    def __init__(self, authenticator: Authenticator, interval: float = INTERVAL) -> None:
        """`interval`: seconds between checks. No check runs while no stream is open."""
        self._authenticator = authenticator
        self._interval = interval
        self._open: dict[str, set[End]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._check_now = asyncio.Event()

    @contextmanager
    def hold(self, shown: str | None, end: End) -> Iterator[None]:
        """Call `end` as soon as the token `shown` is invalid, while this context lasts.

        `shown` None: the request had no token, and needed none.
        """
        if shown is None:
            yield
            return
        self._open.setdefault(shown, set()).add(end)
        if self._watch is None or self._watch.done():
            self._watch = tasks.spawn(self._keep_watch(), "admissions")
        try:
            yield
        finally:
            self._drop(shown, end)

    def review(self) -> None:
        """Check all tokens now."""
        self._check_now.set()

    def _drop(self, shown: str, end: End) -> None:
        ends = self._open.get(shown, set())
        ends.discard(end)
        if not ends:
            self._open.pop(shown, None)
        if not self._open and self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _keep_watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._check_now.wait()
            self._check_now.clear()
            try:
                gone = await self._authenticator.unknown(tuple(self._open))
            except A9feError as error:  # nothing says that a token is invalid
                log.warning("cannot check the tokens of open streams", reason=str(error))
                continue
            for shown in gone:
                for end in tuple(self._open.get(shown, ())):
                    end()
