"""The hops of a host joined by calls over filled replicas: as three hops, and as one."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from a9fe.http.hop import Hop
from a9fe.http.report import Report
from a9fe.metadata_agent import hop as agent_hop
from a9fe.metadata_host import hop as host_hop
from a9fe.metadata_proxy import hop as proxy_hop
from a9fe.metadata_service import hop as service_hop
from a9fe.model.resources import Resource
from a9fe.replica import open_for
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config, load
from a9fe.wire.message import Answer, Listener, Request
from tests.kit.feed_events import feed, snapshot
from tests.kit.http_world import Tally
from tests.kit.service_world import RESOURCES, VIEW

PORT = VIEW.ports[0]
LISTENER = Listener(
    kind="network", id=PORT.network_id, namespace="qdhcp", address="169.254.169.254", port=80
)
FEEDS = (agent_hop.FEED_AGENT, service_hop.FEED_AGENT)
SYNCED = 7


@dataclass
class Joined:
    """The hops of one shape. `hops` begins with the one that faces the guest."""

    hops: list[Hop]
    tally: Tally = field(default_factory=Tally)

    async def ask(self, request: Request) -> Answer:
        """Return what the guest gets."""
        answer = self.hops[0].handler(request)
        answer = answer if isinstance(answer, Answer) else await answer
        outgoing = self.hops[0].outgoing
        return outgoing(answer) if outgoing else answer


def config_of(
    directory: Path,
    resources: tuple[Resource, ...] = RESOURCES,
    *,
    ago: float = 0.0,
    **given: str,
) -> Config:
    """Return a configuration with filled replicas for all hops; no feed is followed.

    The replicas last heard of the server `ago` seconds ago.
    """
    flags = {"metadata_proxy_shared_secret": "s3cret", **given}
    paths = {"state_path": str(directory / "state"), "run_path": str(directory / "run")}
    config = load({**paths, **flags})
    (directory / "state" / "imds").mkdir(parents=True, exist_ok=True)
    (directory / "run").mkdir(exist_ok=True)
    for agent in FEEDS:
        replica = open_for(config, agent)
        feed(replica, *snapshot(SYNCED, *resources), now=SystemClock().now() - ago)
        replica.close()
    return config


@asynccontextmanager
async def split(config: Config) -> AsyncGenerator[Joined, None]:
    """Yield proxy, agent and service, each the upstream of the one before."""
    tally = Tally()
    async with AsyncExitStack() as closers:
        service = await service_hop.build_hop(config, Report("metadata-service", tally))
        closers.push_async_callback(service.close)
        report = Report("metadata-agent", tally)
        agent = await agent_hop.build_hop(config, report, upstream=service.handler)
        closers.push_async_callback(agent.close)
        report = Report("metadata-proxy", tally)
        proxy = proxy_hop.build_hop(config, report, upstream=agent.handler)
        closers.push_async_callback(proxy.close)
        yield Joined([proxy, agent, service], tally)


@asynccontextmanager
async def host(config: Config) -> AsyncGenerator[Joined, None]:
    """Yield the metadata host."""
    tally = Tally()
    async with AsyncExitStack() as closers:
        hop = await host_hop.build_hop(config, Report("metadata-host", tally))
        closers.push_async_callback(hop.close)
        yield Joined([hop], tally)


SHAPES = {"host": host, "split": split}


def guest_request(target: bytes = b"/", **of: object) -> Request:
    """Return a request of the VM of VIEW on its network; `of` are fields of Request."""
    request = Request(
        method=b"GET",
        target=target,
        headers=(),
        client_address=PORT.fixed_ips[0].ip_address,
        listener=LISTENER,
    )
    return replace(request, **of)
