"""Neutron's haproxy in front of our metadata agent, asked from a guest namespace.

Behind the agent is our service, or a TLS server that answers as Nova's front ends may; in the host
shape both are one process.
"""

import base64
import gzip
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from a9fe.linux.kernel import namespace
from tests.kit.certificates import Authority, server_context
from tests.lab import hops
from tests.lab.disks import open_directory
from tests.lab.handmade import sh
from tests.lab.haproxy import haproxy
from tests.lab.servers import running_server

HOST = "127.0.0.1"
SPACE, GUEST = "t-haproxy", "t-haproxy-guest"
OURS, NOVAS, JOINED = 80, 81, 82  # ports of the haproxys
EACH = pytest.mark.parametrize("port", [OURS, JOINED], ids=["split", "host"])
USER_DATA = gzip.compress(b"#cloud-config\n" + bytes(range(256)) * 100)
LARGE = bytes(range(256)) * 4096  # 1 MiB
GZIP = gzip.compress(b"x" * 5000)


class Nova(BaseHTTPRequestHandler):
    """Answers by path, and keeps the requests."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, str, dict[str, list[str]], bytes]]] = []

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        headers = {name.lower(): self.headers.get_all(name) or [] for name in self.headers}
        self.seen.append((self.command, self.path, headers, self.rfile.read(length)))
        getattr(self, self.path.strip("/").partition("?")[0].partition("/")[0], self.plain)()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the base class's

    def head(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def plain(self) -> None:
        self.head(200, ("Content-Length", str(len(LARGE))))
        if self.command != "HEAD":
            self.wfile.write(LARGE)

    def chunked(self) -> None:
        self.head(200, ("Transfer-Encoding", "chunked"))
        for at in range(0, len(LARGE), 50_000):
            piece = LARGE[at : at + 50_000]
            self.wfile.write(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\nTrailer: x\r\n\r\n")

    def until_close(self) -> None:
        self.close_connection = True
        self.head(200, ("Connection", "close"))
        self.wfile.write(LARGE)
        assert isinstance(self.connection, ssl.SSLSocket)
        self.connection.unwrap()  # says that it is the end

    def gzipped(self) -> None:
        length = ("Content-Length", str(len(GZIP)))
        self.head(200, ("Content-Encoding", "gzip"), ("Content-Type", "text/plain"), length)
        self.wfile.write(GZIP)

    def refused(self) -> None:
        self.head(405, ("Allow", "GET, HEAD"), ("Content-Length", "0"))

    def early(self) -> None:
        """Answers before the answer, as a front end sends them."""
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        self.head(200, ("Content-Length", "2"))
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Be silent."""


@contextmanager
def nova(context: ssl.SSLContext) -> Iterator[int]:
    """Run the server in threads; give its port."""
    with ThreadingHTTPServer((HOST, 0), Nova) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def agent_of_nova(place: Path, like: hops.Hops) -> Iterator[hops.Hops]:
    """Run an agent, as its own user, in front of Nova with mutual TLS; only root reads its key.

    Nobody listens at the other address of Nova.
    """
    files = place / "tls"
    files.mkdir(mode=0o700)
    ca, clients = Authority(files), Authority(files, "clients")
    pair = clients.issue("a9fe")
    (place / "nova").mkdir()
    with nova(server_context(ca.issue(HOST), clients)) as port:
        options = {
            "nova_metadata_host": f"{HOST}:1, {HOST}",
            "nova_metadata_protocol": "https",
            "auth_ca_cert": ca.certificate,
            "nova_client_cert": pair.certificate,
            "nova_client_priv_key": pair.key,
            "metadata_agent_user": "a9fe-agent",
        }
        run = place / "nova"
        theirs = replace(like, run=run, state=run, service_port=port, options=options)
        with theirs.running(hops.AGENT):
            theirs.says(hops.AGENT, hops.FOLLOWED)
            yield theirs


@dataclass(frozen=True)
class World:
    instance_id: str
    address: str


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A guest namespace, and a namespace with both haproxys."""
    with ExitStack() as stack:
        place = stack.enter_context(open_directory("a9fe-haproxy-"))
        server = stack.enter_context(running_server(place, ""))
        network = hops.isolated(server, "10.1.0.0/24")
        user_data = base64.b64encode(USER_DATA).decode()
        id, address = hops.instance(server, network, user_data=user_data)
        here = hops.beside(server, place, place / "agents")
        stack.enter_context(here.both())
        theirs = stack.enter_context(agent_of_nova(place, here))
        joined = replace(here, run=place / "joined", state=place / "joined")
        joined.run.mkdir()
        stack.enter_context(joined.running(hops.JOINED))
        joined.says(hops.JOINED, hops.FOLLOWED)
        sh(
            f"""
            ip netns add {SPACE}
            ip netns add {GUEST}
            ip link add ns-0 netns {SPACE} type veth peer name c0 netns {GUEST}
            ip -n {SPACE} link set lo up
            ip -n {SPACE} link set ns-0 up
            ip -n {GUEST} link set c0 up
            ip -n {SPACE} address add 10.1.0.254/24 dev ns-0
            ip -n {SPACE} address add 169.254.169.254/32 dev ns-0
            ip -n {GUEST} address add {address}/24 dev c0
            ip -n {GUEST} route add 169.254.169.254/32 via 10.1.0.254
            """
        )
        stack.callback(sh, f"ip netns del {SPACE}; ip netns del {GUEST}")
        for run, bound in ((here.run, OURS), (theirs.run, NOVAS), (joined.run, JOINED)):
            stack.enter_context(haproxy(SPACE, place, network, run / "metadata_proxy", bound))
        yield World(id, address)


def ask(data: bytes, port: int = OURS) -> tuple[HTTPResponse, bytes]:
    """Send the bytes from the guest; return the answer and its body."""
    where = ("169.254.169.254", port)
    with namespace.call_inside(GUEST, lambda: socket.create_connection(where, 30)) as made:
        made.sendall(data)
        answer = HTTPResponse(made, method=data.partition(b" ")[0].decode())
        answer.begin()
        return answer, answer.read()


def request(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: 169.254.169.254", *headers, b"", body])


@EACH
def test_a_guest_reads_its_own_metadata(world: World, port: int):
    answer, body = ask(request(b"GET /openstack/latest/meta_data.json"), port)
    assert answer.status == 200
    assert world.instance_id.encode() in body
    assert not [name for name, _ in answer.getheaders() if name.lower() == "x-a9fe-port"]
    assert ask(request(b"GET /latest/user-data"), port)[1] == USER_DATA
    assert ask(request(b"GET /latest/nothing"), port)[0].status == 404


@EACH
def test_what_a_guest_says_about_itself_is_not_believed(world: World, port: int):
    forged = [
        b"X-Forwarded-For: 10.1.0.99",
        b"X-Neutron-Router-ID: 00000000-0000-0000-0000-000000000000",
        b"X-Neutron-Network-ID: 00000000-0000-0000-0000-000000000000",
        b"X-Instance-ID: 00000000-0000-0000-0000-000000000000",
    ]
    answer, body = ask(request(b"GET /openstack/latest/meta_data.json", *forged), port)
    assert answer.status == 200
    assert world.instance_id.encode() in body


@pytest.mark.usefixtures("world")
@EACH
def test_head_has_the_length_of_a_get_and_no_body(port: int):
    answer, body = ask(request(b"HEAD /latest/user-data"), port)
    assert (answer.status, answer.getheader("content-length")) == (200, str(len(USER_DATA)))
    assert body == b""
    answer, _ = ask(request(b"HEAD /plain"), NOVAS)
    assert answer.getheader("content-length") == str(len(LARGE))


@pytest.mark.usefixtures("world")
@EACH
def test_tokens_pass(port: int):
    ttl = b"X-aws-ec2-metadata-token-ttl-seconds: 60"
    answer, token = ask(request(b"PUT /latest/api/token", ttl, b"Content-Length: 0"), port)
    assert answer.status == 200
    with_token = b"X-aws-ec2-metadata-token: " + token
    assert ask(request(b"GET /latest/user-data", with_token), port)[1] == USER_DATA


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("path", [b"/plain", b"/chunked", b"/until_close"])
def test_large_answers_in_each_framing_are_unchanged(path: bytes):
    answer, body = ask(request(b"GET " + path), NOVAS)
    assert (answer.status, body == LARGE) == (200, True)


@pytest.mark.usefixtures("world")
def test_compressed_answers_405_and_1xx_pass_unchanged():
    answer, body = ask(request(b"GET /gzipped", b"Accept-Encoding: gzip"), NOVAS)
    assert (answer.getheader("content-encoding"), body) == ("gzip", GZIP)
    answer, _ = ask(request(b"DELETE /refused"), NOVAS)
    assert (answer.status, answer.getheader("allow")) == (405, "GET, HEAD")
    assert ask(request(b"GET /early"), NOVAS)[1] == b"ok"


def test_the_service_gets_the_guests_bytes_and_novas_headers(world: World):
    body = bytes(range(256)) * 31
    length = b"Content-Length: %d" % len(body)
    chunks = b"".join(b"%x\r\n%b\r\n" % (100, body[at : at + 100]) for at in range(0, 7900, 100))
    targets = [b"/a%2Fb/../c//d?e=%20&f=%FF", b"/a%2Fb/../c//d", b"/%ff"]
    Nova.seen.clear()
    for data in (
        request(b"POST " + targets[0], length, body=body),
        request(b"POST " + targets[1], length, b"Expect: 100-continue", body=body),
        request(b"PUT " + targets[2], b"Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n"),
    ):
        assert ask(data, NOVAS)[0].status == 200
    assert [(target.encode(), sent) for _, target, _, sent in Nova.seen] == [
        (targets[0], body),
        (targets[1], body),
        (targets[2], body[:7900]),
    ]
    for _, _, headers, _ in Nova.seen:
        assert headers["x-instance-id"] == [world.instance_id]
        assert headers["x-forwarded-for"] == [world.address]
        assert len(headers["x-instance-id-signature"][0]) == 64
        assert "x-neutron-network-id" not in headers
