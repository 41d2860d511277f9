"""Commands of `a9fe`, typed at FakeApi or at a real server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from a9fe.cli.main import main
from tests.kit.fake_api import FakeApi
from tests.kit.running_server import Running, running


class Typing:
    """Run commands against a server that runs in this event loop."""

    def __init__(self, world: Running) -> None:
        self.world = world

    async def type(self, line: str) -> Result:
        url = f"http://127.0.0.1:{self.world.port_number}"
        environment = {"A9FE_SERVER_URL": url, "A9FE_CONFIG_FILE": None}
        return await asyncio.to_thread(CliRunner().invoke, main, line.split(), env=environment)

    async def ok(self, line: str) -> str:
        result = await self.type(line)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    async def instance(self, name: str, **more: object) -> Any:
        given = {"instance": {"name": name, **more}}
        answer = await self.world.client.post("/a9fe/v1/instances", json=given)
        return answer.json()["instance"]

    async def options(self, name: str) -> Any:
        answer = await self.world.client.get("/a9fe/v1/instances", params={"name": name})
        (found,) = answer.json()["instances"]
        return found["metadata_options"]

    async def asked(self, id: str, v1: int, v2: int, at: str) -> None:
        one = {"instance_id": id, "v1_requests": v1, "v2_requests": v2}
        times = {"v1_last_at": at if v1 else "", "v2_last_at": at if v2 else ""}
        body = {"host": "node1", "usage": [{**one, **times}]}
        answer = await self.world.client.post("/a9fe/v1/imds-usage", json=body)
        assert answer.status_code == 200


def typing(directory: Path, story: Callable[[Typing], Awaitable[None]]) -> None:
    async def told() -> None:
        async with running(directory) as world:
            await story(Typing(world))

    asyncio.run(told())


class Shell:
    """Run commands against a fake API."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api

    def type(self, line: str, *more: str) -> Result:
        environment = {"A9FE_SERVER_URL": self.api.url, "A9FE_CONFIG_FILE": None}
        return CliRunner().invoke(main, [*line.split(), *more], env=environment)

    def ok(self, line: str, *more: str) -> str:
        result = self.type(line, *more)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    def json(self, line: str, *more: str) -> Any:
        return json.loads(self.ok(line, *more, "--json"))

    def refused(self, line: str, *more: str, status: int = 1) -> str:
        """Return the one line of stderr of a command that must fail."""
        result = self.type(line, *more)
        assert result.exit_code == status, (result.stdout, result.stderr)
        assert result.stdout == ""
        (said,) = result.stderr.splitlines()
        assert said.startswith("a9fe: error: ")
        assert "defect" not in said
        return said
