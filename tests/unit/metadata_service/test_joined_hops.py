"""All three hops in one process, joined by calls instead of sockets."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from a9fe.http.hop import Hop
from a9fe.http.report import Report
from a9fe.metadata_agent import hop as agent_hop
from a9fe.metadata_proxy import hop as proxy_hop
from a9fe.metadata_service import hop as service_hop
from a9fe.replica import open_for
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config, load
from a9fe.wire.message import Answer, Listener, Request
from a9fe.wire.refusals import Refusal
from tests.golden.metadata.scenarios import INSTANCE_ID, one_card
from tests.kit.feed_events import feed, snapshot
from tests.kit.http_world import Tally, run, turns

VIEW = one_card()
PORT = VIEW.ports[0]
RESOURCES = (VIEW.instance, *VIEW.ports, *VIEW.networks.values(), *VIEW.subnets.values())
LISTENER = Listener(
    kind="network", id=PORT.network_id, namespace="qdhcp", address="169.254.169.254", port=80
)
SYNCED = 7


def config_of(tmp_path: Path) -> Config:
    """Return a configuration for the three hops; their replicas are filled."""
    config = load(
        {
            "state_path": str(tmp_path / "state"),
            "run_path": str(tmp_path / "run"),
            "metadata_proxy_shared_secret": "s3cret",
        },
        {},
    )
    for agent in (agent_hop.FEED_AGENT, service_hop.FEED_AGENT):
        replica = open_for(config, agent)
        feed(replica, *snapshot(SYNCED, *RESOURCES), now=SystemClock().now())
        replica.close()
    return config


async def joined(config: Config, tally: Tally, closers: AsyncExitStack) -> list[Hop]:
    """Return proxy, agent and service, each the upstream of the one before."""
    service = await service_hop.build_hop(config, Report("metadata-service", tally))
    closers.push_async_callback(service.close)
    report = Report("metadata-agent", tally)
    agent = await agent_hop.build_hop(config, report, upstream=service.handler)
    closers.push_async_callback(agent.close)
    report = Report("metadata-proxy", tally)
    proxy = proxy_hop.build_hop(config, report, upstream=agent.handler)
    closers.push_async_callback(proxy.close)
    return [proxy, agent, service]


async def ask(proxy: Hop, target: bytes, peer: str = PORT.fixed_ips[0].ip_address) -> Answer:
    """Return what a guest gets."""
    request = Request(
        method=b"GET", target=target, headers=(), client_address=peer, listener=LISTENER
    )
    answer = proxy.handler(request)
    answer = answer if isinstance(answer, Answer) else await answer
    return proxy.outgoing(answer) if proxy.outgoing else answer


def asked(tmp_path: Path, target: bytes, **of: str) -> tuple[Answer, list[Refusal]]:
    """Return what a guest gets, and the refusals of all hops."""
    tally = Tally()

    async def main() -> Answer:
        async with AsyncExitStack() as closers:
            proxy, *_ = await joined(config_of(tmp_path), tally, closers)
            return await ask(proxy, target, **of)

    return run(main), tally.refusals


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (b"/openstack/latest/meta_data.json", INSTANCE_ID.encode()),
        (b"/latest/user-data", VIEW.instance.user_data),
    ],
)
def test_three_calls_answer_a_guest(tmp_path: Path, target: bytes, body: bytes):
    answer, refusals = asked(tmp_path, target)
    assert (answer.status, body in answer.body, refusals) == (200, True, [])
    assert answer.owner == f"{PORT.id}/{INSTANCE_ID}".encode()
    names = {name for name, _ in answer.headers}
    assert [name for name in names if name.startswith(b"x-a9fe")] == []


def test_an_unknown_address_is_503_while_the_feed_is_not_followed(tmp_path: Path):
    answer, refusals = asked(tmp_path, b"/", peer="10.1.0.99")
    assert (answer.status, refusals) == (503, [Refusal.NOT_SYNCED])


def test_when_the_service_stops_its_waiting_guests_are_answered_first(tmp_path: Path):
    async def main() -> Answer:
        async with AsyncExitStack() as closers:
            proxy, _, service = await joined(config_of(tmp_path), Tally(), closers)
            etag = dict((await ask(proxy, b"/latest/user-data")).headers)[b"etag"].strip(b'"')
            waiting = b"/latest/user-data?wait_for_change=true&last_etag=" + etag
            guest = asyncio.ensure_future(ask(proxy, waiting))
            running = asyncio.ensure_future(service.tasks["waiters"]())
            await turns()
            assert not guest.done()
            running.cancel()
            return await guest

    answer = run(main)
    assert (answer.status, answer.body) == (200, VIEW.instance.user_data)
