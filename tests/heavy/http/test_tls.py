"""TLS upstream on real sockets: nova_metadata_protocol = https, with Neutron's options."""

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from a9fe.http.upstream.addresses import Addresses
from a9fe.http.upstream.errors import UpstreamBroken, UpstreamUnreachable, UpstreamUntrusted
from a9fe.http.upstream.pool import Upstream
from a9fe.metadata_agent.hop import service_targets
from a9fe.runtime.config import load
from a9fe.runtime.errors import InvalidOption
from a9fe.wire.message import Request
from a9fe.wire.refusals import Refusal
from tests.kit.certificates import Authority, server_context
from tests.kit.http_world import LOOPS, Client, read_request, run, serving, turns, until

HOST = "127.0.0.1"
GET = Request(method=b"GET", target=b"/a%2Fb?c", headers=((b"host", b"169.254.169.254"),))
POST = Request(method=b"POST", target=b"/", headers=GET.headers, body=bytes(range(256)) * 30)
BOTH = pytest.mark.parametrize("loop", LOOPS)


@dataclass
class Nova:
    """A TLS server that answers 200 and keeps what it was sent."""

    port: int = 0
    connections: int = 0
    seen: list[bytes] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        client = Client(reader, writer)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                self.seen.append(await read_request(client))
                await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\0x")

    async def close(self, server: asyncio.Server) -> None:
        server.close()
        for writer in self.writers:
            writer.transport.abort()
        await turns(10)


@contextlib.asynccontextmanager
async def nova(context: ssl.SSLContext | None, host: str = HOST):
    at = Nova()
    server = await asyncio.start_server(at.serve, host, 0, ssl=context)
    at.port = server.sockets[0].getsockname()[1]
    try:
        yield at
    finally:
        await at.close(server)


@contextlib.contextmanager
def accepting_one(context: ssl.SSLContext, serve: Callable[[ssl.SSLSocket], None]):
    """Serve one connection with blocking calls, which send alerts; give the port."""

    def accept(listening: socket.socket) -> None:
        accepted, _ = listening.accept()
        with context.wrap_socket(
            accepted, server_side=True, do_handshake_on_connect=False
        ) as wrapped:
            serve(wrapped)

    with socket.create_server((HOST, 0)) as listening:
        thread = threading.Thread(target=accept, args=[listening])
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def refuse(wrapped: ssl.SSLSocket) -> None:
    """Fail in the handshake."""
    with contextlib.suppress(ssl.SSLError):
        wrapped.do_handshake()
    while os.read(wrapped.fileno(), 4096):  # a reset would overtake the alert
        pass


def end(wrapped: ssl.SSLSocket) -> None:
    """Answer, and say that the answer ends with the connection."""
    cut(wrapped)
    wrapped.unwrap()


def cut(wrapped: ssl.SSLSocket) -> None:
    """Answer, and close as somebody in between could."""
    wrapped.do_handshake()
    wrapped.recv(4096)
    wrapped.sendall(b"HTTP/1.0 200 OK\r\n\r\nok")


def upstream(port: int, *, restart_wait: float = 0.0, timeout: float = 5.0, **options) -> Upstream:
    """Return the upstream of a configuration; inside a running loop."""
    given = {"nova_metadata_protocol": "https", "nova_metadata_port": port, **options}
    targets = service_targets(load({name: str(value) for name, value in given.items()}))
    return Upstream(Addresses(targets), timeout=timeout, restart_wait=restart_wait)


@BOTH
def test_requests_pass_over_tls_with_the_services_host(loop, tmp_path):
    """Host names the service, as TLS servers refuse requests for other hosts (RFC 9110 7.4)."""
    ca = Authority(tmp_path)

    async def main():
        async with nova(server_context(ca.issue(HOST))) as at:
            ask = upstream(at.port, auth_ca_cert=ca.certificate)
            for _ in range(2):
                assert (await ask(GET)).body == b"\xff\0x"
            assert at.connections == 1
            assert (await ask(POST)).status == 200
            ask.close()
            assert at.seen[0] == b"GET /a%%2Fb?c HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n\r\n" % at.port
            assert at.seen[2].endswith(POST.body)

    run(main, loop)


@BOTH
def test_a_service_that_wants_a_client_certificate_gets_it(loop, tmp_path):
    ca, clients = Authority(tmp_path), Authority(tmp_path, "clients")
    pair = clients.issue("a9fe")

    async def main():
        async with nova(server_context(ca.issue(HOST), clients)) as at:
            given = {"nova_client_cert": pair.certificate, "nova_client_priv_key": pair.key}
            ask = upstream(at.port, auth_ca_cert=ca.certificate, **given)
            assert (await ask(GET)).status == 200
            ask.close()

    run(main, loop)


@BOTH
def test_without_the_client_certificate_that_the_service_wants_it_is_503_at_once(loop, tmp_path):
    """In TLS 1.3 the server refuses after the handshake, when the request is already sent."""
    ca, clients = Authority(tmp_path), Authority(tmp_path, "clients")

    async def main(port):
        ask = upstream(port, auth_ca_cert=ca.certificate, restart_wait=1000)
        with pytest.raises(
            UpstreamUntrusted, match=rf"127\.0\.0\.1:{port}: .*certificate required"
        ):
            await ask(GET)
        ask.close()

    with accepting_one(server_context(ca.issue(HOST), clients), refuse) as port:
        run(lambda: main(port), loop)


def test_an_answer_without_length_ends_with_tls_and_a_cut_one_is_no_answer(tmp_path):
    """On uvloop; RFC 9112 section 9.8."""
    ca = Authority(tmp_path)
    context = server_context(ca.issue(HOST))

    async def answer(port: int) -> bytes:
        ask = upstream(port, auth_ca_cert=ca.certificate)
        try:
            return (await ask(replace(GET, method=b"POST"))).body
        finally:
            ask.close()

    with accepting_one(context, end) as port:
        assert run(lambda: answer(port)) == b"ok"
    with (
        accepting_one(context, cut) as port,
        pytest.raises(UpstreamBroken, match="closed before the end"),
    ):
        run(lambda: answer(port))


DISTRUSTED = {
    "another CA": (lambda ca, other: (other, HOST, 1), "unable to get local issuer"),
    "another name": (lambda ca, other: (ca, "192.0.2.1", 1), "IP address mismatch"),
    "a host name": (lambda ca, other: (ca, "nova.example.com", 1), "IP address mismatch"),
    "expired": (lambda ca, other: (ca, HOST, -1), "certificate has expired"),
}


@BOTH
@pytest.mark.parametrize(("which", "why"), DISTRUSTED.values(), ids=DISTRUSTED)
def test_an_invalid_certificate_is_503_at_once_and_says_why(loop, which, why, tmp_path):
    ca = Authority(tmp_path)
    issuer, name, days = which(ca, Authority(tmp_path, "ca2"))
    pair = issuer.issue(name, valid=timedelta(days=days))

    async def main():
        async with nova(server_context(pair)) as at:
            ask = upstream(at.port, auth_ca_cert=ca.certificate, restart_wait=1000, timeout=1000)
            with pytest.raises(UpstreamUntrusted, match=rf"127\.0\.0\.1:{at.port}: .*{why}"):
                await ask(GET)
            async with serving(ask) as world:
                got = await (await world.client()).ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (got.status, got.headers["retry-after"]) == (503, "10")
                assert world.tally.refusals == [Refusal.UPSTREAM_UNTRUSTED]
            assert at.seen == []
            ask.close()

    run(main, loop)


@BOTH
def test_a_flood_makes_no_handshakes_while_the_certificate_is_invalid(loop, tmp_path):
    """The pool tries again after its back-off, and serves when the certificate is renewed."""
    ca = Authority(tmp_path)
    context = server_context(ca.issue(HOST, valid=timedelta(days=-1)))
    greetings: list[str | None] = []
    context.sni_callback = lambda _, name, __: greetings.append(name)

    async def main():
        async with nova(context) as at:
            ask = upstream(at.port, auth_ca_cert=ca.certificate, timeout=1000)
            for _ in range(200):
                with pytest.raises(UpstreamUntrusted, match="certificate has expired"):
                    await ask(GET)
            assert len(greetings) <= 2  # the second is a try of the pool's
            renewed = ca.issue(HOST)
            context.load_cert_chain(renewed.certificate, renewed.key)
            await until(lambda: ask.addresses.has_other(None))
            assert (await ask(GET)).status == 200
            ask.close()

    run(main, loop)


@BOTH
def test_insecure_accepts_any_certificate(loop, tmp_path):
    pair = Authority(tmp_path).issue("192.0.2.1", valid=timedelta(days=-1))

    async def main():
        async with nova(server_context(pair)) as at:
            ask = upstream(at.port, nova_metadata_insecure=True)
            assert (await ask(GET)).status == 200
            ask.close()

    run(main, loop)


@BOTH
def test_a_name_and_an_ipv6_address_are_what_the_certificate_must_be_for(loop, tmp_path):
    ca = Authority(tmp_path)

    async def main():
        for host in ("localhost", "[::1]"):
            plain = host.strip("[]")
            async with nova(server_context(ca.issue(plain)), plain) as at:
                ask = upstream(at.port, auth_ca_cert=ca.certificate, nova_metadata_host=host)
                assert (await ask(GET)).status == 200
                assert b"host: %b:%d\r\n" % (host.encode(), at.port) in at.seen[0]
                ask.close()

    run(main, loop)


@BOTH
def test_a_service_without_tls_or_that_never_greets_is_503(loop):
    async def plain(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def main():
        server = await asyncio.start_server(plain, HOST, 0)
        ask = upstream(server.sockets[0].getsockname()[1])
        with pytest.raises(UpstreamUntrusted, match="TLS: wrong version number"):
            await ask(GET)
        ask.close()
        server.close()
        await turns(10)
        with socket.create_server((HOST, 0)) as silent:  # the kernel accepts
            ask = upstream(silent.getsockname()[1], timeout=0.3)
            with pytest.raises(UpstreamUnreachable, match="no connection in time"):
                await ask(GET)
            ask.close()

    run(main, loop)


def test_wrong_files_are_named_at_the_start(tmp_path):
    ca = Authority(tmp_path)
    pair, other = ca.issue("a"), ca.issue("b")
    locked = ca.issue("c", password=b"secret")
    (tmp_path / "text").write_text("no certificate\n")
    text, missing = str(tmp_path / "text"), str(tmp_path / "missing")
    wrong = [
        ({"auth_ca_cert": missing}, rf"auth_ca_cert: '{missing}' .*No such file"),
        ({"auth_ca_cert": text}, rf"auth_ca_cert: '{text}' .*expected a PEM file of CA"),
        ({"nova_client_cert": pair.certificate}, "nova_client_priv_key: '' .*nova_client_cert"),
        ({"nova_client_priv_key": pair.key}, "nova_client_cert: '' .*nova_client_priv_key"),
        (
            {"nova_client_cert": pair.certificate, "nova_client_priv_key": other.key},
            f"nova_client_priv_key: '{other.key}' .*{pair.certificate}.*mismatch",
        ),
        (
            {"nova_client_cert": locked.certificate, "nova_client_priv_key": locked.key},
            f"nova_client_priv_key: '{locked.key}' .*encrypted",
        ),
        (
            {"nova_client_cert": missing, "nova_client_priv_key": pair.key},
            f"nova_client_cert: '{missing}' .*No such file",
        ),
    ]
    for given, why in wrong:
        with pytest.raises(InvalidOption, match=why):
            service_targets(load({"nova_metadata_protocol": "https", **given}))
        service_targets(load(given))  # http: they mean nothing, as in Neutron
