"""Faults of a server's database: a stopped writer, a killed PostgreSQL, a full disk. Every write
that was answered with success is kept."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from a9fe.model.resources import Network
from a9fe.server.asgi.errors import problem_of
from a9fe.store import Store, StoreFull
from tests.kit.conditions import eventually
from tests.kit.databases import Postgres, running_postgres
from tests.kit.fake_clock import START
from tests.lab.disks import disk, open_directory
from tests.lab.servers import DEADLINE, RunningServer, running_server
from tests.lab.writers import Answers, writing

CROWD = 60  # writers at once, more than a server has threads
WHO_HOLDS_THE_LOG = """
SELECT a.state = 'idle in transaction' AND clock_timestamp() - a.state_change > interval '0.5 s'
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a ON a.pid = l.pid
WHERE c.relname = 'counters' AND l.mode = 'RowShareLock' AND l.granted AND NOT EXISTS (
    SELECT 1 FROM pg_locks w WHERE w.pid = l.pid AND NOT w.granted)
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    """Make a directory that unprivileged users can search."""
    with open_directory("a9fe-faults-") as made:
        yield made


def enlarge(place: Path, megabytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={megabytes}m", str(place)], check=True)


def names(server: RunningServer, network_id: str) -> set[str]:
    return {port["name"] for port in server.list("port", network_id=network_id)}


def write_until_refused(server: RunningServer, network_id: str) -> Answers:
    """Write until every write is refused."""
    with writing(server, network_id, description="x" * 250) as answers:
        eventually(lambda: answers.refused.total() > 20, DEADLINE, "refusals")
    assert answers.made
    for refusal in answers.refused:
        assert refusal.startswith("503 "), refusal
        assert "ServiceUnavailable" in refusal
    return answers


def goes_on(server: RunningServer, network_id: str, answers: Answers) -> None:
    """Check that all answered writes are kept and that more can be written."""
    eventually(lambda: server.api.get("/v2.0/networks").is_success, what="the database")
    assert set(answers.made) <= names(server, network_id)
    server.create("port", network_id=network_id)


@contextmanager
def stopped_in_a_transaction(process: "subprocess.Popen[bytes]", database: str) -> Iterator[None]:
    """Stop the process while it holds the change log's lock; continue it after the block."""

    def stopped() -> bool:
        process.send_signal(signal.SIGSTOP)
        held = eventually(lambda: settled(database), DEADLINE, "what it sent has been done")
        if held == "free":
            process.send_signal(signal.SIGCONT)
        return held == "held"

    try:
        eventually(stopped, DEADLINE, "a stop in a transaction")
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def settled(database: str) -> str:
    """Return "held" if an idle transaction locks the change log, "free", or "" if unsure."""
    with psycopg.connect(database) as connection:
        found = [quiet for (quiet,) in connection.execute(WHO_HOLDS_THE_LOG)]
    if not found:
        return "free"
    return "held" if all(found) else ""


def crowd(server: RunningServer, network_id: str) -> Counter[str]:
    """Return the answers to many writers at once, with the reasons of refusals; meanwhile readers
    are answered first.
    """

    def write(_: int) -> str:
        body = {"port": {"network_id": network_id}}
        answer = server.api.post("/v2.0/ports", json=body, timeout=DEADLINE)
        return "201" if answer.status_code == 201 else f"{answer.status_code} {answer.text}"

    with ThreadPoolExecutor(CROWD) as pool:
        writes = [pool.submit(write, number) for number in range(CROWD)]
        for _ in range(3):
            server.list("network")
        assert not any(write.done() for write in writes)
        return Counter(write.result() for write in writes)


def test_a_stopped_server_blocks_the_other_only_for_seconds(directory: Path):
    with running_postgres() as cluster, ExitStack() as stack:
        database = cluster.fresh()
        one, other = (stack.enter_context(running_server(directory, database)) for _ in "12")
        network_id = one.network("10.1.0.0/16")
        store = stack.enter_context(closing(Store(database, lambda: START)))
        export = stack.enter_context(closing(store.export()))
        exported = [next(export)]  # the reader of an export may be slow
        with writing(one, network_id) as answers:
            eventually(lambda: len(answers.made) > 4, DEADLINE, "writes")
            with stopped_in_a_transaction(one.process, database):
                assert crowd(other, network_id) == {"201": CROWD}
            made = len(answers.made)
            eventually(lambda: len(answers.made) > made + 4, DEADLINE, "more writes")
        exported += export
        assert len(exported) > 3
        assert set(answers.made) <= names(other, network_id)


def test_a_killed_database_keeps_what_was_answered(directory: Path):
    with running_postgres({"fsync": "on", "full_page_writes": "on"}) as cluster:
        database = cluster.fresh()
        with running_server(directory, database) as server:
            network_id = server.network("10.1.0.0/16")
            with writing(server, network_id) as answers:
                for _ in range(2):
                    made = len(answers.made)
                    eventually(lambda made=made: len(answers.made) > made + 20, what="writes")
                    cluster.kill()
                    refused = answers.refused.total()
                    eventually(
                        lambda refused=refused: answers.refused.total() > refused + 8,
                        what="refusals",
                    )
                    cluster.start()
            assert all(refusal.startswith("503 ") for refusal in answers.refused)
            goes_on(server, network_id, answers)


@pytest.mark.parametrize("full", ["data", "wal"])
def test_a_full_disk_of_postgresql_is_reported_and_no_answered_write_is_lost(
    directory: Path, full: str
):
    """If its log has no room, PostgreSQL ends itself and has to be started again."""
    with ExitStack() as stack:
        place = stack.enter_context(disk(directory / full, 400))
        other = directory / "other"
        other.mkdir()
        places = {"data": place, "wal": other} if full == "data" else {"wal": place}
        cluster = stack.enter_context(running_postgres({"wal_keep_size": "200MB"}, **places))
        database = cluster.fresh()
        server = stack.enter_context(running_server(directory, database))
        network_id = server.network("10.1.0.0/16")
        leave(place, 300_000)
        answers = write_until_refused(server, network_id)
        if full == "data":
            assert any("The database is full" in refusal for refusal in answers.refused)
        enlarge(place, 500)
        started(cluster)
        goes_on(server, network_id, answers)


def leave(place: Path, room: int) -> None:
    """Fill a disk but for so many bytes."""
    ballast = shutil.disk_usage(place).free - room
    with (place / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, ballast))


def started(cluster: Postgres) -> None:
    if not cluster.runs():
        cluster.start()


def test_a_full_disk_of_sqlite_is_reported_and_no_answered_write_is_lost(directory: Path):
    with disk(directory / "small", 3) as place:
        place.chmod(0o777)
        with running_server(directory, f"sqlite:///{place}/a9fe.db") as server:
            network_id = server.network("10.1.0.0/16")
            answers = write_until_refused(server, network_id)
            assert all("The database is full" in refusal for refusal in answers.refused)
            assert server.list("network")
            enlarge(place, 9)
            goes_on(server, network_id, answers)


WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("holds it", flush=True)
sys.stdin.read()
"""


def test_a_stopped_command_blocks_writers_of_sqlite_and_they_get_503(directory: Path):
    place = directory / "state"
    place.mkdir()
    place.chmod(0o777)
    with running_server(directory, f"sqlite:///{place}/a9fe.db") as server:
        network_id = server.network("10.1.0.0/16")
        command = [sys.executable, "-c", WRITER, f"{place}/a9fe.db"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "holds it\n"
            writer.send_signal(signal.SIGSTOP)
            refused = crowd(server, network_id)
            assert refused.total() == CROWD
            assert all(answer.startswith("503 ") for answer in refused), refused
            writer.kill()
        server.create("port", network_id=network_id)


def test_a_full_disk_is_reported_and_no_write_is_partial(tmp_path: Path):
    with disk(tmp_path / "disk", 3) as place:
        store = Store(f"sqlite:///{place}/a9fe.db", lambda: START)
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
        enlarge(place, 9)
        store.transact(lambda session: session.insert(Network(id="after", name="after")))
        store.close()


def fill(store: Store) -> list[str]:
    """Write until the disk is full; return what was answered as written."""
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
