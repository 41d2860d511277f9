"""All hops in one process, joined by calls instead of sockets: as three hops, and as one."""

import asyncio
from pathlib import Path

import pytest

from a9fe.wire.message import Answer
from a9fe.wire.refusals import Refusal
from tests.golden.metadata.scenarios import INSTANCE_ID
from tests.kit.http_world import run, turns
from tests.kit.joined_hops import PORT, SHAPES, VIEW, config_of, guest_request

pytestmark = pytest.mark.parametrize("shape", SHAPES)


def asked(tmp_path: Path, shape: str, target: bytes, **of: str) -> tuple[Answer, list[Refusal]]:
    """Return what a guest gets, and the refusals of all hops."""

    async def main() -> tuple[Answer, list[Refusal]]:
        async with SHAPES[shape](config_of(tmp_path)) as hops:
            return await hops.ask(guest_request(target, **of)), hops.tally.refusals

    return run(main)


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (b"/openstack/latest/meta_data.json", INSTANCE_ID.encode()),
        (b"/latest/user-data", VIEW.instance.user_data),
    ],
)
def test_calls_answer_a_guest(tmp_path: Path, shape: str, target: bytes, body: bytes):
    answer, refusals = asked(tmp_path, shape, target)
    assert (answer.status, body in answer.body, refusals) == (200, True, [])
    assert answer.owner == f"{PORT.id}/{INSTANCE_ID}".encode()
    names = {name for name, _ in answer.headers}
    assert [name for name in names if name.startswith(b"x-a9fe")] == []


def test_an_unknown_address_is_503_while_the_feed_is_not_followed(tmp_path: Path, shape: str):
    answer, refusals = asked(tmp_path, shape, b"/", client_address="10.1.0.99")
    assert (answer.status, refusals) == (503, [Refusal.NOT_SYNCED])


def test_when_the_service_stops_its_waiting_guests_are_answered_first(tmp_path: Path, shape: str):
    async def main() -> Answer:
        async with SHAPES[shape](config_of(tmp_path)) as hops:
            first = await hops.ask(guest_request(b"/latest/user-data"))
            etag = dict(first.headers)[b"etag"].strip(b'"')
            waiting = b"/latest/user-data?wait_for_change=true&last_etag=" + etag
            guest = asyncio.ensure_future(hops.ask(guest_request(waiting)))
            running = asyncio.ensure_future(hops.hops[-1].tasks["waiters"]())
            await turns()
            assert not guest.done()
            running.cancel()
            return await guest

    answer = run(main)
    assert (answer.status, answer.body) == (200, VIEW.instance.user_data)
