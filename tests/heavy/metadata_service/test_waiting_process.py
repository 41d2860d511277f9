"""Waiting guests through all three processes: no delay for others, no needless wake-up."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from a9fe.http.server.sockets import tcp_listener
from a9fe.model.codec import encode
from a9fe.model.resources import KIND_OF, FixedIp, Instance, Network, Port, Resource, Subnet
from a9fe.wire.handover import PROXY_SOCKET
from a9fe.wire.limits import MAX_UPSTREAM_CONNECTIONS, MAX_WAITERS_PER_INSTANCE
from tests.kit.conditions import eventually
from tests.kit.fake_ports import SECRET, VM
from tests.kit.processes import hand_over, metrics, process
from tests.lab.servers import free_port

GUESTS = 20
EACH = 15
WAIT = 60  # s that a guest asks to wait for a change
UNTIL_WOKEN = 40  # s after which a guest that was not woken fails the test
LAN = Network(id=VM.network_id)
V4 = Subnet(id="subnet-1", network_id=LAN.id, cidr="127.0.0.0/16")


def instance(number: int) -> Instance:
    return Instance(id=f"vm-{number}", name=f"vm{number}", number=number, project_id="p")


def address(number: int) -> str:
    return f"127.0.1.{number + 1}"


def card(number: int) -> Port:
    return Port(
        id=f"port-{number}",
        network_id=LAN.id,
        mac_address=f"fa:16:3e:00:01:{number:02x}",
        project_id="p",
        device_id=f"vm-{number}",
        device_owner="compute:nova",
        fixed_ips=(FixedIp(subnet_id=V4.id, ip_address=address(number)),),
    )


def upsert(revision: int, resource: Resource) -> dict[str, object]:
    kind = KIND_OF[type(resource)]
    return {"event": "upsert", "revision": revision, "kind": kind, "object": encode(resource)}


@dataclass
class Told:
    """The events of the server's feed, for all followers."""

    events: list[dict[str, object]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)
    ended: bool = False

    def tell(self, *events: dict[str, object]) -> None:
        with self.news:
            self.events.extend(events)
            self.news.notify_all()

    def end(self) -> None:
        self.ended = True
        self.tell()

    def __iter__(self) -> Iterator[dict[str, object]]:
        said = 0
        while not self.ended:
            with self.news:
                self.news.wait_for(lambda said=said: len(self.events) > said or self.ended)
                fresh = self.events[said:]
            said += len(fresh)
            yield from fresh


class Feed(BaseHTTPRequestHandler):
    """A server that has only the change feed."""

    told: Told

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.end_headers()
        for event in self.told:
            self.wfile.write(json.dumps(event).encode() + b"\n")
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def feed(told: Told) -> Iterator[str]:
    handler = type("ThisFeed", (Feed,), {"told": told})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            told.end()
            server.shutdown()


class Guest(http.client.HTTPConnection):
    """One connection of a guest, identified by its address."""

    def __init__(self, port: int, number: int) -> None:
        super().__init__(
            "127.0.0.1", port, timeout=UNTIL_WOKEN, source_address=(address(number), 0)
        )

    def get(self, path: str) -> http.client.HTTPResponse:
        self.request("GET", path)
        return self.getresponse()


@dataclass
class Hops:
    port: int
    told: Told
    run_path: Path
    open: ExitStack

    def guest(self, number: int) -> Guest:
        return self.open.enter_context(closing(Guest(self.port, number)))

    def get(self, number: int, path: str) -> tuple[int, str, str]:
        with closing(Guest(self.port, number)) as guest:
            answer = guest.get(path)
            return answer.status, answer.read().decode(), answer.headers.get("ETag", "")

    def waiter(self, number: int, path: str = "/latest/meta-data/hostname") -> Guest:
        """Return a guest that has sent a waiting request."""
        tag = self.get(number, path)[2].strip('"')
        guest = self.guest(number)
        guest.request("GET", f"{path}?wait_for_change=true&timeout_sec={WAIT}&last_etag={tag}")
        return guest

    def waiting(self) -> int:
        lines = metrics(self.run_path / "metadata-service.metrics.sock").splitlines()
        (line,) = [line for line in lines if line.startswith("a9fe_waiters ")]
        return int(float(line.split()[1]))


@pytest.fixture
def hops(tmp_path: Path) -> Iterator[Hops]:
    told = Told()
    known = [LAN, V4, *(instance(n) for n in range(GUESTS)), *(card(n) for n in range(GUESTS))]
    told.tell({"event": "snapshot", "revision": 1}, *(upsert(1, each) for each in known))
    told.tell({"event": "synced", "revision": 1})
    service_port = free_port()
    with ExitStack() as stack:
        flags = {
            "state_path": str(tmp_path / "state"),
            "run_path": str(tmp_path),
            "server_url": stack.enter_context(feed(told)),
            "metadata_listen_port": str(service_port),
            "nova_metadata_port": str(service_port),
            "metadata_proxy_shared_secret": SECRET,
            "enable_identity": "false",
            **{f"metadata_{name}_user": "root" for name in ("proxy", "agent", "service")},
        }
        for name in ("metadata-service", "metadata-agent", "metadata-proxy"):
            stack.enter_context(process(name, flags))
        sock = stack.enter_context(tcp_listener("127.0.0.1", free_port(), 4096))
        hand_over(str(tmp_path / PROXY_SOCKET), sock)
        hops = Hops(sock.getsockname()[1], told, tmp_path, stack)
        eventually(lambda: hops.get(GUESTS - 1, "/latest")[0] == 200, what="an answer")
        yield hops


def test_many_waiters_delay_no_others_and_a_change_wakes_its_own(hops: Hops):
    waiters = [(n, hops.waiter(n)) for n in range(GUESTS) for _ in range(EACH)]
    assert len(waiters) > MAX_UPSTREAM_CONNECTIONS
    eventually(lambda: hops.waiting() == len(waiters), what="all to wait")
    assert [hops.get(n, "/latest/meta-data/instance-id")[0] for n in range(GUESTS)] == [
        200
    ] * GUESTS

    changed = replace(instance(3), name="renamed")
    hops.told.tell(upsert(2, changed))
    theirs = [guest.getresponse() for number, guest in waiters if number == 3]
    assert {(answer.status, answer.read()) for answer in theirs} == {(200, b"renamed.novalocal")}
    assert hops.waiting() == len(waiters) - EACH

    for _, guest in waiters:
        guest.close()
    eventually(lambda: hops.waiting() == 0, what="those who hang up to be forgotten")


def test_one_guest_takes_only_its_own_places(hops: Hops):
    mine = [hops.waiter(0) for _ in range(MAX_WAITERS_PER_INSTANCE)]
    eventually(lambda: hops.waiting() == len(mine), what="all to wait")
    refused = hops.waiter(0).getresponse()
    assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
    hops.waiter(1)
    eventually(lambda: hops.waiting() == len(mine) + 1, what="another guest's to wait")
    hops.told.tell({"event": "delete", "revision": 2, "kind": "port", "id": "port-0"})
    hops.told.tell({"event": "delete", "revision": 2, "kind": "instance", "id": "vm-0"})
    # 404 of the service, which knows it first; 503 of the agent, where the next request is certain
    assert {guest.getresponse().status for guest in mine} <= {404, 503}


def test_conditions_pass_through_all_hops(hops: Hops):
    status, body, tag = hops.get(0, "/openstack/latest/meta_data.json")
    assert (status, json.loads(body)["name"]) == (200, "vm0")
    for method, expected in (("GET", 304), ("HEAD", 304)):
        guest = hops.guest(0)
        guest.request(method, "/openstack/latest/meta_data.json", headers={"If-None-Match": tag})
        answer = guest.getresponse()
        assert (answer.status, answer.read(), answer.headers["ETag"]) == (expected, b"", tag)
        assert json.loads(guest.get("/latest?recursive=true").read())["meta-data"]["hostname"]
    assert hops.get(0, "/latest?recursive=maybe")[0] == 400
