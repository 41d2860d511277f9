"""Change an answer when it arrives, without a task."""

import asyncio
from collections.abc import Awaitable, Callable

from a9fe.wire.message import Answer


class MappedAnswer(asyncio.Future[Answer]):
    """A future of `change(answer)`, or of the exception of `pending`.

    Cancelling it cancels `pending`, so that the next hop sees its client disconnect.
    """

    def __init__(self, pending: Awaitable[Answer], change: Callable[[Answer], Answer]) -> None:
        """Must be made inside a running loop."""
        self._pending = asyncio.ensure_future(pending)
        super().__init__(loop=self._pending.get_loop())
        self._change = change
        self._pending.add_done_callback(self._ended)

    def cancel(self, msg: str | None = None) -> bool:
        """Cancel this and `pending`."""
        cancelled = super().cancel(msg)
        self._pending.cancel(msg)
        return cancelled

    def _ended(self, pending: asyncio.Future[Answer]) -> None:
        if pending.cancelled():
            super().cancel()
            return
        error = pending.exception()  # marks it as retrieved
        if self.done():
            return
        if error is not None:
            self.set_exception(error)
            return
        try:
            self.set_result(self._change(pending.result()))
        except Exception as defect:  # noqa: BLE001 - the awaiting code handles it
            self.set_exception(defect)
