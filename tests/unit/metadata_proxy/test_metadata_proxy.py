"""The proxy behind its server: relay, failures; the proxy in the foreground."""

import asyncio
import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from subprocess import PIPE

import pytest

from a9fe.http.report import Report
from a9fe.metadata_proxy.foreground import block, listener_of, printer
from a9fe.metadata_proxy.proxy import MetadataProxy
from a9fe.runtime.config import load
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal
from tests.kit.http_world import NETWORK, Tally, never, run, serving, until, upstream_at

GET = b"GET /latest HTTP/1.1\r\nHost: 169.254.169.254\r\nX-Forwarded-For: 10.9.9.9\r\n\r\n"


def proxied(path: str, tally: Tally, **options) -> MetadataProxy:
    upstream = upstream_at(path, timeout=5)
    return MetadataProxy(upstream, Report("metadata-proxy", tally), **options)


def test_the_agents_request_and_the_guests_answer(tmp_path):
    agent_path, seen = str(tmp_path / "agent"), []

    def agent(request: Request) -> Answer:
        seen.append(request)
        return Answer(status=418, headers=((b"X-Nova", b"1"),), body=b"\x1f\x8b\0", reason=b"Tea")

    async def main():
        async with serving(agent, path=agent_path):
            proxy = proxied(agent_path, Tally())
            async with serving(proxy.handle, listener=NETWORK) as world:
                client = await world.client()
                return await client.ask(GET)

    got = run(main)
    assert (got.first, got.headers["x-nova"], got.body) == ("HTTP/1.1 418 Tea", "1", b"\x1f\x8b\0")
    (request,) = seen
    assert request.values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert request.values(b"x-neutron-network-id") == [b"net-1"]
    assert re.fullmatch(rb"[0-9a-f]{12}", request.values(b"x-a9fe-request-id")[0])


def test_an_unreachable_agent_is_503(tmp_path):
    async def main():
        tally = Tally()
        proxy = proxied(str(tmp_path / "none"), tally)
        async with serving(proxy.handle, listener=NETWORK) as world:
            client = await world.client()
            got = await client.ask(GET)
            return got, world.tally

    got, tally = run(main)
    assert (got.status, got.headers["retry-after"]) == (503, "2")
    assert re.fullmatch(r"[0-9a-f]{12}", got.headers["x-a9fe-request-id"])
    assert tally.refusals == [Refusal.UPSTREAM_UNREACHABLE]


def test_the_agents_request_is_cancelled_when_the_guest_leaves(tmp_path):
    path, seen = str(tmp_path / "agent"), []

    async def main():
        async with serving(lambda request: never(request, seen), path=path):
            proxy = proxied(path, Tally())
            async with serving(proxy.handle, listener=NETWORK) as world:
                client = await world.client()
                await client.send(GET)
                await until(lambda: seen)
                client.reset()
                await until(lambda: "cancelled" in seen)

    run(main)


@pytest.mark.parametrize("status", [200, 503])
def test_debug_prints_a_block_for_each_request(status, tmp_path):
    out = io.StringIO()

    async def main():
        path = str(tmp_path / "agent")
        proxy = proxied(path, Tally(), watcher=printer(out))
        async with serving(proxy.handle, listener=NETWORK) as world:
            client = await world.client()
            if status == 503:
                return await client.ask(GET)
            async with serving(path=path):
                return await client.ask(GET)

    assert run(main).status == status
    shown = re.sub(r"[0-9a-f]{12}", "<id>", re.sub(r"in [\d.]+ ms", "in <time>", out.getvalue()))
    shown = re.sub(r"connected-at: \d+", "connected-at: <time>", shown)
    assert shown == (
        "--- 127.0.0.1 GET /latest\n"
        "  + x-forwarded-for: 127.0.0.1\n"
        "  + x-neutron-network-id: net-1\n"
        "  + x-a9fe-hop: 1\n"
        "  + x-a9fe-connected-at: <time>\n"
        "  + x-a9fe-guest-forwarded: 1\n"
        "  + x-a9fe-request-id: <id>\n"
        f"  = {status} in <time>\n"
    )


def test_a_block_shows_no_control_characters():
    request = Request(
        method=b"GET",
        target=b"/\xff\x1b[2J",
        headers=(),
        client_address="1.2.3.4",
        listener=NETWORK,
    )
    outgoing = replace(request, headers=((b"x-a9fe-request-id", b"1"),))
    shown = block(request, outgoing, 200, 0.1)
    assert "\x1b" not in shown
    assert "\\xff" in shown


CONFIG = load()


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"network_id": "n"}, ("network", "n", "169.254.169.254", 80)),
        ({"network_id": "n", "port": 81}, ("network", "n", "169.254.169.254", 81)),
        ({"router_id": "r"}, ("router", "r", "0.0.0.0", 9697)),
        ({"router_id": "r", "port": 98}, ("router", "r", "0.0.0.0", 98)),
    ],
)
def test_where_the_foreground_proxy_listens(asked, where):
    listener = listener_of(CONFIG, **{"network_id": "", "router_id": "", "port": None, **asked})
    assert (listener.kind, listener.id, listener.address, listener.port) == where


@pytest.mark.parametrize("asked", [("", ""), ("n", "r")])
def test_the_foreground_proxy_needs_exactly_one_id(asked):
    with pytest.raises(ValueError, match="either"):
        listener_of(CONFIG, *asked, None)


FOREGROUND = """
import sys
from a9fe.metadata_proxy import foreground
from a9fe.runtime import config, logging
logging.configure("ns-metadata-proxy", debug=True)
flags = {"metadata_proxy_socket": sys.argv[1], "debug": "true", "metadata_proxy_user": "root"}
foreground.run_in_namespace(config.load(flags), router_id="r1", port=int(sys.argv[2]))
"""


def free_port() -> int:
    """Return a free port below the ephemeral ones, which other tests get from the kernel."""
    for port in range(20_000 + os.getpid() % 10_000, 32_768):
        with contextlib.suppress(OSError), socket.create_server(("0.0.0.0", port)):
            return port
    raise AssertionError("no free port")


def test_the_foreground_proxy_as_a_process(tmp_path):
    path = str(tmp_path / "agent")
    port = free_port()
    command = [sys.executable, "-c", FOREGROUND, path, str(port)]
    with (
        subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process,
        contextlib.ExitStack() as at_the_end,
    ):
        at_the_end.callback(process.kill)
        assert next((line for line in process.stderr if " ready " in line), "")

        async def ask():
            async with serving(path=path):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(GET)
                line = await reader.readline()
                writer.close()
                return line

        assert run(ask) == b"HTTP/1.1 200 OK\r\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
        assert process.returncode == 0
    assert "  + x-neutron-router-id: r1\n" in out
    assert "  = 200 in " in out
    assert "Traceback" not in err
