"""Two servers on one PostgreSQL: concurrent writes, a killed server, a restarted database."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from tests.kit.conditions import eventually
from tests.kit.databases import Postgres, running_postgres
from tests.lab.fire import FULL, Fire, Ledger, drained_and_filled
from tests.lab.servers import DEADLINE, RunningServer, running_server
from tests.lab.writers import writing


@pytest.fixture
def cluster() -> Iterator[Postgres]:
    with running_postgres() as made:
        yield made


@pytest.fixture
def pair(cluster: Postgres, tmp_path: Path) -> Iterator[list[RunningServer]]:
    """Run two servers on one database."""
    database = cluster.fresh()
    tmp_path.parent.chmod(0o711)
    tmp_path.chmod(0o711)
    with ExitStack() as stack:
        yield [stack.enter_context(running_server(tmp_path, database)) for _ in range(2)]


def test_creators_side_by_side_get_every_address_once_and_no_other(pair: list[RunningServer]):
    one, other = pair
    large = Ledger(network_id=one.network("10.1.0.0/24"), capacity=253)
    small = Ledger(network_id=one.network("10.2.0.0/28"), capacity=13)
    Fire(servers=pair, large=large, small=small, ports=250).open()
    assert drained_and_filled(small, other, 9) == []
    assert drained_and_filled(large, other, 9) == []
    assert large.wrong + small.wrong == []
    assert small.outcomes[FULL] > 0


class Follower:
    """A thread that reads the feed: the names and revisions of its host's ports."""

    def __init__(self, url: str) -> None:
        self.names: list[str] = []
        self.synced = threading.Event()
        self.revisions: list[int] = []
        self._thread = threading.Thread(target=self._read, args=(url,), daemon=True)
        self._thread.start()
        assert self.synced.wait(DEADLINE)

    def _read(self, url: str) -> None:
        query = "/a9fe/v1/feed?host=h1&agent=dhcp"
        gone = suppress(httpx.TransportError)  # its server ended with the test
        with gone, httpx.stream("GET", url + query, timeout=None) as answer:
            for line in answer.iter_lines():
                event = json.loads(line)
                if event["event"] == "synced":
                    self.synced.set()
                if event["event"] == "upsert" and event["kind"] == "port":
                    self.names.append(event["object"]["name"])
                    self.revisions.append(event["revision"])


HERE = {"binding:host_id": "h1"}  # of the follower


def test_a_killed_server_loses_nothing_that_it_answered(pair: list[RunningServer]):
    one, other = pair
    network_id = one.network("10.1.0.0/16")
    follower = Follower(other.url)
    with writing(one, network_id, **HERE) as answers:
        eventually(lambda: len(answers.made) > 60, DEADLINE, "writes")
        one.process.send_signal(signal.SIGKILL)
    names = {str(port["name"]) for port in other.list("port", network_id=network_id)}
    assert set(answers.made) <= names
    eventually(lambda: set(follower.names) == names, DEADLINE, "the other server's stream")
    assert follower.revisions == sorted(set(follower.revisions))
    other.create("port", network_id=network_id)  # the lock of the killed server is gone


def test_a_restarted_database_is_503_and_streams_go_on(
    cluster: Postgres, pair: list[RunningServer]
):
    network_id = pair[0].network("10.1.0.0/24")
    follower = Follower(pair[0].url)
    pair[1].create("port", network_id=network_id, name="before", **HERE)
    eventually(lambda: follower.names == ["before"], DEADLINE, "a write on the other server")
    cluster.stop("immediate")
    for server in pair:
        for method in ("GET", "POST"):
            body = {"network": {"name": "lost"}} if method == "POST" else None
            answer = server.api.request(method, "/v2.0/networks", json=body)
            assert answer.status_code == 503, answer.text
            assert answer.json()["NeutronError"]["type"] == "ServiceUnavailable"
            assert answer.headers["retry-after"]
    feed = pair[0].api.get("/a9fe/v1/feed?host=h2&agent=dhcp")
    assert feed.status_code == 503
    cluster.start()
    pair[1].create("port", network_id=network_id, name="after", **HERE)
    eventually(lambda: follower.names == ["before", "after"], DEADLINE, "the stream")
