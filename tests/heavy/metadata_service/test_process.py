"""The whole process: `main.run` with a change feed, and requests over HTTP."""

import json
import os
import pwd
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from a9fe.model.codec import encode
from a9fe.model.resources import KIND_OF
from a9fe.wire.trusted import sign
from tests.golden.metadata.scenarios import INSTANCE_ID, PROJECT, one_card
from tests.kit.conditions import eventually
from tests.lab.servers import free_port

SECRET = "s3cret"
VIEW = one_card()
RESOURCES = (VIEW.instance, *VIEW.ports, *VIEW.networks.values(), *VIEW.subnets.values())
START = """
import json, sys
from a9fe.metadata_service import main
from a9fe.runtime import config, logging
logging.configure("metadata-service")
main.run(config.load(json.loads(sys.argv[1]), path=sys.argv[2]))
"""


class Feed(BaseHTTPRequestHandler):
    """A change feed that sends a snapshot, and then nothing."""

    ended: threading.Event

    def do_GET(self) -> None:
        assert self.path.startswith("/a9fe/v1/feed?")
        assert "agent=service" in self.path
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.end_headers()
        once = "once=1" in self.path
        for event in [{"event": "synced", "revision": 7}] if once else self._events():
            self.wfile.write(json.dumps(event).encode() + b"\n")
        self.wfile.flush()
        if not once:
            self.ended.wait()

    def _events(self) -> Iterator[dict[str, object]]:
        yield {"event": "snapshot", "revision": 7}
        for resource in RESOURCES:
            kind = KIND_OF[type(resource)]
            yield {"event": "upsert", "revision": 7, "kind": kind, "object": encode(resource)}
        yield {"event": "synced", "revision": 7}

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def feed() -> Iterator[str]:
    ended = threading.Event()
    handler = type("ThisFeed", (Feed,), {"ended": ended})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            ended.set()
            server.shutdown()


@dataclass
class Service:
    process: subprocess.Popen[str]
    url: str
    metrics: str

    def get(self, path: str, instance_id: str = INSTANCE_ID) -> httpx.Response:
        headers = {
            "X-Instance-ID": instance_id,
            "X-Tenant-ID": PROJECT,
            "X-Instance-ID-Signature": sign(SECRET, instance_id),
        }
        return httpx.get(self.url + path, headers=headers, trust_env=False)

    def is_ready(self) -> bool:
        try:
            return httpx.get(self.url + "/", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=30)
        return log


@contextmanager
def service(tmp_path: Path, server_url: str, **options: str) -> Iterator[Service]:
    port = free_port()
    empty = tmp_path / "a9fe.toml"
    empty.touch()
    (tmp_path / "run").mkdir(exist_ok=True)
    flags = {
        "state_path": str(tmp_path / "state"),
        "run_path": str(tmp_path / "run"),
        "server_url": server_url,
        "metadata_proxy_shared_secret": SECRET,
        "metadata_listen_port": str(port),
        "metadata_service_user": pwd.getpwuid(os.geteuid()).pw_name,
    } | options
    command = [sys.executable, "-c", START, json.dumps(flags), str(empty)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = str(tmp_path / "run" / "metadata-service.metrics.sock")
    running = Service(process, f"http://127.0.0.1:{port}", metrics)
    try:
        eventually(lambda: process.poll() is not None or running.is_ready(), what="ready")
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_it_serves_the_feeds_resources_and_stops_at_sigterm(tmp_path: Path):
    (tmp_path / "vendor.json").write_text("{")
    with (
        feed() as server_url,
        service(
            tmp_path, server_url, vendordata_jsonfile_path=str(tmp_path / "vendor.json")
        ) as running,
    ):
        path = "/openstack/latest/meta_data.json"
        eventually(lambda: running.get(path).status_code == 200, what="the feed's instance")
        assert running.get(path).json()["uuid"] == INSTANCE_ID
        assert running.get("/latest/user-data").content == VIEW.instance.user_data
        assert running.get("/openstack/latest/vendor_data.json").json() == {}
        assert running.get(path, instance_id="unknown").status_code == 404
        with httpx.Client(transport=httpx.HTTPTransport(uds=running.metrics)) as client:
            counters = client.get("http://localhost/metrics").text
            assert client.get("http://localhost/").status_code == 404
        refused = 'a9fe_refusals_total{process="metadata-service",reason="unknown_instance"} 1.0'
        assert refused in counters
        log = running.stop()
        assert running.process.returncode == 0
    assert f"ready listen={running.url.removeprefix('http://')}" in log
    assert "vendordata_jsonfile_path cannot be used" in log
    assert SECRET not in log


def test_restarted_without_the_server_it_serves_from_its_replica(tmp_path: Path):
    with feed() as server_url, service(tmp_path, server_url) as running:
        eventually(lambda: running.get("/latest/meta-data/").status_code == 200, what="synced")
        running.stop()
    with service(tmp_path, server_url) as again:
        assert again.get("/latest/meta-data/instance-id").text == "i-0000002a"
        assert again.get("/latest/user-data").content == VIEW.instance.user_data
        unknown = again.get("/latest/meta-data/", instance_id="unknown")
        assert (unknown.status_code, "retry-after" in unknown.headers) == (503, True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"metadata_proxy_shared_secret": ""}, "metadata_proxy_shared_secret"),
        ({"metadata_listen": "192.0.2.1"}, "192.0.2.1"),
    ],
)
def test_it_does_not_start_with_unusable_options(
    tmp_path: Path, options: dict[str, str], reason: str
):
    with service(tmp_path, "http://127.0.0.1:1", **options) as running:
        _, log = running.process.communicate(timeout=30)
        assert running.process.returncode != 0
        assert reason in log.splitlines()[-1]
