"""Hops 1 and 2 as processes: a listener handed over, a feed followed, a guest answered."""

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from a9fe.model.codec import encode
from a9fe.wire.handover import PROXY_SOCKET
from a9fe.wire.trusted import sign
from tests.kit.conditions import eventually
from tests.kit.fake_ports import SECRET, VM
from tests.kit.processes import hand_over, metrics, process

FEED = [
    {"event": "snapshot", "revision": 1},
    {"event": "upsert", "revision": 1, "kind": "port", "object": encode(VM)},
    {"event": "synced", "revision": 1},
]


class Others(BaseHTTPRequestHandler):
    """The server's change feed, and the service: both on one port."""

    ended: threading.Event

    def do_GET(self) -> None:
        if self.path.startswith("/a9fe/v1/feed?"):
            assert "agent=metadata" in self.path
            self.feed()
        else:
            self.metadata()

    def feed(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.end_headers()
        for event in FEED:
            self.wfile.write(json.dumps(event).encode() + b"\n")
        self.wfile.flush()
        self.ended.wait()

    def metadata(self) -> None:
        names = ("X-Instance-ID", "X-Tenant-ID", "X-Instance-ID-Signature", "X-Forwarded-For")
        body = json.dumps([self.headers[name] for name in names]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def others() -> Iterator[int]:
    ended = threading.Event()
    handler = type("TheseOthers", (Others,), {"ended": ended})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            ended.set()
            server.shutdown()


@pytest.fixture
def flags(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return flags with users that exist here; only root changes its user."""
    with others() as port:
        yield {
            "state_path": str(tmp_path / "state"),
            "run_path": str(tmp_path),
            "server_url": f"http://127.0.0.1:{port}",
            "nova_metadata_port": str(port),
            "metadata_proxy_shared_secret": SECRET,
            "metadata_proxy_user": "root",
            "metadata_agent_user": "root",
        }


def test_a_guest_is_answered_through_both_hops(flags, tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0)) as sock,
        process("metadata-agent", flags),
        process("metadata-proxy", flags),
    ):
        listener = hand_over(str(tmp_path / PROXY_SOCKET), sock)
        url = f"http://127.0.0.1:{listener.port}/latest"
        lies = {"X-Instance-ID": "other", "X-Forwarded-For": "10.0.0.9"}
        found = httpx.get(url, headers=lies)
        while found.status_code == 503:  # until the feed is followed; the test has a time limit
            found = httpx.get(url, headers=lies)
        assert found.json() == ["vm-1", "project-1", sign(SECRET, "vm-1"), "127.0.0.1"]
        for name in ("metadata_proxy", PROXY_SOCKET, "metadata-agent.metrics.sock"):
            assert os.stat(tmp_path / name).st_mode & 0o777 == 0o600
        text = metrics(tmp_path / "metadata-proxy.metrics.sock")
        assert 'a9fe_requests_total{process="metadata-proxy",status="200"} 1.0' in text
        text = metrics(tmp_path / "metadata-agent.metrics.sock")
        assert 'a9fe_requests_total{process="metadata-agent",status="200"} 1.0' in text


def test_a_restart_of_the_agent_refuses_no_request(flags, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as sock, process("metadata-proxy", flags):
        listener = hand_over(str(tmp_path / PROXY_SOCKET), sock)
        url = f"http://127.0.0.1:{listener.port}/latest"
        with process("metadata-agent", flags) as first, httpx.Client() as guest:
            eventually(lambda: guest.get(url).status_code == 200, what="the feed is followed")
            first.send_signal(signal.SIGTERM)
            first.wait(10)
        with contextlib.ExitStack() as stack:
            answers: list[int] = []
            asking = threading.Thread(target=lambda: answers.append(httpx.get(url).status_code))
            asking.start()
            stack.enter_context(process("metadata-agent", flags))
            asking.join(10)
            assert answers == [200]
