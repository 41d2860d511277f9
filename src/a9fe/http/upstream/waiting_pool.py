"""Two pools to one upstream: for requests that are answered at once, and for those that wait.

A request that waits for a change holds its connection at every hop. In a pool of their own they
take no connection from the others; when it is full, the next one is refused. When the process
ends, it asks for the present documents instead, so that waiting guests are answered.
"""

import asyncio
from dataclasses import replace

from a9fe.http.upstream.addresses import Addresses
from a9fe.http.upstream.pool import Upstream
from a9fe.wire.limits import MAX_WAITING_UPSTREAM
from a9fe.wire.message import Answer, Request
from a9fe.wire.wait_for_change import may_wait, without_wait

PATIENCE = 1 / 3  # of the timeout, until a request is asked of another address


class UpstreamPools:
    """A handler like `Upstream`, over both pools."""

    def __init__(
        self,
        addresses: Addresses,
        *,
        timeout: float,
        restart_wait: float = 0.0,
        max_waiting: int = MAX_WAITING_UPSTREAM,
    ) -> None:
        """`timeout` and `restart_wait` as of `Upstream`. `max_waiting`: most waiting requests."""
        self._at_once = Upstream(
            addresses,
            timeout=timeout,
            restart_wait=restart_wait,
            patience=timeout * PATIENCE,
        )
        self._waiting = Upstream(
            addresses,
            timeout=timeout,
            restart_wait=restart_wait,
            max_connections=max_waiting,
            max_queue=0,
        )
        self._ending = asyncio.get_running_loop().create_future()

    def __call__(self, request: Request) -> asyncio.Future[Answer]:
        """Send a request, or queue it."""
        if may_wait(request.target):
            return asyncio.ensure_future(self._waited(request))
        return self._at_once(request)

    async def _waited(self, request: Request) -> Answer:
        waiting = self._waiting(request)
        try:
            await asyncio.wait((waiting, self._ending), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            waiting.cancel()
            raise
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        return await self._at_once(replace(request, target=without_wait(request.target)))

    async def run(self) -> None:
        """Wait until cancelled, then end all waits: a task of the hop, which ends before it."""
        try:
            await asyncio.Event().wait()
        finally:
            self._ending.cancel()

    def close(self) -> None:
        """Close all connections."""
        self._at_once.close()
        self._waiting.close()
