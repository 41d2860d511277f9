"""A host that signs, the server that publishes its keys, and a clock for both."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from a9fe.api_client.agent_client import AgentClient
from a9fe.metadata.identity.key_schedule import Policy
from a9fe.metadata.instance_view import Settings
from a9fe.metadata_service.identity.key_ring import KeyRing, publisher
from a9fe.metadata_service.identity.requests import require_key, token_actions
from a9fe.metadata_service.identity.signing_keys import KeyDirectory
from a9fe.wire.message import Answer
from a9fe.wire.refusals import refuse
from tests.golden.metadata.scenarios import zeros
from tests.kit.server_world import World, front_door, server_config
from tests.kit.service_world import (
    RESOURCES,
    SYNCED,
    FakeSource,
    always_certain,
    signed,
    signed_service,
)

DAY, HOUR = 86400, 3600
ISSUER = "https://cloud.example.org"
POLICY = Policy(lifetime=7 * DAY, token_lifetime=HOUR)


class Network(httpx.AsyncBaseTransport):
    """The network between a host and the server, which can be cut."""

    def __init__(self, world: World) -> None:
        self._app = httpx.ASGITransport(world.app)
        self.is_cut = False
        self.sent = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_cut:
            raise httpx.ConnectError("no way there")
        self.sent += 1
        return await self._app.handle_async_request(request)


class Host:
    """A metadata service with its keys; `restart` makes a new one over the same files."""

    def __init__(self, world: World, path: Path, name: str = "node1") -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        self.world, self.path, self.name = world, path, name
        self.network = Network(world)
        self.instance = RESOURCES[0]
        self.restart()

    def restart(self) -> None:
        calls = AgentClient("http://server", self.name, self.network)
        directory = KeyDirectory(self.path, self.name)
        self.keys = KeyRing(directory, publisher(calls), POLICY, self.world.clock)
        self.actions = token_actions(self.keys, HOUR)

    def step(self) -> str:
        """Run one background step; return why a key is not published."""
        return self.world.run(self.keys.step())

    def ask(self, path: str, method: bytes = b"GET") -> Answer:
        """Return what the guest gets."""
        signer = self.keys.document_signer("x86_64")
        service = signed_service(
            confirm=always_certain,
            source=FakeSource((self.instance, *RESOURCES[1:]), SYNCED),
            settings=lambda: Settings(identity=signer),
            now=self.world.clock.now,
            random_bytes=zeros,
            source_lost_after=60,
            refuse=lambda refusal, *_: refuse(refusal),
            gates=(require_key(self.keys),),
            actions=self.actions,
        )
        answer = service(signed(path.encode(), method=method))
        assert isinstance(answer, Answer)
        return answer

    def read(self, name: str) -> bytes:
        """Return a leaf of the identity tree."""
        answer = self.ask(f"/latest/dynamic/instance-identity/{name}")
        assert answer.status == 200
        return answer.body

    def token(self, query: str = "audience=vault") -> str:
        answer = self.ask(f"/openstack/latest/identity?{query}")
        assert answer.status == 200, answer.body
        return answer.body.decode()


@dataclass
class Cloud:
    """The server at a URL, and its one host."""

    world: World
    host: Host
    url: str

    def get(self, path: str) -> httpx.Response:
        """Send GET over HTTP, as a relying party does."""
        url = path if "://" in path else self.url + path
        return httpx.get(url, trust_env=False, verify=False)

    def keys(self) -> list[str]:
        """Return the published key ids."""
        return [key["kid"] for key in self.get("/a9fe/v1/identity/jwks").json()["keys"]]


@contextmanager
def cloud(path: Path) -> Iterator[Cloud]:
    """A server without keys, and a host."""
    world = World(path, server_config(identity_issuer=ISSUER))
    try:
        with front_door(world) as url:
            yield Cloud(world=world, host=Host(world, path / "identity"), url=url)
    finally:
        world.close()
