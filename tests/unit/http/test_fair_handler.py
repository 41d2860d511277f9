"""The fair handler over real sockets, with handlers that answer, wait and fail."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from a9fe.http.report import silent_report
from a9fe.http.server.fair_handler import FairHandler
from a9fe.wire.limits import AT_ONCE, WAITING
from a9fe.wire.message import Answer
from tests.kit.http_world import LOOPS, echo, run, serving, turns

BOTH = pytest.mark.parametrize("loop", LOOPS)
WAIT = b"GET /?wait_for_change=true HTTP/1.1\r\nHost: a\r\n\r\n"


def get(client: str, path: str = "") -> bytes:
    return f"GET /{client}/{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def named(request) -> tuple[str, str]:
    """Return the first part of the path, so that one address can be many clients."""
    return "net", request.target.split(b"/")[1].partition(b"?")[0].decode()


class Hanging:
    """A handler that answers when `go` is set, and counts its requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ended = 0
        self.go = asyncio.Event()

    async def __call__(self, request) -> Answer:
        self.asked.append(named(request)[1])
        try:
            if b"quick" not in request.target:
                await self.go.wait()
            return echo(request)
        finally:
            self.ended += 1


@asynccontextmanager
async def fair(handler, limits=AT_ONCE, **options):
    front = FairHandler(
        handler, named, silent_report().refusal, limits=limits, waiting=WAITING, **options
    )
    async with serving(front) as world:
        yield world, front
    front.close()


@BOTH
def test_one_guest_has_a_few_running_requests_and_others_are_answered(loop):
    async def main():
        hanging = Hanging()
        async with fair(hanging) as (world, front):
            noisy = [await world.client() for _ in range(50)]
            for client in noisy:
                await client.send(get("noisy"))
            await world.until(lambda: front.queued == 46)
            assert hanging.asked == ["noisy"] * 4
            other = await world.client()
            assert (await other.ask(get("other", "quick"))).status == 200
            hanging.go.set()
            assert {(await client.answer()).status for client in noisy} == {200}
            assert front.queued == 0

    run(main, loop)


@BOTH
def test_a_pipeline_runs_one_request_at_a_time_and_does_not_delay_a_neighbour(loop):
    """Answers without awaiting: the event loop turns between them."""
    asked = []

    def handler(request):
        asked.append(named(request)[1])
        return echo(request)

    async def main():
        async with fair(handler) as (world, _):
            noisy, other = await world.client(), await world.client()
            await noisy.send(get("noisy") * 300)
            await world.until(lambda: asked)
            assert (await other.ask(get("other"))).status == 200
            assert asked.index("other") < 100
            for _ in range(300):
                assert (await noisy.answer()).status == 200

    run(main, loop)


@BOTH
def test_a_request_that_is_queued_too_long_is_refused(loop):
    async def main():
        hanging = Hanging()
        limits = replace(AT_ONCE, at_once_per_client=1, wait=0.05)
        async with fair(hanging, limits) as (world, front):
            first, second = await world.client(), await world.client()
            await first.send(get("noisy"))
            await world.until(lambda: hanging.asked)
            got = await second.ask(get("noisy"))
            assert (got.status, got.headers["retry-after"]) == (503, "1")
            assert front.queued == 0
            hanging.go.set()
            assert (await first.answer()).status == 200

    run(main, loop)


@BOTH
def test_a_queued_request_whose_client_leaves_is_not_run(loop):
    async def main():
        hanging = Hanging()
        async with fair(hanging, replace(AT_ONCE, at_once_per_client=1)) as (world, front):
            first, second, third = [await world.client() for _ in range(3)]
            await first.send(get("noisy"))
            await world.until(lambda: hanging.asked)
            for client in (second, third):
                await client.send(get("noisy"))
            await world.until(lambda: front.queued == 2)
            second.reset()
            await world.until(lambda: front.queued == 1)
            first.reset()
            await world.until(lambda: len(hanging.asked) == 2)
            third.reset()  # under way, after its time in line
            await world.until(lambda: hanging.ended == 2)

    run(main, loop)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_handlers_defect_is_500_and_frees_its_place(at_once):
    def broken(request):
        if at_once:
            raise KeyError("defect")
        return later()

    async def later():
        await turns(3)
        raise KeyError("defect")

    async def main():
        async with fair(broken, replace(AT_ONCE, at_once_per_client=1)) as (world, front):
            clients = [await world.client() for _ in range(3)]
            for client in clients:
                await client.send(get("noisy"))
            assert {(await client.answer()).status for client in clients} == {500}
            assert front.queued == 0

    run(main)


def test_requests_that_wait_for_a_change_take_no_place_from_others():
    async def main():
        hanging = Hanging()
        async with fair(hanging) as (world, _):
            waiting = [await world.client() for _ in range(17)]
            for client in waiting:
                await client.send(WAIT)
            await world.until(lambda: len(hanging.asked) == 16)
            refused = asyncio.ensure_future(waiting[16].answer())
            assert (await (await world.client()).ask(get("", "quick"))).status == 200
            assert not refused.done()  # else it would be asked for again at once
            assert (await refused).status == 503
            assert len(hanging.asked) == 17

    run(main)


def test_immediate_refusals_keep_their_places_for_the_pause():
    async def main():
        async with fair(lambda _: Answer(status=429), pause=1000.0) as (world, front):
            clients = [await world.client() for _ in range(6)]
            for client in clients:
                await client.send(get("noisy"))
            assert [(await client.answer()).status for client in clients[:4]] == [429] * 4
            await world.until(lambda: front.queued == 2)
            assert (await (await world.client()).ask(get("other"))).status == 429

    run(main)


def test_large_answers_delay_their_own_guest_only():
    async def main():
        big = Answer(status=200, body=b"x" * 100_000)
        limits = replace(AT_ONCE, byte_rate=1, burst_bytes=1000)
        async with fair(lambda _: big, limits) as (world, front):
            noisy, other = await world.client(), await world.client()
            assert (await noisy.ask(get("noisy"))).status == 200
            await noisy.send(get("noisy"))
            await world.until(lambda: front.queued == 1)
            assert (await other.ask(get("other"))).status == 200
            assert front.queued == 1

    run(main)
