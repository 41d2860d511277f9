"""The server under uvicorn on its own port, and readers of its change feed."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from a9fe.server import main
from a9fe.server.feed.hub import Hub
from a9fe.server.feed.stream import QUEUE_MAX
from a9fe.store import Store
from tests.kit.databases import DATABASES
from tests.kit.fake_clock import FakeClock
from tests.kit.server_world import server_config

DEADLINE = 20.0


class Running:
    """A server on its own port."""

    def __init__(self, directory: Path, queue_max: int = QUEUE_MAX) -> None:
        clock = FakeClock()
        self.store = Store(DATABASES.fresh(directory), clock.now)
        self.server = main.prepare(
            server_config(),
            self.store,
            clock,
            hub=Hub(self.store, queue_max=queue_max),
        )
        self.network_id = ""
        self.listener = main.listen("127.0.0.1", 0)
        self.port_number = self.listener.getsockname()[1]
        self.client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port_number}", timeout=DEADLINE, verify=False
        )

    async def network(self, name: str) -> Any:
        answer = await self.client.post("/v2.0/networks", json={"network": {"name": name}})
        assert answer.status_code == 201
        return answer.json()["network"]

    async def port(self, name: str, host: str = "h1") -> Any:
        """Create a port bound to a host; all ports are on one network."""
        if not self.network_id:
            self.network_id = (await self.network("the one"))["id"]
        port = {"name": name, "network_id": self.network_id, "binding:host_id": host}
        answer = await self.client.post("/v2.0/ports", json={"port": port})
        assert answer.status_code == 201
        return answer.json()["port"]

    async def served_instance(self) -> Any:
        """Create an instance on a network that the agents of the host "here" serve."""
        for kind in ("DHCP agent", "L3 agent"):
            report = {"agent_type": kind, "binary": "x", "host": "here", "start": True}
            await self.client.post("/a9fe/v1/agents/report", json=report)
        network = await self.network("a")
        subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.1.0.0/24"}
        await self.client.post("/v2.0/subnets", json={"subnet": subnet})
        instance = {"instance": {"name": "web1", "network": "a", "user_data": "AP8="}}
        answer = await self.client.post("/a9fe/v1/instances", json=instance)
        assert answer.status_code == 201
        return answer.json()["instance"]

    @contextlib.asynccontextmanager
    async def follow(self, query: str) -> AsyncIterator["Reader"]:
        async with self.client.stream("GET", f"/a9fe/v1/feed?{query}") as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/x-ndjson"
            yield Reader(answer)

    async def streams(self) -> list[str]:
        return (await self.client.get("/a9fe/v1/status")).json()["streams"]


class Reader:
    """The events of one stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def event(self) -> Any:
        """Return the next event; skip hello, which comes first."""
        async with asyncio.timeout(DEADLINE):
            found = json.loads(await anext(self._lines))
        return await self.event() if found["event"] == "hello" else found

    async def until(self, name: str) -> list[Any]:
        """Return the events up to the first with that name."""
        seen = [await self.event()]
        while seen[-1]["event"] != name:
            seen.append(await self.event())
        return seen

    async def until_kind(self, kind: str) -> list[Any]:
        """Return the events up to the first of that kind."""
        seen = [await self.event()]
        while seen[-1].get("kind") != kind:
            seen.append(await self.event())
        return seen


@contextlib.asynccontextmanager
async def running(directory: Path, **options: int) -> AsyncIterator[Running]:
    world = Running(directory, **options)
    serving = asyncio.ensure_future(main.serve(world.server, world.listener))
    try:
        yield world
    finally:
        await world.client.aclose()
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(DEADLINE):
                await serving
        world.store.close()
