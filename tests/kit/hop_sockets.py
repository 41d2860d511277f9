"""The hops of a host on real sockets, in one event loop, by shape: what a guest connects to."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from socket import create_server
from typing import Any

from a9fe.http.hop import Hop
from a9fe.http.report import Report
from a9fe.http.server.server import serve
from a9fe.metadata_agent import hop as agent_hop
from a9fe.metadata_host import hop as host_hop
from a9fe.metadata_proxy import hop as proxy_hop
from a9fe.metadata_service import hop as service_hop
from a9fe.model.resources import FixedIp
from a9fe.runtime.config import Config
from tests.kit import joined_hops
from tests.kit.http_world import Tally, World, turns

HOST = "127.0.0.1"  # the guest's address too: it connects from there
USER_DATA = bytes(range(256)) * 200
INSTANCE = replace(joined_hops.VIEW.instance, user_data=USER_DATA)
PORT = replace(
    joined_hops.PORT,
    fixed_ips=(FixedIp(subnet_id=joined_hops.PORT.fixed_ips[0].subnet_id, ip_address=HOST),),
)
RESOURCES = (
    INSTANCE,
    PORT,
    *joined_hops.VIEW.networks.values(),
    *joined_hops.VIEW.subnets.values(),
)


def config_of(directory: Path, **given: str) -> Config:
    """Return a configuration with filled replicas for all hops; no feed is followed."""
    return joined_hops.config_of(directory, RESOURCES, nova_metadata_host=HOST, **given)


class _Sockets:
    """Serves hops on sockets, and closes them in reverse order."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.closers = AsyncExitStack()

    def report(self, process: str) -> Report:
        return Report(process, self.tally)

    async def serve(self, hop: Hop, **where: Any) -> World:
        self.closers.push_async_callback(hop.close)
        server = await serve(
            hop.handler, report=self.report("test"), outgoing=hop.outgoing, **where
        )
        self.closers.push_async_callback(server.close, 0.5)
        world = World(server, self.tally, where.get("path"))
        self.closers.push_async_callback(_leave, world)
        return world

    async def serve_guests(self, hop: Hop) -> World:
        sock = create_server((HOST, 0))
        world = await self.serve(hop, sock=sock, listener=joined_hops.LISTENER)
        world.address = sock.getsockname()
        return world

    async def serve_hop_1_and_2(self, config: Config) -> World:
        agent = await agent_hop.build_hop(config, self.report("metadata-agent"))
        await self.serve(agent, path=config.metadata_proxy_socket)
        proxy = proxy_hop.build_hop(config, self.report("metadata-proxy"))
        return await self.serve_guests(proxy)


async def _leave(world: World) -> None:
    for client in world.clients:
        client.writer.transport.abort()
    await turns(10)


@asynccontextmanager
async def hop_1_and_2(directory: Path, service_port: int, **given: str) -> AsyncGenerator[World]:
    """Serve proxy and agent, each on its socket, in front of a service at `service_port`."""
    config = config_of(directory, nova_metadata_port=str(service_port), **given)
    sockets = _Sockets()
    async with sockets.closers:
        yield await sockets.serve_hop_1_and_2(config)


@asynccontextmanager
async def split(directory: Path) -> AsyncGenerator[World]:
    """Serve all three hops, each on its socket."""
    sockets = _Sockets()
    with create_server((HOST, 0)) as sock:
        config = config_of(directory, nova_metadata_port=str(sock.getsockname()[1]))
        async with sockets.closers:
            service = await service_hop.build_hop(config, sockets.report("metadata-service"))
            await sockets.serve(service, sock=sock)
            yield await sockets.serve_hop_1_and_2(config)


@asynccontextmanager
async def host(directory: Path) -> AsyncGenerator[World]:
    """Serve the metadata host."""
    sockets = _Sockets()
    async with sockets.closers:
        hop = await host_hop.build_hop(config_of(directory), sockets.report("metadata-host"))
        yield await sockets.serve_guests(hop)


SHAPES = {"host": host, "split": split}
