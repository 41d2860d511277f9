"""The metadata host as a process, from its replica alone: no server, no shared secret."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from a9fe.model.resources import Network, Subnet
from a9fe.replica import open_for
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import load
from a9fe.wire.handover import PROXY_SOCKET
from tests.golden.metadata.scenarios import one_card
from tests.kit.fake_ports import VM
from tests.kit.feed_events import feed, snapshot
from tests.kit.processes import hand_over, metrics, process

INSTANCE = replace(one_card().instance, id=VM.device_id, project_id=VM.project_id)
RESOURCES = (
    Network(id=VM.network_id),
    Subnet(id=VM.fixed_ips[0].subnet_id, network_id=VM.network_id, cidr="127.0.0.0/8"),
    VM,
    INSTANCE,
)
USER_DATA = INSTANCE.user_data
TOKEN, TTL = "X-aws-ec2-metadata-token", {"X-aws-ec2-metadata-token-ttl-seconds": "600"}


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, str]:
    """Return flags with a filled replica, as a former run left it."""
    given = {
        "state_path": str(tmp_path / "state"),
        "run_path": str(tmp_path),
        "server_url": "http://127.0.0.1:1",
        "metadata_proxy_user": "root",
        "http_tokens": "required",
    }
    replica = open_for(load(given), "service")
    feed(replica, *snapshot(7, *RESOURCES), now=SystemClock().now())
    replica.close()
    return given


@contextmanager
def guest_of(flags: dict[str, str], sock: socket.socket) -> Iterator[httpx.Client]:
    """Run the process with a copy of the listener, and yield the VM's client."""
    with process("metadata-host", flags):
        hand_over(str(Path(flags["run_path"], PROXY_SOCKET)), sock)
        with httpx.Client(base_url=f"http://127.0.0.1:{sock.getsockname()[1]}") as client:
            yield client


def test_a_restarted_host_answers_all_documents_and_knows_its_tokens_without_the_server(
    flags: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        with guest_of(flags, sock) as guest:
            assert guest.get("/latest/user-data").status_code == 401
            shown = {TOKEN: guest.put("/latest/api/token", headers=TTL).text}
        with guest_of(flags, sock) as guest:
            assert guest.get("/latest/user-data", headers=shown).content == USER_DATA
            document = guest.get("/openstack/latest/meta_data.json", headers=shown).json()
            assert document["uuid"] == VM.device_id
            for name in ("metadata_proxy", PROXY_SOCKET, "metadata-host.metrics.sock"):
                assert stat.S_IMODE(os.stat(tmp_path / name).st_mode) == 0o600
            text = metrics(tmp_path / "metadata-host.metrics.sock")
            assert 'a9fe_requests_total{process="metadata-host",status="200"} 2.0' in text
            assert "a9fe_replica_synced 0.0" in text


def test_a_proxy_that_is_not_ours_is_answered_at_the_socket_of_hop_2(
    flags: dict[str, str], tmp_path: Path
) -> None:
    headers = {"X-Forwarded-For": "127.0.0.1", "X-Neutron-Network-ID": VM.network_id}
    with process("metadata-host", flags | {"http_tokens": "optional"}):
        transport = httpx.HTTPTransport(uds=str(tmp_path / "metadata_proxy"))
        with httpx.Client(transport=transport, base_url="http://a9fe", headers=headers) as proxy:
            answer = proxy.get("/latest/user-data")
            elsewhere = proxy.get("/", headers={"X-Forwarded-For": "127.0.0.9"})
    assert (answer.status_code, answer.content) == (200, USER_DATA)
    assert [name for name in answer.headers if name.startswith("x-a9fe")] == []
    assert elsewhere.status_code == 503, "an unknown address, and no server to confirm it"
