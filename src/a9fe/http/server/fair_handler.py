"""A handler that queues requests by client (`wire.fair_queue`), then calls another handler."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from a9fe.http import trace
from a9fe.http.server.poller import ROUNDS
from a9fe.wire.fair_queue import FairQueue, QueueLimits
from a9fe.wire.limits import FULL_PAUSE
from a9fe.wire.message import Answer, Handler, Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Client
from a9fe.wire.wait_for_change import may_wait

SWEEP_INTERVAL = 0.5  # seconds
PAUSED = frozenset({429, 503})  # statuses that ask a client to wait; many repeat at once

Refuse = Callable[[Refusal, Request], Answer]
"""Count and log a refusal, and return its answer."""


class _QueuedAnswer(asyncio.Future[Answer]):
    """The future answer of a queued request."""

    def __init__(self, queue: "_Queue", client: Client, request: Request) -> None:
        super().__init__(loop=queue.loop)
        self.queue = queue
        self.client = client
        self.request = request
        self.inner: asyncio.Future[Answer] | None = None
        self.trace = trace.current

    def cancel(self, msg: str | None = None) -> bool:
        """Leave the queue, or cancel the handler's answer."""
        cancelled = super().cancel(msg)
        if self.inner is not None:
            self.inner.cancel()
        elif cancelled:
            self.queue.fair.leave(self, self.queue.loop.time())
        return cancelled

    def start(self) -> None:
        """Call the handler."""
        trace.current = self.trace
        try:
            result = self.queue.run(self.client, self.request)
        except Exception as error:  # noqa: BLE001 - the awaiting code gets it
            self.set_exception(error)
            return
        finally:
            trace.current = None
        if isinstance(result, Answer):
            self.set_result(result)
        else:
            self.inner = result
            result.add_done_callback(self._copy)

    def _copy(self, inner: asyncio.Future[Answer]) -> None:
        if self.done():
            if not inner.cancelled():
                inner.exception()  # marks it as retrieved
        elif inner.cancelled():
            super().cancel()
        elif (error := inner.exception()) is not None:
            self.set_exception(error)
        else:
            self.set_result(inner.result())


class _Queue:
    """The queue of one kind of requests."""

    def __init__(self, handler: Handler, limits: QueueLimits, pause: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.fair: FairQueue[_QueuedAnswer] = FairQueue(limits)
        self._handler = handler
        self._pause = pause
        self._alarm: asyncio.TimerHandle | None = None
        # Places to free: soon, and after the pause.
        self._soon: list[Client] = []
        self._soon_of = 0  # the round of polling in which the first of them was answered
        self._freeing = False  # in the next iteration of the loop
        self._paused: deque[tuple[float, Client]] = deque()

    def ask(self, client: Client, request: Request) -> Answer | Awaitable[Answer] | None:
        """Return the answer or a future of it; None if the queue is full."""
        now = self.loop.time()
        if self._soon and self._soon_of != ROUNDS.count:
            self._free_soon()
        if self.fair.begin(client, now):
            return self.run(client, request)
        waiting = _QueuedAnswer(self, client, request)
        if not self.fair.enqueue(client, waiting, now):
            return None
        self._wake_later()
        self._free_in_turn()
        return waiting

    def run(self, client: Client, request: Request) -> Answer | asyncio.Future[Answer]:
        """Call the handler, and free the request's place when the answer is complete.

        If the handler answers at once, the place is kept until sockets are polled again, or until
        the next iteration of the loop if requests are queued, so that CPU-bound requests take
        turns too; for an answer of PAUSED, for `pause` seconds.
        """
        trace.started()
        try:
            result = self._handler(request)
        except BaseException:
            self._end(client, 0, pauses=True)
            raise
        if isinstance(result, Answer):
            self._end(client, len(result.body), pauses=result.status in PAUSED)
            return result
        future = asyncio.ensure_future(result, loop=self.loop)
        future.add_done_callback(lambda done: self._ended(client, done))
        return future

    def sweep(self) -> list[_QueuedAnswer]:
        """Remove and return the requests that have waited too long."""
        now = self.loop.time()
        self._free_soon()
        self.fair.forget_paid(now)
        return self.fair.overdue(now)

    def _end(self, client: Client, size: int, *, pauses: bool) -> None:
        now = self.loop.time()
        self.fair.end(client, size, now)
        if pauses and self._pause:
            if not self._paused:
                self.loop.call_later(self._pause, self._free_paused)
            self._paused.append((now + self._pause, client))
            return
        if not self._soon:
            self._soon_of = ROUNDS.count
        self._soon.append(client)
        self._free_in_turn()

    def _free_in_turn(self) -> None:
        """Free the places of answered requests in the next iteration, if requests wait for one.

        Without queued requests the next request frees them: a callback for each iteration of the
        loop costs as much as a request.
        """
        if self._soon and self.fair.queued and not self._freeing:
            self._freeing = True
            self.loop.call_soon(self._free_soon)

    def _ended(self, client: Client, done: asyncio.Future[Answer]) -> None:
        failed = done.cancelled() or done.exception() is not None
        self.fair.end(client, 0 if failed else len(done.result().body), self.loop.time())
        self._free_all((client,))

    def _free_soon(self) -> None:
        self._freeing = False
        clients, self._soon = self._soon, []
        self._free_all(clients)

    def _free_paused(self) -> None:
        now = self.loop.time()
        clients = []
        while self._paused and self._paused[0][0] <= now:
            clients.append(self._paused.popleft()[1])
        if self._paused:
            self.loop.call_at(self._paused[0][0], self._free_paused)
        self._free_all(clients)

    def _free_all(self, clients: Iterable[Client]) -> None:
        now, free = self.loop.time(), self.fair.free
        for client in clients:
            free(client, now)
        if self.fair.queued:
            self._start_next()

    def _start_next(self) -> None:
        while (waiting := self.fair.take(self.loop.time())) is not None:
            waiting.start()
        self._wake_later()

    def _wake_later(self) -> None:
        """Schedule a wake-up for when a queued client's byte rate allows its next request."""
        at = self.fair.next_at()
        if at is not None and (self._alarm is None or self._alarm.when() > at):
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = self.loop.call_at(at, self._awake)

    def _awake(self) -> None:
        self._alarm = None
        self._start_next()


def _complete(later: asyncio.Future[Answer], answer: Answer) -> None:
    if not later.done():
        later.set_result(answer)


class FairHandler:
    """A handler that answers with another one, a few requests per client at once, clients in turn.

    Requests that wait for a change have a queue of their own.
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
        """Must be made inside a running loop.

        `limits` apply to requests that are answered at once, `waiting` to those that wait for a
        change. `pause`: seconds for which a place stays taken after `handler` refused a request
        without awaiting (PAUSED).
        """
        self._client_of = client_of
        self._refuse = refuse
        self._at_once = _Queue(handler, limits, pause)
        self._waiting = _Queue(handler, waiting, pause)
        self._loop = asyncio.get_running_loop()
        self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep)

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request, now or in its turn."""
        waits = may_wait(request.target)
        queue = self._waiting if waits else self._at_once
        result = queue.ask(self._client_of(request), request)
        if result is not None:
            return result
        full = Refusal.TOO_MANY_WAITERS if waits else Refusal.TOO_MANY_AT_ONCE
        return self._refused_later(self._refuse(full, request))

    def _refused_later(self, answer: Answer) -> Awaitable[Answer]:
        """Refuse after a delay: clients repeat at once, and each refusal costs CPU."""
        later = self._loop.create_future()
        alarm = self._loop.call_later(FULL_PAUSE, _complete, later, answer)
        later.add_done_callback(lambda _: alarm.cancel())
        return later

    @property
    def queued(self) -> int:
        """Return the number of queued requests."""
        return self._at_once.fair.queued + self._waiting.fair.queued

    def close(self) -> None:
        """End the periodic sweep."""
        self._sweeper.cancel()

    def _sweep(self) -> None:
        for queue in (self._at_once, self._waiting):
            for waiting in queue.sweep():
                if not waiting.done():
                    waiting.set_result(self._refuse(Refusal.TOO_MANY_AT_ONCE, waiting.request))
        self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep)
