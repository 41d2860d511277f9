"""A server over a temporary store, called through its ASGI application."""

import asyncio
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx

from a9fe.runtime.config import Config, load
from a9fe.server.app import OPERATIONS, application
from a9fe.server.asgi.operation import Operation
from a9fe.server.auth.credentials import Authenticator, Everyone
from a9fe.server.feed.hub import Hub
from a9fe.store import Store
from tests.kit.databases import DATABASES
from tests.kit.fake_clock import FakeClock

T = TypeVar("T")


def server_config(**changes: Any) -> Config:
    """Return the default configuration of a server on host "here", with these changes."""
    plain = load(path="/dev/null")
    return replace(plain, **{"host": "here", **changes})


class World:
    """A server, and short forms of requests to it."""

    def __init__(
        self,
        directory: Path,
        config: Config | None = None,
        authenticator: Callable[[Store], Authenticator] = lambda _: Everyone(),
        operations: Iterable[Operation] = OPERATIONS,
    ) -> None:
        self.clock = FakeClock()
        self.store = Store(DATABASES.fresh(directory), self.clock.now)
        self.app = application(
            self.store,
            config or server_config(),
            self.clock,
            Hub(self.store),
            authenticator(self.store),
            operations,
        )
        transport = httpx.ASGITransport(self.app)
        self.client = httpx.AsyncClient(
            transport=transport, base_url="http://server", trust_env=False
        )
        self._loop = asyncio.Runner()

    def close(self) -> None:
        self._loop.run(self.client.aclose())
        self._loop.close()
        self.store.close()

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send one request and return the response."""
        return self._loop.run(self.client.request(method, path, **more))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's event loop."""
        return self._loop.run(coroutine)

    def call(self, method: str, path: str, body: object = None, expect: int = 200) -> Any:
        """Send a request, check the status and return the document."""
        answer = self.send(method, path, json=body)
        assert answer.status_code == expect, answer.text
        return answer.json() if answer.content else None

    def routes(self) -> list[Any]:
        """Return the routes of the application."""
        return list(self.app.routes)

    def get(self, path: str, expect: int = 200) -> Any:
        return self.call("GET", path, expect=expect)

    def error(self, method: str, path: str, body: object, expect: int) -> tuple[str, str]:
        """Return type and message of an error, and check that nothing has changed."""
        before = self.revision()
        found = self.call(method, path, body, expect)["NeutronError"]
        assert found["detail"] == ""
        assert self.revision() == before
        return found["type"], found["message"]

    def create(self, kind: str, **values: object) -> Any:
        return self.call("POST", f"/v2.0/{kind}s", {kind: values}, 201)[kind]

    def network(self, cidr: str = "10.1.0.0/24", **subnet: object) -> tuple[Any, Any]:
        """Create a network with one subnet."""
        network = self.create("network", name=f"net-{secrets.token_hex(4)}")
        return network, self.subnet(network, cidr, **subnet)

    def subnet(self, network: Any, cidr: str, **values: object) -> Any:
        version = 6 if ":" in cidr else 4
        return self.create(
            "subnet", network_id=network["id"], cidr=cidr, ip_version=version, **values
        )

    def report(self, agent_type: str = "DHCP agent", host: str = "h1", **more: object) -> str:
        """Report an agent and return its id."""
        body = {"agent_type": agent_type, "binary": "x", "host": host, **more}
        agent_id: str = self.call("POST", "/a9fe/v1/agents/report", body)["agent_id"]
        return agent_id

    def ports(self, **filters: str) -> Any:
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return self.get(f"/v2.0/ports?{query}")["ports"]

    def dhcp_ports(self, network: Any) -> Any:
        return self.ports(network_id=network["id"], device_owner="network:dhcp")

    def revision(self) -> int:
        with self.store.read() as session:
            return session.revision()


UNKNOWN = "00000000-0000-4000-8000-000000000000"


def instance_of(world: World, **more: object) -> str:
    """Create an instance without a port and return its path."""
    given = {"instance": {"name": "web1", **more}}
    made = world.call("POST", "/a9fe/v1/instances", given, 201)["instance"]
    return f"/a9fe/v1/instances/{made['id']}"


@contextmanager
def front_door(world: World) -> Iterator[str]:
    """Serve the world on a socket, for one client at a time; yield the URL."""

    class Door(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            passed = ("content-type", "x-auth-token")
            headers = {name: self.headers[name] for name in passed if name in self.headers}
            answer = world.send(self.command, self.path, content=body, headers=headers)
            self.send_response(answer.status_code)
            for name in ("content-type", "cache-control"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
