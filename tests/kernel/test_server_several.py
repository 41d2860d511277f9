"""Two server processes over one PostgreSQL under fire; killed servers, restarted and full
databases."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from a9fe.model.resources import Network
from a9fe.server.errors import problem_of
from a9fe.store import Store, StoreFull
from tests.conditions import eventually
from tests.databases import START, Postgres, running_postgres

pytestmark = pytest.mark.kernel
A9FE = str(Path(sys.executable).with_name("a9fe"))
CREATORS = 16
DEADLINE = 30.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def server(directory: Path, database: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server process; its URL."""
    port = free_port()
    directory.chmod(0o711)
    command = [A9FE, "server", "--state-path", f"{directory}/state", "--run-path"]
    command += [f"{directory}/run", "--bind-port", str(port)]
    env = {**os.environ, "A9FE_DATABASE_CONNECTION": database}
    with (directory / f"server-{port}.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: answers(url), DEADLINE, "the server's answer")
        yield url, process
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def cluster() -> Iterator[Postgres]:
    with running_postgres() as made:
        yield made


@pytest.fixture
def pair(cluster: Postgres, tmp_path: Path) -> Iterator[list[str]]:
    """The URLs of two servers on one database."""
    database = cluster.fresh()
    tmp_path.parent.chmod(0o711)
    with ExitStack() as stack:
        yield [stack.enter_context(server(tmp_path, database))[0] for _ in range(2)]


def create(url: str, kind: str, **values: object) -> dict[str, object]:
    answer = httpx.post(f"{url}/v2.0/{kind}s", json={kind: values}, timeout=DEADLINE)
    assert answer.status_code == 201, answer.text
    made: dict[str, object] = answer.json()[kind]
    return made


def network(url: str, cidr: str) -> str:
    """A network with one subnet, for any number of ports."""
    unlimited = {"quota": {"port": -1}}
    assert httpx.put(f"{url}/v2.0/quotas/default", json=unlimited).status_code == 200
    made = create(url, "network", name=cidr)
    create(url, "subnet", network_id=made["id"], cidr=cidr, ip_version=4)
    return str(made["id"])


def fire(urls: list[str], network_id: str, shots: int) -> Counter[str]:
    """How often each outcome came when CREATORS make ports side by side."""
    outcomes: Counter[str] = Counter()
    body = {"port": {"network_id": network_id}}
    lock = threading.Lock()

    def creator(number: int) -> None:
        with httpx.Client(base_url=urls[number % len(urls)], timeout=DEADLINE) as client:
            for _ in range(number, shots, CREATORS):
                answer = client.post("/v2.0/ports", json=body)
                error = answer.json().get("NeutronError", {}).get("type", "")
                with lock:
                    outcomes[f"{answer.status_code} {error}".strip()] += 1

    with ThreadPoolExecutor(CREATORS) as pool:
        list(pool.map(creator, range(CREATORS)))
    return outcomes


def ports_of(url: str, network_id: str) -> list[dict[str, object]]:
    query = {"network_id": network_id}
    found: list[dict[str, object]] = httpx.get(
        f"{url}/v2.0/ports", params=query, timeout=DEADLINE
    ).json()["ports"]
    return found


def addresses(ports: list[dict[str, object]]) -> list[str]:
    return [fixed["ip_address"] for port in ports for fixed in port["fixed_ips"]]  # type: ignore[attr-defined]


FULL = "409 IpAddressGenerationFailure"


def test_creators_side_by_side_get_every_address_once_and_no_other(pair: list[str]):
    for cidr, capacity in (("10.1.0.0/28", 13), ("10.2.0.0/24", 253)):
        network_id = network(pair[0], cidr)
        assert fire(pair, network_id, capacity + 20) == {"201": capacity, FULL: 20}
        ports = ports_of(pair[1], network_id)
        assert len(set(addresses(ports))) == len(ports) == capacity
        assert len({port["mac_address"] for port in ports}) == capacity
        freed = random.Random(4).sample(ports, 9)
        for port in freed:
            assert httpx.delete(f"{pair[0]}/v2.0/ports/{port['id']}").status_code == 204
        assert fire(pair, network_id, 25) == {"201": 9, FULL: 16}
        assert set(addresses(ports_of(pair[0], network_id))) == set(addresses(ports))


class Follower:
    """A stream of the feed, read by a thread: the names and revisions of its host's ports."""

    def __init__(self, url: str) -> None:
        self.names: list[str] = []
        self.synced = threading.Event()
        self.revisions: list[int] = []
        self._thread = threading.Thread(target=self._read, args=(url,), daemon=True)
        self._thread.start()
        assert self.synced.wait(DEADLINE)

    def _read(self, url: str) -> None:
        query = "/a9fe/v1/feed?host=h1&agent=dhcp"
        gone = suppress(httpx.TransportError)  # with its server, when the test ends
        with gone, httpx.stream("GET", url + query, timeout=None) as answer:
            for line in answer.iter_lines():
                event = json.loads(line)
                if event["event"] == "synced":
                    self.synced.set()
                if event["event"] == "upsert" and event["kind"] == "port":
                    self.names.append(event["object"]["name"])
                    self.revisions.append(event["revision"])


def here(network_id: str, name: str) -> dict[str, object]:
    """A port of the follower's host."""
    return {"network_id": network_id, "name": name, "binding:host_id": "h1"}


def test_a_killed_server_loses_nothing_that_it_answered(cluster: Postgres, tmp_path: Path):
    database = cluster.fresh()
    tmp_path.parent.chmod(0o711)
    with server(tmp_path, database) as (one, process), server(tmp_path, database) as (other, _):
        network_id = network(one, "10.1.0.0/16")
        follower = Follower(other)
        answered: list[str] = []

        def write(number: int) -> None:
            with httpx.Client(base_url=one, timeout=DEADLINE) as client:
                try:
                    for i in range(1000):
                        body = {"port": here(network_id, f"{number}-{i}")}
                        if client.post("/v2.0/ports", json=body).status_code == 201:
                            answered.append(f"{number}-{i}")
                except httpx.TransportError:
                    return

        with ThreadPoolExecutor(4) as pool:
            for number in range(4):
                pool.submit(write, number)
            eventually(lambda: len(answered) > 60, DEADLINE, "writes")
            process.send_signal(signal.SIGKILL)
        names = {str(port["name"]) for port in ports_of(other, network_id)}
        assert set(answered) <= names
        eventually(lambda: set(follower.names) == names, DEADLINE, "the other server's stream")
        assert follower.revisions == sorted(set(follower.revisions))
        create(other, "port", **here(network_id, "after"))  # the killed one's lock is gone


def test_a_restarted_database_is_503_and_streams_go_on(cluster: Postgres, pair: list[str]):
    network_id = network(pair[0], "10.1.0.0/24")
    follower = Follower(pair[0])
    create(pair[1], "port", **here(network_id, "before"))
    eventually(lambda: follower.names == ["before"], DEADLINE, "a write on the other server")
    cluster.stop("immediate")
    for url in pair:
        for method, path in (("GET", "/v2.0/networks"), ("POST", "/v2.0/networks")):
            body = {"network": {"name": "lost"}} if method == "POST" else None
            answer = httpx.request(method, url + path, json=body, timeout=DEADLINE)
            assert answer.status_code == 503, answer.text
            assert answer.json()["NeutronError"]["type"] == "ServiceUnavailable"
            assert answer.headers["retry-after"]
    feed = httpx.get(f"{pair[0]}/a9fe/v1/feed?host=h2&agent=dhcp", timeout=DEADLINE)
    assert feed.status_code == 503
    cluster.start()
    create(pair[1], "port", **here(network_id, "after"))
    eventually(lambda: follower.names == ["before", "after"], DEADLINE, "the stream")


def test_a_full_disk_is_said_and_nothing_is_half_written(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=True)
    try:
        store = Store(f"sqlite:///{disk}/a9fe.db", lambda: START)
        store.migrate()
        with store.read() as session:
            start = session.revision()
        kept = fill(store)
        with store.read() as session:
            assert [n.name for n in session.find(Network)] == kept
            assert session.revision() == start + len(kept)
            changes = session.changes_since(start)
            assert changes is not None
            assert [c.revision - start for c in changes] == list(range(1, len(kept) + 1))
        subprocess.run(["mount", "-o", "remount,size=9m", str(disk)], check=True)
        store.transact(lambda session: session.insert(Network(id="after", name="after")))
        store.close()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(store: Store) -> list[str]:
    """Write until the disk is full; what was said to be written."""
    kept: list[str] = []

    def write_on() -> None:
        for number in range(10_000):
            made = Network(id=f"n{number}", name=f"{number}", description="x" * 250)
            kept.append(store.transact(lambda session, made=made: session.insert(made)).name)

    with pytest.raises(StoreFull, match="disk is full") as error:
        write_on()
    problem = problem_of(error.value)
    assert (problem.status, problem.type) == (503, "ServiceUnavailable")
    assert "full" in problem.message
    return kept
