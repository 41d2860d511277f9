"""Streams that stay open, and whether those whom they were opened for are still known.

A request is admitted once, by the gate; a stream outlives that. All credentials that streams are
open with are looked at together, at once when a token is revoked here, and every few seconds for
what ends elsewhere: by another server, in the database, or by time.
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
    """The open streams by credential. Belongs to the event loop's thread."""

    def __init__(self, authenticator: Authenticator, interval: float = INTERVAL) -> None:
        """Nothing runs while no stream is open."""
        self._authenticator = authenticator
        self._interval = interval
        self._open: dict[str, set[End]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    @contextmanager
    def hold(self, shown: str | None, end: End) -> Iterator[None]:
        """While this lasts, `end` is called as soon as the credential is nobody's any more.

        None: nothing was shown, where nothing needs to be.
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
        """Look now: somebody may have lost admission."""
        self._hurry.set()

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
                    await self._hurry.wait()
            self._hurry.clear()
            try:
                gone = await self._authenticator.unknown(tuple(self._open))
            except A9feError as error:  # no word against anybody
                log.warning("cannot look whether open streams may go on", reason=str(error))
                continue
            for shown in gone:
                for end in tuple(self._open.get(shown, ())):
                    end()
