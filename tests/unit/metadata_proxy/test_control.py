"""The proxy's side of the hand-over: real sockets over a real control socket."""

import asyncio
import contextlib
import json
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import asdict, replace

import pytest

from a9fe.http.server.server import Server
from a9fe.http.server.sockets import unix_listener
from a9fe.linux.listeners.proxy_link import ProxyLink
from a9fe.metadata_proxy.control import Control
from a9fe.metadata_proxy.listeners import HeldListeners, check_listener
from a9fe.model.errors import A9feError
from a9fe.wire.handover import parse_listener
from a9fe.wire.message import Answer, Listener
from tests.kit.http_world import GET, LOOPS, Client, run, until

BOTH = pytest.mark.parametrize("loop", LOOPS)


def listener_of(sock: socket.socket, **other) -> Listener:
    port = sock.getsockname()[1]
    return replace(
        Listener(kind="network", id="n1", namespace="qdhcp-n1", address="127.0.0.1", port=port),
        **other,
    )


OLD = {"kind": "router", "id": "r", "namespace": "q", "address": "0.0.0.0", "port": 9697}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"device": "qr-1", "port_id": "p", "network_id": "n"}, None),
        ({"device": "qr-1", "port_id": "p"}, "listener.network_id"),
        ({"port_id": "p", "network_id": "n"}, "listener.port_id"),
        ({"device": "qr-1", "port_id": "p\r\n", "network_id": "n"}, "listener.port_id"),
        ({"kind": "network", "device": "ns-1"}, None),
        ({"kind": "network", "device": "ns-1", "port_id": "p"}, "listener.port_id"),
        ({"device": 1}, "listener.device: 1"),
        ({"devise": ""}, "expected an object with"),
    ],
)
def test_the_fields_of_an_interface_are_given_together_or_not_at_all(change, expected):
    document = {**OLD, **change}
    with pytest.raises(A9feError, match=expected) if expected else contextlib.nullcontext():
        check_listener(parse_listener(document))


def test_a_listener_of_an_older_agent_is_taken():
    assert parse_listener(OLD) == Listener(**OLD)


def tell(request) -> Answer:
    return Answer(status=200, body=f"{request.listener.kind} {request.listener.id}".encode())


class Proxy:
    def __init__(self, path: str, server: Server, held: HeldListeners) -> None:
        self.path, self.server, self.held = path, server, held

    def agent(self) -> "Agent":
        return Agent(self.path)


@asynccontextmanager
async def proxy(path: str, allowed: frozenset[int] | None = None):
    server = Server(tell)
    held = HeldListeners(server)
    control = Control(unix_listener(path, kind=socket.SOCK_SEQPACKET), held, allowed)
    running = asyncio.ensure_future(control.run())
    try:
        yield Proxy(path, server, held)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        held.close()
        await server.close(0.1)


class Agent:
    """An agent that sends packets as JSON; it receives in a thread: the loop can answer."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(5)
        self.sock.connect(path)

    async def ask(self, message: object, *socks: socket.socket) -> dict:
        await self.send(message, *socks)
        return (await self.receive())[0]

    async def send(self, message: object, *socks: socket.socket) -> None:
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        socket.send_fds(self.sock, [data], [sock.fileno() for sock in socks])

    async def receive(self) -> tuple[dict, list[socket.socket]]:
        data, fds, _, _ = await asyncio.to_thread(socket.recv_fds, self.sock, 65536, 253)
        return json.loads(data) if data else {}, [socket.socket(fileno=fd) for fd in fds]

    async def hello(self, owner: str = "l3_agent") -> tuple[list[dict], list[socket.socket]]:
        await self.send({"op": "hello", "owner": owner})
        listeners, socks, last = [], [], False
        while not last:
            message, more = await self.receive()
            assert message["op"] == "held"
            listeners += message["listeners"]
            socks += more
            last = message["last"]
        return listeners, socks

    async def give(self, sock: socket.socket, **other) -> dict:
        return await self.ask({"op": "give", "listener": asdict(listener_of(sock, **other))}, sock)

    def close(self) -> None:
        self.sock.close()


async def asked(sock: socket.socket) -> bytes:
    """Return a guest's answer from this listener."""
    client = Client(*await asyncio.open_connection(*sock.getsockname()[:2]))
    got = await client.ask(GET)
    client.close()
    return got.body


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "control")


@pytest.fixture
def tcp():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@BOTH
def test_given_served_taken_back_and_dropped(loop, path, tcp):
    async def main():
        async with proxy(path) as world:
            agent = world.agent()
            assert await agent.hello() == ([], [])
            assert await agent.give(tcp) == {"op": "ok"}
            assert await asked(tcp) == b"network n1"
            agent.close()

            again = world.agent()  # a restarted agent
            listeners, socks = await again.hello()
            assert listeners == [asdict(listener_of(tcp))]
            assert [s.getsockname() for s in socks] == [tcp.getsockname()]
            assert os.fstat(socks[0].fileno()).st_ino == os.fstat(tcp.fileno()).st_ino
            socks[0].close()

            drop = {"op": "drop", "key": listener_of(tcp).key}
            assert await again.ask(drop) == {"op": "ok"}
            assert await again.ask(drop) == {"op": "ok"}
            assert len(world.held) == 0
            again.close()
            address = tcp.getsockname()
            tcp.close()  # the last copy: none is left with the proxy
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*address)

    run(main, loop)


@BOTH
def test_connections_finish_when_their_listener_is_dropped(loop, path, tcp):
    async def main():
        async with proxy(path) as world:
            agent = world.agent()
            await agent.hello()
            await agent.give(tcp)
            client = Client(*await asyncio.open_connection(*tcp.getsockname()))
            assert (await client.ask(GET)).status == 200
            await agent.ask({"op": "drop", "key": listener_of(tcp).key})
            assert (await client.ask(GET)).status == 200
            client.close()
            agent.close()

    run(main, loop)


def test_the_kernel_queues_connections_while_the_proxy_restarts(path, tcp):
    """Connections made between two runs of the proxy are answered."""

    async def first():
        async with proxy(path) as world:
            agent = world.agent()
            await agent.hello()
            await agent.give(tcp)
            agent.close()

    async def second():
        async with proxy(path) as world:
            agent = world.agent()
            assert await agent.hello() == ([], [])
            client = Client(*await asyncio.open_connection(sock=waiting))
            await agent.give(tcp)
            assert (await client.ask(GET)).status == 200
            client.close()
            agent.close()

    run(first)
    waiting = socket.create_connection(tcp.getsockname())
    run(second)


def test_more_listeners_than_one_packet_carries(path):
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(401)]

    async def main():
        async with proxy(path) as world:
            agent = world.agent()
            await agent.hello()
            for sock in socks:
                assert await agent.give(sock) == {"op": "ok"}
            agent.close()
            again = world.agent()
            listeners, copies = await again.hello()
            assert [one["port"] for one in listeners] == [s.getsockname()[1] for s in socks]
            assert [c.getsockname() for c in copies] == [s.getsockname() for s in socks]
            for copy in copies:
                copy.close()
            again.close()

    run(main)
    for sock in socks:
        sock.close()


def test_owners_see_and_touch_only_their_own(path, tcp):
    async def main():
        async with proxy(path) as world:
            l3, dhcp = world.agent(), world.agent()
            await l3.hello("l3_agent")
            await l3.give(tcp)
            assert await dhcp.hello("dhcp_agent") == ([], [])
            key = listener_of(tcp).key
            error = {"op": "error", "message": f"listener {key}: belongs to l3_agent"}
            assert await dhcp.ask({"op": "drop", "key": key}) == error
            assert await dhcp.give(tcp) == error
            assert await asked(tcp) == b"network n1"
            l3.close()
            dhcp.close()

    run(main)


def test_a_second_hello_of_an_owner_ends_the_first_connection(path):
    async def main():
        async with proxy(path) as world:
            first, second = world.agent(), world.agent()
            await first.hello()
            await second.hello()
            assert await first.receive() == ({}, [])
            assert await second.hello() == ([], [])
            first.close()
            second.close()

    run(main)


def test_a_socket_given_for_another_listener_serves_that_one(path, tcp):
    async def main():
        async with proxy(path) as world:
            agent = world.agent()
            await agent.hello()
            await agent.give(tcp)
            await agent.give(tcp, kind="router", id="r1")
            assert await asked(tcp) == b"router r1"
            await agent.give(tcp, kind="router", id="r1")
            assert len(world.held) == 1
            assert await asked(tcp) == b"router r1"
            agent.close()

    run(main)


def test_a_listener_given_with_another_socket_serves_that_one(path, tcp):
    """A recreated namespace: same key, other socket."""
    other = socket.create_server(("127.0.0.1", 0))

    async def main():
        async with proxy(path) as world:
            agent = world.agent()
            await agent.hello()
            listener = asdict(listener_of(tcp))
            await agent.ask({"op": "give", "listener": listener}, tcp)
            await agent.ask({"op": "give", "listener": listener}, other)
            assert await asked(other) == b"network n1"
            _, socks = await agent.hello()
            assert [s.getsockname() for s in socks] == [other.getsockname()]
            socks[0].close()
            agent.close()

    run(main)
    other.close()


GOOD = {"kind": "network", "id": "n1", "namespace": "s", "address": "127.0.0.1", "port": 80}
REFUSED = {
    "unknown op": (
        {"op": "dance"},
        0,
        "op: 'dance', expected hello, give, drop, clear, keep or take",
    ),
    "hello without owner": ({"op": "hello"}, 0, "hello: expected the owner's name"),
    "no socket": ({"op": "give", "listener": GOOD}, 0, "give: expected one socket, got 0"),
    "two sockets": ({"op": "give", "listener": GOOD}, 2, "give: expected one socket, got 2"),
    "no listener": ({"op": "give"}, 1, "listener: expected an object with kind, id, namespace"),
    "field too many": ({"op": "give", "listener": GOOD | {"x": 1}}, 1, "listener: expected"),
    "port in quotes": (
        {"op": "give", "listener": GOOD | {"port": "80"}},
        1,
        "listener.port: '80'",
    ),
    "other kind": ({"op": "give", "listener": GOOD | {"kind": "x"}}, 1, "listener.kind: 'x'"),
    "id with line": ({"op": "give", "listener": GOOD | {"id": "a\r\nb"}}, 1, "listener.id: "),
    "id empty": ({"op": "give", "listener": GOOD | {"id": ""}}, 1, "listener.id: ''"),
}


@pytest.mark.parametrize(("message", "count", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_packets_are_answered_and_change_nothing(message, count, why, path, tcp):
    async def main():
        async with proxy(path) as world:
            agent = world.agent()
            await agent.hello()
            answer = await agent.ask(message, *[tcp] * count)
            assert answer["op"] == "error"
            assert why in answer["message"]
            assert len(world.held) == 0
            assert await agent.give(tcp) == {"op": "ok"}
            agent.close()

    before = len(os.listdir("/proc/self/fd"))
    run(main)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("kind", ["connected", "udp", "unix", "bound"])
def test_only_listening_tcp_sockets_are_taken(kind, path, tcp):
    def made() -> socket.socket:
        if kind == "connected":
            return socket.create_connection(tcp.getsockname())
        family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        if kind == "unix":
            sock.bind(path + ".other")
            sock.listen()
        else:
            sock.bind(("127.0.0.1", 0))
        return sock

    async def main():
        async with proxy(path) as world:
            agent = world.agent()
            await agent.hello()
            with made() as sock:
                answer = await agent.ask({"op": "give", "listener": GOOD}, sock)
            assert answer["message"] == "the socket given is no listening TCP socket"
            agent.close()

    run(main)


def test_requests_before_hello_are_refused(path, tcp):
    async def main():
        async with proxy(path) as world:
            agent = world.agent()
            assert (await agent.give(tcp))["message"] == "expected hello first"
            agent.close()

    run(main)


@pytest.mark.parametrize("packet", [b"no json", b"[]", b"\xff", b"{" + b" " * 70_000 + b"}"])
def test_an_unreadable_packet_ends_its_connection_only(packet, path, tcp):
    async def main():
        async with proxy(path) as world:
            good, bad = world.agent(), world.agent()
            await good.hello()
            await good.give(tcp)
            await bad.send(packet, tcp)
            assert await bad.receive() == ({}, [])
            assert await asked(tcp) == b"network n1"
            good.close()
            bad.close()

    before = len(os.listdir("/proc/self/fd"))
    run(main)
    assert len(os.listdir("/proc/self/fd")) == before


def test_processes_of_other_users_are_refused(path):
    async def main():
        async with proxy(path, allowed=frozenset({os.geteuid() + 1})) as world:
            agent = world.agent()
            with contextlib.suppress(OSError):
                await agent.send({"op": "hello", "owner": "l3_agent"})
            with contextlib.suppress(ConnectionResetError):
                assert await agent.receive() == ({}, [])
            agent.close()

    run(main)


def test_agents_link_and_the_proxy_understand_each_other(path, tcp):
    """ProxyLink, the agents' side, against the proxy's side."""

    async def main():
        async with proxy(path) as world:
            link = ProxyLink(path, "l3_agent")
            running = asyncio.ensure_future(link.run())
            await until(lambda: link.connected)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert len(world.held) == 0

    run(main)
