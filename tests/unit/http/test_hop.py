"""A hop as a value: its tasks run and are restarted, its closers are called."""

import asyncio
from contextlib import AsyncExitStack

from a9fe.http.hop import Hop
from a9fe.wire.message import Answer, Request
from tests.kit.http_world import run, until


def handler(request: Request) -> Answer:
    return Answer(status=200)


def test_a_failed_task_is_restarted_and_cancelling_run_ends_all_tasks():
    async def main():
        starts, ended = [], []

        async def failing():
            starts.append(1)
            if len(starts) == 1:
                raise OSError("once")
            await asyncio.Event().wait()

        async def steady():
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("steady")

        running = asyncio.ensure_future(
            Hop(handler=handler, tasks={"failing": failing, "steady": steady}).run()
        )
        await until(lambda: len(starts) == 2)
        running.cancel()
        await asyncio.wait([running])
        return running.cancelled(), ended

    assert run(main) == (True, ["steady"])


def test_close_releases_in_reverse_order():
    async def main():
        closed = []
        closers = AsyncExitStack()
        for name in ("replica", "upstream", "queue"):
            closers.callback(closed.append, name)
        await Hop(handler=handler, closers=closers).close()
        return closed

    assert run(main) == ["queue", "upstream", "replica"]
