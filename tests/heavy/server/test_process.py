"""The server process: it changes to its user, then reads no file of a9fe, and ends cleanly."""

import contextlib
import json
import os
import pwd
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.databases import DATABASES

OTHER_PEER = "127.0.0.2"
pytestmark = pytest.mark.sqlite

# Runs the server and tells, when it ends, who it was and what it imported after its start.
PROGRAM = """
import dataclasses, os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from a9fe.linux.processes import privileges
from a9fe.runtime import config
from a9fe.server import main
state, user, database = sys.argv[1:]
known = set()
become = privileges.drop
def drop(name):
    become(name)
    known.update(sys.modules)
privileges.drop = drop
options = {"state_path": state, "database_connection": database}
options |= {"server_user": user}
main.run(dataclasses.replace(config.load(options, {}), bind_port=0))
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


@contextlib.contextmanager
def started(state: Path, database: str = "") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its URL, which its log says; killed if the test has not ended it."""
    arguments = [str(state), user().pw_name, database or f"sqlite:///{state}/a9fe.db"]
    with subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        seen = ""
        try:
            while "ready" not in seen:
                line = process.stdout.readline()
                assert line, seen
                seen += line
            yield process, re.findall(r"http://[\d.:]+", seen)[-1]
        finally:
            process.kill()


def status(url: str) -> dict[str, dict[str, int]]:
    with urllib.request.urlopen(f"{url}/a9fe/v1/status", timeout=60) as answer:
        found: dict[str, dict[str, int]] = json.load(answer)
        return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_as_its_user_and_ends_with_0(state: Path, number: signal.Signals):
    with started(state) as (process, url):
        assert status(url)["counts"]["network"] == 0
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert f"late [] uid {user().pw_uid}" in output
    assert "Traceback" not in output
    assert (state / "a9fe.db").stat().st_mode & 0o077 == 0
    assert (state / "a9fe.db").stat().st_uid == user().pw_uid


def test_half_open_requests_of_one_peer_do_not_block_others(state: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with started(state) as (process, url), contextlib.ExitStack() as held:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        port = int(url.rpartition(":")[2])
        for _ in range(1500):
            address = (OTHER_PEER, 0)
            peer = socket.create_connection(("127.0.0.1", port), source_address=address)
            held.enter_context(peer)
            peer.sendall(b"GET /v2.0/networks HTTP/1.1\r\nHost: x\r\n")
        assert status(url)["counts"]["network"] == 0
        body = b'{"network": {"name": "made"}}'
        with urllib.request.urlopen(posted(f"{url}/v2.0/networks", body), timeout=60) as answer:
            assert answer.status == 201
        process.kill()
        output, _ = process.communicate(timeout=30)
    assert output.count("connections closed") <= 3
    assert "Traceback" not in output


def posted(url: str, body: bytes) -> urllib.request.Request:
    return urllib.request.Request(url, body, {"Content-Type": "application/json"})


def test_on_postgresql_it_also_reads_no_file_of_a9fe(state: Path):
    DATABASES.kind = "postgresql"
    with started(state, DATABASES.empty(state)) as (process, url):
        assert status(url)["counts"]["network"] == 0
        body = b'{"network": {"name": "made"}}'
        with urllib.request.urlopen(posted(f"{url}/v2.0/networks", body)) as answer:
            assert answer.status == 201
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert f"late [] uid {user().pw_uid}" in output
    assert "Traceback" not in output


def test_after_sigkill_the_state_is_there(state: Path):
    with started(state) as (_, url):
        body = b'{"network": {"name": "kept"}}'
        with urllib.request.urlopen(posted(f"{url}/v2.0/networks", body)) as answer:
            assert answer.status == 201
    with started(state) as (_, url):
        assert status(url)["counts"]["network"] == 1
