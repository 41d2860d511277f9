"""The server as a process: it becomes its user, needs no file of ours after that, ends cleanly."""

import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from a9fe.server.main import listen
from tests.conditions import eventually

# Runs the server and tells, when it ends, who it was and what it imported after its start.
PROGRAM = """
import os, sys
from a9fe.linux import privileges
from a9fe.runtime import config
from a9fe.server import main
state, port, user = sys.argv[1:]
known = set()
become = privileges.drop
def drop(name):
    become(name)
    known.update(sys.modules)
privileges.drop = drop
options = {"state_path": state, "database_connection": f"sqlite:///{state}/a9fe.db"}
options |= {"bind_port": port, "server_user": user}
main.run(config.load(options, {}))
print("late", sorted(set(sys.modules) - known), "uid", os.getuid())
"""


@pytest.fixture
def state() -> Iterator[Path]:
    """A directory of the server's user's own, outside root's private ones."""
    with tempfile.TemporaryDirectory(prefix="a9fe-test-") as name:
        if os.getuid() == 0:
            os.chown(name, user().pw_uid, user().pw_gid)
        yield Path(name)


def user() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())


def free_port() -> int:
    with listen("127.0.0.1", 0) as listener:
        port: int = listener.getsockname()[1]
        return port


def start(state: Path, port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(state), str(port), user().pw_name],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def answers(port: int) -> dict[str, object] | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/a9fe/v1/status") as answer:
            found: dict[str, object] = json.load(answer)
            return found
    except OSError:
        return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_as_its_user_and_ends_with_0(state: Path, number: signal.Signals):
    port = free_port()
    process = start(state, port)
    try:
        assert eventually(lambda: answers(port), what="an answer")
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, output
    assert f"late [] uid {user().pw_uid}" in output
    assert "Traceback" not in output
    assert (state / "a9fe.db").stat().st_mode & 0o077 == 0
    assert (state / "a9fe.db").stat().st_uid == user().pw_uid


def test_after_sigkill_the_state_is_there(state: Path):
    port = free_port()
    first = start(state, port)
    try:
        assert eventually(lambda: answers(port), what="an answer")
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v2.0/networks", data=b'{"network": {"name": "kept"}}'
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 201
    finally:
        first.kill()
        first.communicate()
    second = start(state, port)
    try:
        found = eventually(lambda: answers(port), what="an answer")
        assert found["counts"]["network"] == 1  # type: ignore[index]
    finally:
        second.kill()
        second.communicate()
