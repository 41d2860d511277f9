"""Listeners go to a proxy and back; either side may be killed and no connection is refused."""

import asyncio
import contextlib
import dataclasses
import signal
import socket
import subprocess
import sys
import threading

import pytest

from a9fe.linux.kernel import namespace
from a9fe.linux.listeners import peer_credentials
from a9fe.linux.listeners import sockets as listeners
from a9fe.linux.listeners.proxy_link import HandoverError, ProxyLink
from a9fe.wire.message import Listener
from tests.kit.conditions import eventually
from tests.lab.handmade import sh
from tests.lab.places import MARK

GUESTS = "t-handover-guests"
SPACE = "qrouter-aaaaaaaa-2222-3333-4444-555555555555"

# A proxy by the contract: keeps listeners by owner, answers each connection with its pid. It has
# no memory but its sockets.
PROXY = """
import asyncio, json, os, socket, sys
path, refused = sys.argv[1], sys.argv[2:]
held = {}
loop = asyncio.new_event_loop()

def key(listener):
    zone = listener["device"] and "%" + listener["device"]
    return f"{listener['namespace']}/{listener['address']}:{listener['port']}{zone}"

def serve(sock):
    def ready():
        try:
            connection, _ = sock.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"%d" % os.getpid())
    sock.setblocking(False)
    loop.add_reader(sock, ready)

def unserve(name):
    owner, listener, sock = held.pop(name, (None, None, None))
    if sock is not None:
        loop.remove_reader(sock)
        sock.close()

def answer(connection, state):
    data, fds, _, _ = socket.recv_fds(connection, 65536, 253)
    if not data:
        loop.remove_reader(connection)
        connection.close()
        return
    message = json.loads(data)
    op = message["op"]
    if op == "hello":
        state["owner"] = message["owner"]
        mine = [(l, s) for o, l, s in held.values() if o == message["owner"]]
        for n, (listener, sock) in enumerate(mine):
            reply = {"op": "held", "listeners": [listener], "last": n == len(mine) - 1}
            socket.send_fds(connection, [json.dumps(reply).encode()], [sock.fileno()])
        if not mine:
            connection.send(json.dumps({"op": "held", "listeners": [], "last": True}).encode())
        return
    if op == "give":
        name = key(message["listener"])
        if name in refused:
            reply = {"op": "error", "message": "not that one"}
            connection.send(json.dumps(reply).encode())
            return
        unserve(name)
        sock = socket.socket(fileno=fds[0])
        held[name] = (state["owner"], message["listener"], sock)
        serve(sock)
    if op == "drop":
        unserve(message["key"])
    connection.send(b'{"op": "ok"}')

def welcome(server):
    connection, _ = server.accept()
    loop.add_reader(connection, answer, connection, {})

server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
if os.path.exists(path):
    os.unlink(path)
server.bind(path)
server.listen(16)
loop.add_reader(server, welcome, server)
print("ready", flush=True)
loop.run_forever()
"""


@contextlib.contextmanager
def proxy(path, *refused):
    process = subprocess.Popen(
        [sys.executable, "-c", PROXY, path, *refused], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def agent(path):
    """A running link, as an agent has it: its event loop in one thread, its work in another."""
    link = ProxyLink(path, "l3_agent", backlog=64)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    ended = threading.Event()

    async def run():
        try:
            await link.run()
        finally:
            ended.set()

    running = asyncio.run_coroutine_threadsafe(run(), loop)
    try:
        yield link
    finally:
        running.cancel()
        assert ended.wait(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        for held in link._held.values():
            held.sock.close()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "control.sock")


@pytest.fixture(autouse=True)
def _space():
    namespace.create(SPACE, MARK)
    yield
    namespace.delete(SPACE, MARK)


def listener(port=9697):
    return Listener(kind="router", id="r", namespace=SPACE, address="0.0.0.0", port=port)


def connect(port=9697):
    """A guest's connection; it is queued by the kernel if nobody accepts."""

    def opened():
        return socket.create_connection(("127.0.0.1", port), timeout=20)

    return namespace.call_inside(SPACE, opened)


def answer(connection):
    with connection:
        return int(connection.recv(100))


def observed(link):
    return link.observed({SPACE: namespace.cookie(SPACE)}).get(SPACE, frozenset())


def test_given_acknowledged_served_and_dropped(path):
    with proxy(path) as serving, agent(path) as link:
        link.open(listener())
        assert observed(link) == {listener()}
        assert answer(connect()) == serving.pid
        link.open(listener())
        link.close(listener())
        assert observed(link) == frozenset()
        with pytest.raises(ConnectionRefusedError):
            connect()


def test_a_killed_proxy_gets_all_again_and_no_connection_is_refused(path):
    with agent(path) as link:
        with proxy(path) as first:
            for port in (9697, 9698):
                link.open(listener(port))
            first.send_signal(signal.SIGKILL)
            first.wait(timeout=10)
            eventually(lambda: not observed(link))
            waiting = [connect(port) for port in (9697, 9698, 9697)]
        with proxy(path) as second:
            assert {answer(connection) for connection in waiting} == {second.pid}
            eventually(lambda: observed(link) == {listener(9697), listener(9698)})


def test_a_killed_agent_takes_its_sockets_back(path):
    with proxy(path) as serving:
        with agent(path) as link:
            link.open(listener())
        assert answer(connect()) == serving.pid
        with agent(path) as link:
            eventually(lambda: observed(link) == {listener()})
            link.open(listener())
            serving.kill()
            serving.wait(timeout=10)
            waiting = connect()
            with proxy(path) as second:
                assert answer(waiting) == second.pid


def test_opening_at_once_after_a_restart_waits_for_what_the_proxy_holds(path):
    with proxy(path):
        with agent(path) as link:
            link.open(listener())
        with agent(path) as link:
            link.open(listener())
            assert observed(link) == {listener()}


def test_a_restarted_agent_can_wait_until_its_listeners_are_observed(path):
    """So that its first pass changes nothing."""
    with proxy(path):
        with agent(path) as link:
            link.open(listener())
        with agent(path) as link:
            eventually(lambda: link._loop is not None)
            asyncio.run_coroutine_threadsafe(link.settled(), link._loop).result(10)
            assert observed(link) == {listener()}


def test_the_socket_of_a_namespace_that_is_no_more_is_dropped(path):
    with proxy(path) as serving, agent(path) as link:
        link.open(listener())
        namespace.delete(SPACE, MARK)
        namespace.create(SPACE, MARK)
        assert observed(link) == frozenset()
        link.open(listener())
        assert observed(link) == {listener()}
        assert answer(connect()) == serving.pid


def test_a_restarted_agent_does_not_take_back_one_of_a_namespace_that_is_no_more(path):
    with proxy(path) as serving:
        with agent(path) as link:
            link.open(listener())
        namespace.delete(SPACE, MARK)
        namespace.create(SPACE, MARK)
        with agent(path) as link:
            eventually(lambda: link.connected)
            assert observed(link) == frozenset()
            link.open(listener())
            assert answer(connect()) == serving.pid


def test_without_a_proxy_connections_wait_and_the_reason_is_said(path):
    with agent(path) as link:
        link._waited = True
        with pytest.raises(HandoverError, match="has not taken it yet; connections wait"):
            link.open(listener())
        assert observed(link) == frozenset()
        waiting = connect()
        with proxy(path) as serving:
            assert answer(waiting) == serving.pid
            eventually(lambda: observed(link) == {listener()})


def test_a_refusal_is_said_and_not_repeated_by_itself(path):
    with proxy(path, listener().key), agent(path) as link:
        with pytest.raises(HandoverError, match="the proxy refused it: not that one"):
            link.open(listener())
        link.open(listener(9698))
        assert observed(link) == {listener(9698)}


def test_a_listener_that_serves_another_router_keeps_its_socket(path):
    """So no connection is refused, also while the proxy is away."""
    other = Listener(kind="router", id="r2", namespace=SPACE, address="0.0.0.0", port=9697)
    with agent(path) as link:
        with proxy(path) as first:
            link.open(listener())
            socket_ = link._held[other.key].sock
            link.open(other)
            assert observed(link) == {other}
            assert answer(connect()) == first.pid
        eventually(lambda: not observed(link))
        with pytest.raises(HandoverError, match="connections wait"):
            link.open(listener())
        waiting = connect()
        with proxy(path) as second:
            assert answer(waiting) == second.pid
            eventually(lambda: observed(link) == {listener()})
        assert link._held[other.key].sock is socket_


def wired(name: str) -> Listener:
    """The listener of an interface, whose far end is in the namespace GUESTS."""
    return Listener(
        kind="router",
        id="r",
        namespace=SPACE,
        address="0.0.0.0",
        port=9697,
        device=name,
        port_id=f"port-{name}",
        network_id=f"net-{name}",
    )


def wire(name: str, address: str) -> None:
    """Another interface of the router, and a guest's way to it."""
    sh(
        f"""
        ip link add {name} netns {SPACE} type veth peer name far-{name} netns {GUESTS}
        ip -n {SPACE} link set {name} up
        ip -n {GUESTS} link set far-{name} up
        ip -n {SPACE} address add {address}/32 dev {name}
        ip -n {GUESTS} address replace 10.7.0.100/32 dev lo
        ip -n {GUESTS} route replace {address} dev far-{name} src 10.7.0.100
        ip -n {SPACE} route replace 10.7.0.100 dev {name}
        """
    )


@pytest.fixture
def _guests():
    namespace.create(GUESTS, MARK)
    yield
    namespace.delete(GUESTS, MARK)


def ask(address):
    def opened():
        return socket.create_connection((address, 9697), timeout=20)

    return answer(namespace.call_inside(GUESTS, opened))


@pytest.mark.usefixtures("_guests")
def test_listeners_of_two_interfaces_stand_side_by_side(path):
    with proxy(path) as serving, agent(path) as link:
        for name, address in (("qr-1", "10.7.0.1"), ("qr-2", "10.7.0.2")):
            wire(name, address)
            link.open(wired(name))
        assert observed(link) == {wired("qr-1"), wired("qr-2")}
        assert ask("10.7.0.1") == serving.pid
        link.close(wired("qr-1"))
        with pytest.raises(ConnectionRefusedError):
            ask("10.7.0.1")
        assert ask("10.7.0.2") == serving.pid


@pytest.mark.usefixtures("_guests")
def test_the_socket_of_an_interface_that_was_made_anew_is_replaced(path):
    with proxy(path) as serving, agent(path) as link:
        wire("qr-1", "10.7.0.1")
        link.open(wired("qr-1"))
        sh(f"ip -n {SPACE} link delete qr-1")
        wire("qr-1", "10.7.0.1")
        assert observed(link) == frozenset()
        link.open(wired("qr-1"))
        assert observed(link) == {wired("qr-1")}
        assert ask("10.7.0.1") == serving.pid


def test_an_interface_takes_over_from_a_listener_of_all_interfaces(path):
    """As older agents opened, and gave, them."""
    with proxy(path) as serving:
        with agent(path) as link:
            link.open(listener())
        with agent(path) as link:
            eventually(lambda: observed(link) == {listener()})
            link.close(listener())
            lo = dataclasses.replace(wired("lo"), port_id="p", network_id="n")
            link.open(lo)
            assert observed(link) == {lo}
            assert answer(connect()) == serving.pid


def test_a_taken_port_names_the_listener():
    named = pytest.raises(listeners.ListenerError, match=f"{SPACE}/0.0.0.0:9697: .*in use")
    with listeners.open_socket(listener(), 1), named:
        listeners.open_socket(listener(), 1)


def test_an_address_need_not_exist_yet():
    early = Listener(kind="network", id="n", namespace=SPACE, address="169.254.169.254", port=80)
    with listeners.open_socket(early, 1) as sock:
        assert namespace.socket_cookie(sock) == namespace.cookie(SPACE)


def test_a_peer_is_known_by_its_user():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        assert peer_credentials.require(ours, {0}).uid == 0
        with pytest.raises(peer_credentials.UnwelcomePeer, match="uid 0, expected one of 65534"):
            peer_credentials.require(ours, {65534})
