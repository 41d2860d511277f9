"""`a9fe db`: one line of result or error; the model goes from SQLite to PostgreSQL and back."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from a9fe.model.resources import KINDS, Network
from a9fe.store import Store
from tests.kit.databases import running_postgres
from tests.kit.fake_clock import START
from tests.kit.stored_resources import fill

A9FE = str(Path(sys.executable).with_name("a9fe"))


class Shell:
    """Runs `a9fe db` on one database."""

    def __init__(self, directory: Path, database: str = "") -> None:
        self.environment = {**os.environ, "A9FE_STATE_PATH": f"{directory}/state"}
        self.environment["A9FE_RUN_PATH"] = f"{directory}/run"
        if database:
            self.environment["A9FE_DATABASE_CONNECTION"] = database

    def __call__(self, *arguments: str, given: str = "", status: int = 0) -> str:
        """Run `a9fe db` with these arguments; return its output."""
        return self.run("db", *arguments, given=given, status=status)

    def token(self, *arguments: str, status: int = 0) -> str:
        """Run `a9fe token`; return its output."""
        return self.run("token", *arguments, status=status)

    def run(self, *arguments: str, given: str = "", status: int = 0) -> str:
        done = subprocess.run(
            [A9FE, *arguments],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert status == 0 or done.stdout == ""
        assert status != 0 or done.stderr == ""
        return done.stdout or done.stderr


def everything(store: Store) -> list[object]:
    with store.read() as session:
        return [found for cls in KINDS.values() for found in session.find(cls)]


@pytest.fixture
def directory() -> Iterator[Path]:
    """Make a directory that the server's user can search."""
    with tempfile.TemporaryDirectory(prefix="a9fe-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def test_the_model_goes_to_postgresql_and_back(directory: Path):
    sqlite = Shell(directory)
    sqlite("upgrade")
    assert "as this version needs" in sqlite("check")
    file = directory / "state/server/a9fe.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.owner() == "a9fe"
    store = Store(f"sqlite:///{file}", lambda: START)
    fill(store)
    exported = directory / "model.jsonl"
    sqlite("export", str(exported))
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    with running_postgres() as cluster:
        url = cluster.empty()
        postgresql = Shell(directory, url)
        assert "rows from" in postgresql("import", str(exported))
        other = Store(url, lambda: START)
        assert everything(other) == everything(store)
        other.close()
        back = Shell(directory, f"sqlite:///{directory}/state/server/back.db")
        back("import", "-", given=postgresql("export", "-"))
    again = Store(f"sqlite:///{directory}/state/server/back.db", lambda: START)
    assert everything(again) == everything(store)
    again.close()
    store.close()


def test_what_is_imported_into_a_new_directory_is_the_servers(directory: Path):
    """Also if parents are missing: they are created so that its user can search them."""
    first, second = Shell(directory / "one"), Shell(directory / "two/three")
    (directory / "one").mkdir(mode=0o711)
    first("upgrade")
    assert "rows from" in second("import", "-", given=first("export", "-"))
    state = directory / "two/three/state"
    for passed in (directory / "two", directory / "two/three", state):
        assert (passed.owner(), stat.S_IMODE(passed.stat().st_mode)) == ("root", 0o711)
    for own, mode in ((state / "server", 0o700), (state / "server/a9fe.db", 0o600)):
        assert (own.owner(), stat.S_IMODE(own.stat().st_mode)) == ("a9fe", mode)
    assert "as this version needs" in second("check"), "opened as the server's user"


def test_a_missing_database_is_not_created(directory: Path):
    shell = Shell(directory)
    exported = directory / "model.jsonl"
    for arguments in (("check",), ("export", str(exported)), ("export", "-")):
        assert_one_line(shell(*arguments, status=1), "there is no database sqlite:///")
    assert_one_line(shell.token("list", "--direct", status=1), "there is no database")
    assert list(directory.iterdir()) == []
    (directory / "state").mkdir(mode=0o711)
    for empty in (directory / "state/server", directory / "state/server/a9fe.db"):
        empty.touch() if empty.suffix else empty.mkdir(mode=0o700)
        shutil.chown(empty, "a9fe", "a9fe")
    said = shell("check", status=1)
    assert_one_line(said, "has no schema, this version needs")
    assert said.endswith("run a9fe db upgrade\n")


def test_tokens_are_made_without_a_server(directory: Path):
    shell = Shell(directory)
    shell("upgrade")
    token = shell.token("create", "--direct", "--project", "web").strip()
    id = token.split("_")[1]
    assert id in shell.token("list", "--direct")
    assert shell.token("revoke", "--direct", token) == f"token {id}: revoked\n"
    assert_one_line(shell.token("revoke", "--direct", id, status=1), id)
    assert_one_line(shell.token("create", "--direct", status=2), "--project or --agent")


def test_every_error_is_one_line_and_changes_nothing(directory: Path):
    shell = Shell(directory)
    shell("upgrade")
    store = Store(f"sqlite:///{directory}/state/server/a9fe.db", lambda: START)
    store.transact(lambda session: session.insert(Network(id="n1")))
    whole = shell("export", "-")
    before = everything(store)
    for given, expected in ((whole, "is not empty: it has networks"), ("x", "is not empty")):
        assert_one_line(shell("import", "-", given=given, status=1), expected)
    file = directory / "model.jsonl"
    file.write_text("kept")
    assert_one_line(shell("export", str(file), status=1), "File exists")
    assert file.read_text() == "kept"
    assert_one_line(shell("import", f"{directory}/no", status=1), "No such file or directory")
    assert everything(store) == before
    store.close()
    nowhere = Shell(directory, f"postgresql://a9fe:secret@/x?host={directory}")
    for arguments in (("check",), ("upgrade",), ("import", str(file)), ("export", "-")):
        said = nowhere(*arguments, status=1)
        assert_one_line(said, "postgresql://***@/x")
        assert "secret" not in said


def assert_one_line(said: str, expected: str) -> None:
    assert expected in said
    assert said.count("\n") == 1
    assert said.startswith("a9fe: error: ")
