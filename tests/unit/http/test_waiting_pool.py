"""Two pools to one upstream: waiting requests take no connection from others."""

import asyncio

import pytest

from a9fe.http.upstream.addresses import Addresses
from a9fe.http.upstream.errors import UpstreamFull
from a9fe.http.upstream.target import Target
from a9fe.http.upstream.waiting_pool import UpstreamPools
from a9fe.wire.limits import MAX_UPSTREAM_CONNECTIONS
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal
from tests.kit.http_world import run, serving, until


def get(target: bytes) -> Request:
    return Request(method=b"GET", target=target, headers=((b"host", b"a"),))


def at(directory) -> Addresses:
    return Addresses([Target(path=str(directory / "s"))])


WAITING = get(b"/latest?wait_for_change=true")
PLAIN = get(b"/latest")


class Slow:
    """Answer at once, but waiting requests when `news` is set."""

    def __init__(self) -> None:
        self.waiting = 0
        self.news = asyncio.Event()

    def __call__(self, request: Request):
        return self._wait() if b"?" in request.target else Answer(status=200, body=b"now")

    async def _wait(self) -> Answer:
        self.waiting += 1
        try:
            await self.news.wait()
        finally:
            self.waiting -= 1
        return Answer(status=200, body=b"then")


def test_waiting_requests_do_not_delay_others(tmp_path):
    async def main():
        slow = Slow()
        async with serving(slow, path=str(tmp_path / "s")):
            pools = UpstreamPools(at(tmp_path), timeout=30.0)
            many = MAX_UPSTREAM_CONNECTIONS + 50
            waiters = [pools(WAITING) for _ in range(many)]
            await until(lambda: slow.waiting == many)
            assert (await pools(PLAIN)).body == b"now"
            slow.news.set()
            assert {answer.body for answer in await asyncio.gather(*waiters)} == {b"then"}
            pools.close()

    run(main)


def test_a_waiting_request_above_the_limit_is_refused_until_a_place_is_free(tmp_path):
    async def main():
        slow = Slow()
        async with serving(slow, path=str(tmp_path / "s")):
            pools = UpstreamPools(at(tmp_path), timeout=30.0, max_waiting=2)
            first, second = pools(WAITING), pools(WAITING)
            with pytest.raises(UpstreamFull) as refused:
                await pools(WAITING)
            assert refused.value.refusal is Refusal.TOO_MANY_WAITERS
            await until(lambda: slow.waiting == 2)
            first.cancel()
            await until(lambda: slow.waiting == 1)
            third = pools(WAITING)
            await until(lambda: slow.waiting == 2)
            slow.news.set()
            assert (await second).body == (await third).body == b"then"
            pools.close()

    run(main)


def test_at_the_end_waiting_requests_get_the_present_document(tmp_path):
    async def main():
        slow = Slow()
        pools = UpstreamPools(at(tmp_path), timeout=30.0)

        def present(request: Request):
            return slow(get(b"/") if b"wait_for_change=false" in request.target else request)

        async with serving(present, path=str(tmp_path / "s")):
            running = asyncio.ensure_future(pools.run())
            waiter = pools(WAITING)
            await until(lambda: slow.waiting == 1)
            running.cancel()
            assert (await waiter).body == b"now"
            pools.close()

    run(main)
