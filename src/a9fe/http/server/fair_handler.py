"""A handler that queues requests by client (`wire.fair_queue`) before it calls another handler."""

import asyncio
from collections.abc import Awaitable, Callable

from a9fe.wire.fair_queue import FairQueue, QueueLimits
from a9fe.wire.limits import FULL_PAUSE
from a9fe.wire.message import Answer, Handler, Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Client
from a9fe.wire.wait_for_change import may_wait

SWEEP_INTERVAL = 0.5  # seconds

Refuse = Callable[[Refusal, Request], Answer]
"""Makes the answer of a refusal, counted and logged."""


class _Waiting(asyncio.Future[Answer]):
    """A future for a request that is queued, then answered."""

    def __init__(self, lane: "_Lane", client: Client, request: Request) -> None:
        super().__init__(loop=lane.loop)
        self.lane = lane
        self.client = client
        self.request = request
        self.inner: asyncio.Future[Answer] | None = None

    def cancel(self, msg: str | None = None) -> bool:
        """Leave the queue, or cancel the handler's answer."""
        cancelled = super().cancel(msg)
        if self.inner is not None:
            self.inner.cancel()
        elif cancelled:
            self.lane.turns.leave(self, self.lane.loop.time())
        return cancelled

    def start(self) -> None:
        """Call the handler."""
        try:
            result = self.lane.run(self.client, self.request)
        except Exception as error:  # noqa: BLE001 - whoever awaits it gets it
            self.set_exception(error)
            return
        if isinstance(result, Answer):
            self.set_result(result)
        else:
            self.inner = result
            result.add_done_callback(self._copy)

    def _copy(self, inner: asyncio.Future[Answer]) -> None:
        if self.done():
            if not inner.cancelled():
                inner.exception()  # noted: nobody waits for it
        elif inner.cancelled():
            super().cancel()
        elif (error := inner.exception()) is not None:
            self.set_exception(error)
        else:
            self.set_result(inner.result())


class _Lane:
    """The queue of one kind of requests."""

    def __init__(self, handler: Handler, limits: QueueLimits, pause: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.turns: FairQueue[_Waiting] = FairQueue(limits)
        self._handler = handler
        self._pause = pause
        self._alarm: asyncio.TimerHandle | None = None

    def ask(self, client: Client, request: Request) -> Answer | Awaitable[Answer] | None:
        """The answer or a future of it; None if the queue is full."""
        now = self.loop.time()
        if self.turns.begin(client, now):
            return self.run(client, request)
        waiting = _Waiting(self, client, request)
        if not self.turns.enqueue(client, waiting, now):
            return None
        self._wake_later()
        return waiting

    def run(self, client: Client, request: Request) -> Answer | asyncio.Future[Answer]:
        """Call the handler; its place is freed when the answer is complete.

        If the handler answers at once, the place is kept until the next iteration of the loop
        and for `pause` seconds, so that CPU-bound requests take turns too.
        """
        try:
            result = self._handler(request)
        except BaseException:
            self._end(client, 0)
            raise
        if isinstance(result, Answer):
            self._end(client, len(result.body))
            return result
        future = asyncio.ensure_future(result, loop=self.loop)
        future.add_done_callback(lambda done: self._ended(client, done))
        return future

    def sweep(self) -> list[_Waiting]:
        """Refuse requests that have waited too long."""
        now = self.loop.time()
        self.turns.forget_paid(now)
        return self.turns.overdue(now)

    def _end(self, client: Client, size: int) -> None:
        self.turns.end(client, size, self.loop.time())
        if self._pause:
            self.loop.call_later(self._pause, self._free, client)
        else:
            self.loop.call_soon(self._free, client)

    def _ended(self, client: Client, done: asyncio.Future[Answer]) -> None:
        failed = done.cancelled() or done.exception() is not None
        self.turns.end(client, 0 if failed else len(done.result().body), self.loop.time())
        self._free(client)

    def _free(self, client: Client) -> None:
        self.turns.free(client, self.loop.time())
        self._start_next()

    def _start_next(self) -> None:
        while (waiting := self.turns.take(self.loop.time())) is not None:
            waiting.start()
        self._wake_later()

    def _wake_later(self) -> None:
        """Schedule a wake-up for when a queued client's byte rate allows its next request."""
        at = self.turns.next_at()
        if at is not None and (self._alarm is None or self._alarm.when() > at):
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = self.loop.call_at(at, self._awake)

    def _awake(self) -> None:
        self._alarm = None
        self._start_next()


def _give(later: asyncio.Future[Answer], answer: Answer) -> None:
    if not later.done():
        later.set_result(answer)


class FairHandler:
    """Answers with `handler`, clients in turn.

    Requests that may wait for a change have a queue of their own, as they take long.
    """

    def __init__(
        self,
        handler: Handler,
        client_of: Callable[[Request], Client],
        refuse: Refuse,
        *,
        limits: QueueLimits,
        waiting: QueueLimits,
        pause: float = 0.0,
    ) -> None:
        """Must be made inside a running loop. `limits` apply to requests that
        are answered at once, `waiting` to those that may wait for a change. `pause`: seconds for
        which a place stays taken after `handler` answered at once, as it does to refuse."""
        self._client_of = client_of
        self._refuse = refuse
        self._at_once = _Lane(handler, limits, pause)
        self._waiting = _Lane(handler, waiting, pause)
        self._loop = asyncio.get_running_loop()
        self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep)

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        """The Handler."""
        waits = may_wait(request.target)
        lane = self._waiting if waits else self._at_once
        result = lane.ask(self._client_of(request), request)
        if result is not None:
            return result
        full = Refusal.TOO_MANY_WAITERS if waits else Refusal.TOO_MANY_AT_ONCE
        return self._refused_later(self._refuse(full, request))

    def _refused_later(self, answer: Answer) -> Awaitable[Answer]:
        """Refuse after a delay: the client would repeat at once, and refusing costs CPU."""
        later = self._loop.create_future()
        alarm = self._loop.call_later(FULL_PAUSE, _give, later, answer)
        later.add_done_callback(lambda _: alarm.cancel())
        return later

    @property
    def queued(self) -> int:
        """Number of queued requests."""
        return self._at_once.turns.queued + self._waiting.turns.queued

    def close(self) -> None:
        """End the sweep."""
        self._sweeper.cancel()

    def _sweep(self) -> None:
        for lane in (self._at_once, self._waiting):
            for waiting in lane.sweep():
                if not waiting.done():
                    waiting.set_result(self._refuse(Refusal.TOO_MANY_AT_ONCE, waiting.request))
        self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep)
