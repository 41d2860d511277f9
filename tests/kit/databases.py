"""Databases of the tests: SQLite files, and a PostgreSQL of our own on a Unix socket.

A test of the store or the server runs on both: tests/conftest.py chooses the kind, and `fresh`
copies a migrated template.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

import psycopg

from a9fe.linux.processes import process
from a9fe.store import Store
from tests.kit.conditions import eventually
from tests.kit.fake_clock import START

KINDS = ("sqlite", "postgresql")
BINARIES = Path("/usr/lib/postgresql/15/bin")
OWNER = "postgres"  # PostgreSQL refuses to run as root
FAST = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "150",
    "autovacuum": "off",
}


class Postgres:
    """A PostgreSQL cluster in its own directory, without TCP.

    `data` and `wal` are empty directories for its tables and its write-ahead log, for tests that
    put them on small disks.
    """

    def __init__(
        self,
        settings: dict[str, str] | None = None,
        *,
        data: Path | None = None,
        wal: Path | None = None,
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="a9fe-pg-"))
        self._data = data or self.directory / "data"
        self._settings = {**FAST, **(settings or {})}
        self._names = count(1)
        self._identity: dict[str, object] = {}
        if os.getuid() == 0:
            entry = pwd.getpwnam(OWNER)
            for path in filter(None, (self.directory, data, wal)):
                os.chown(path, entry.pw_uid, entry.pw_gid)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            self._identity = identity
        self.directory.chmod(0o755)
        of_wal = [f"--waldir={wal}", "--wal-segsize=1"] if wal else []
        options = ("--username=a9fe", "--auth=trust", "--encoding=UTF8", "--no-sync")
        self._run("initdb", *options, *of_wal)

    def _run(self, program: str, *arguments: str, check: bool = True) -> bool:
        command = [str(BINARIES / program), f"--pgdata={self._data}", *arguments]
        done = subprocess.run(
            command,
            check=check,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            **self._identity,  # type: ignore[call-overload]  # its own overloads are many
        )
        return bool(done.returncode == 0)

    def start(self) -> None:
        settings = {**self._settings, "unix_socket_directories": str(self.directory)}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self._run("pg_ctl", "start", "-w", f"--log={self.directory}/log", f"--options={options}")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "-w", f"--mode={mode}")

    def runs(self) -> bool:
        return self._run("pg_ctl", "status", check=False)

    def kill(self) -> None:
        """Send SIGKILL to all its processes at once, as in a power failure."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(first, signal.SIGSTOP)  # so that it starts no more processes
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        pids = [first, *map(int, children)]
        for pid in pids:
            with suppress(ProcessLookupError):  # the postmaster noticed and ended by itself
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not any(map(process.alive, pids)), what="the end of PostgreSQL")

    def close(self) -> None:
        if self.runs():
            self.stop("immediate")
        shutil.rmtree(self.directory)

    def url(self, name: str) -> str:
        return f"postgresql://a9fe@/{name}?host={self.directory}"

    def command(self, statement: str) -> None:
        """Run one statement outside a transaction, such as CREATE DATABASE."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def empty(self) -> str:
        """Return the URL of an empty database."""
        name = f"test{next(self._names)}"
        self.command(f"CREATE DATABASE {name}")
        return self.url(name)

    @cache  # noqa: B019 - as many as there are clusters, one
    def _template(self) -> str:
        self.command("CREATE DATABASE template")
        _migrate(self.url("template"))
        return "template"

    def fresh(self) -> str:
        """Return the URL of a database with our schema."""
        template = self._template()
        name = f"test{next(self._names)}"
        self.command(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.url(name)

    def drop(self, url: str) -> None:
        name = url.partition("@/")[2].partition("?")[0]
        self.command(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def running_postgres(
    settings: dict[str, str] | None = None, *, data: Path | None = None, wal: Path | None = None
) -> Iterator[Postgres]:
    """Run a cluster until the end of the block; see Postgres."""
    cluster = Postgres(settings, data=data, wal=wal)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.close()


def _migrate(url: str) -> None:
    store = Store(url, lambda: START)
    store.migrate()
    store.close()


@cache
def empty_sqlite() -> bytes:
    """Return the file of a migrated database, made once and copied for each test."""
    with tempfile.TemporaryDirectory() as directory:
        _migrate(f"sqlite:///{directory}/a9fe.db")
        return Path(directory, "a9fe.db").read_bytes()


class Databases:
    """Makes databases of the kind in use."""

    def __init__(self) -> None:
        self.kind = "sqlite"
        self.cluster: Postgres | None = None
        self._made: list[str] = []

    def fresh(self, directory: Path) -> str:
        """Return the URL of a database with our schema, in `directory` if it is a file."""
        if self.kind == "sqlite":
            (directory / "a9fe.db").write_bytes(empty_sqlite())
            return f"sqlite:///{directory}/a9fe.db"
        return self._remember(self._running().fresh())

    def empty(self, directory: Path) -> str:
        """Return the URL of an empty database."""
        if self.kind == "sqlite":
            return f"sqlite:///{directory}/empty.db"
        return self._remember(self._running().empty())

    def _running(self) -> Postgres:
        if self.cluster is None:
            self.cluster = Postgres()
            self.cluster.start()
        return self.cluster

    def _remember(self, url: str) -> str:
        self._made.append(url)
        return url

    def mark(self) -> int:
        """Return a position for `drop`."""
        return len(self._made)

    def drop(self, mark: int) -> None:
        """Drop the databases made since `mark`."""
        for url in self._made[mark:]:
            self._running().drop(url)
        del self._made[mark:]

    def close(self) -> None:
        if self.cluster is not None:
            self.cluster.close()


DATABASES = Databases()
