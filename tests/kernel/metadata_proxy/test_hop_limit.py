"""The hop limit of tokens: a forwarding hop drops packets with a token, and no others."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from a9fe.linux.kernel import namespace
from a9fe.metadata_proxy.relay import answer_for_guest
from a9fe.wire.message import Answer, Request
from a9fe.wire.trusted import HOP_LIMIT
from tests.lab.beside import serving_beside
from tests.lab.handmade import sh

NEAR, FAR, SERVER = "t-near", "t-far", "t-server"
PORT = 80
SILENCE = 2.0  # s, in which lost packets are retransmitted three times
PATIENCE = 20.0  # s for packets that arrive, on a busy machine
TOKEN = b"a-token"
PUT = b"PUT /latest/api/token HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
GET = b"GET /latest HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    """SERVER -- NEAR, which forwards -- FAR."""
    sh(
        f"""
        for name in {SERVER} {NEAR} {FAR}; do
            ip netns add $name
            ip -n $name link set lo up
        done
        ip link add n0 netns {NEAR} type veth peer name s0 netns {SERVER}
        ip link add n1 netns {NEAR} type veth peer name f0 netns {FAR}
        ip -n {SERVER} link set s0 up
        ip -n {NEAR} link set n0 up
        ip -n {NEAR} link set n1 up
        ip -n {FAR} link set f0 up
        ip netns exec {NEAR} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        ip -n {SERVER} address add 10.7.0.1/24 dev s0
        ip -n {NEAR} address add 10.7.0.2/24 dev n0
        ip -n {NEAR} address add 10.8.0.2/24 dev n1
        ip -n {FAR} address add 10.8.0.3/24 dev f0
        ip -n {SERVER} route add default via 10.7.0.2
        ip -n {FAR} route add default via 10.8.0.2
        ip -n {SERVER} address add fd07::1/64 dev s0 nodad
        ip -n {NEAR} address add fd07::2/64 dev n0 nodad
        ip -n {NEAR} address add fd08::2/64 dev n1 nodad
        ip -n {FAR} address add fd08::3/64 dev f0 nodad
        ip -n {SERVER} route add default via fd07::2
        ip -n {FAR} route add default via fd08::2
        """
    )
    yield
    sh(f"for name in {SERVER} {NEAR} {FAR}; do ip netns del $name; done")


@dataclass(frozen=True, kw_only=True)
class Way:
    """The family of the server's socket, and the address that clients connect to."""

    family: socket.AddressFamily
    listen: str
    address: str


WAYS = {
    "IPv4": Way(family=socket.AF_INET, listen="0.0.0.0", address="10.7.0.1"),
    "IPv6": Way(family=socket.AF_INET6, listen="::", address="fd07::1"),
    "IPv4 on IPv6": Way(family=socket.AF_INET6, listen="::", address="10.7.0.1"),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, network: None) -> Way:
    return WAYS[request.param]


@contextmanager
def served(way: Way, hops: int) -> Iterator[None]:
    """Run the proxy's server in SERVER; it answers with a token with a hop limit, or without."""

    def answer(request: Request) -> Answer:
        if request.method == b"PUT":
            headers = ((HOP_LIMIT, b"%d" % hops),) if hops else ()
            return Answer(status=200, headers=headers, body=TOKEN)
        return Answer(status=200, body=b"document")

    with namespace.inside(SERVER):
        sock = socket.create_server(
            (way.listen, PORT), family=way.family, dualstack_ipv6=way.family == socket.AF_INET6
        )
    with serving_beside(answer, sock, outgoing=answer_for_guest):
        yield


def curl(
    where: str, way: Way, *options: str, within: float = PATIENCE
) -> subprocess.CompletedProcess[bytes]:
    """Send one request; return curl's result."""
    host = f"[{way.address}]" if ":" in way.address else way.address
    command = ["curl", "-s", "-m", str(within), *options, f"http://{host}/latest/api/token"]
    return subprocess.run(
        ["ip", "netns", "exec", where, *command], check=False, capture_output=True, timeout=60
    )


TIMED_OUT = 28  # curl(1)


@pytest.mark.parametrize(
    ("hops", "where", "arrives"),
    [(1, NEAR, True), (1, FAR, False), (2, FAR, True), (0, FAR, True)],
)
def test_a_token_passes_as_many_hops_as_its_limit(way: Way, hops: int, where: str, arrives: bool):  # noqa: FBT001 - a column
    with served(way, hops):
        assert curl(where, way).stdout == b"document"
        token = curl(where, way, "-X", "PUT", within=PATIENCE if arrives else SILENCE)
        assert (token.returncode, token.stdout) == ((0, TOKEN) if arrives else (TIMED_OUT, b""))
        assert curl(where, way).stdout == b"document"


def heard(where: str, way: Way, *said: bytes) -> bytes:
    """Return all that arrives on one connection until nothing more does."""
    with namespace.inside(where):
        client = socket.create_connection((way.address, PORT), timeout=SILENCE)
    found = b""
    with client:
        for data in said:
            client.sendall(data)
        try:
            while data := client.recv(65536):
                found += data
        except TimeoutError:
            return found
    return found


def test_a_later_answer_does_not_carry_the_token_further(way: Way):
    with served(way, 1):
        assert heard(FAR, way, GET, GET).count(b"document") == 2
        assert TOKEN not in heard(FAR, way, GET, PUT, GET)
        assert TOKEN not in heard(FAR, way, PUT + GET + GET)
        near = heard(NEAR, way, PUT + GET)
    assert TOKEN in near
    assert b"document" in near
    assert b"x-a9fe" not in near.lower()
