"""The shared secret, directories, the log stream, tasks and metrics."""

import asyncio
import json
import logging as stdlib_logging
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import structlog

from a9fe.model.errors import A9feError
from a9fe.runtime import logging, metrics, readiness, tasks
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import load
from a9fe.runtime.state import directories, shared_secret
from a9fe.wire.refusals import Refusal

pytestmark = pytest.mark.usefixtures("own_log_stream")

log = structlog.get_logger()


# ---- secret


def test_the_secret_is_made_once_and_private(tmp_path: Path):
    config = load({"state_path": str(tmp_path)})
    shared_secret.ensure(config)
    first = shared_secret.read(config)
    shared_secret.ensure(config)
    assert shared_secret.read(config) == first
    assert len(first) == 64
    assert shared_secret.path_of(config).stat().st_mode & 0o777 == 0o600


def test_a_draft_of_an_interrupted_start_is_replaced(tmp_path: Path):
    config = load({"state_path": str(tmp_path)})
    (tmp_path / ".secret.new").write_text("")
    shared_secret.ensure(config)
    assert len(shared_secret.read(config)) == 64


def test_the_options_secret_is_used_and_no_file_made(tmp_path: Path):
    config = load({"state_path": str(tmp_path)}, {"A9FE_METADATA_PROXY_SHARED_SECRET": "s3"})
    shared_secret.ensure(config)
    assert shared_secret.read(config) == "s3"
    assert not shared_secret.path_of(config).exists()


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
def test_no_process_runs_with_an_empty_secret(tmp_path: Path, content: bytes | None):
    config = load({"state_path": str(tmp_path)})
    if content is not None:
        shared_secret.path_of(config).write_bytes(content)
    with pytest.raises(A9feError, match="secret"):
        shared_secret.read(config)


# ---- directories


def test_a_new_directory_lets_all_users_pass(tmp_path: Path):
    path = tmp_path / "deep" / "state"
    directories.ensure("state_path", str(path), directories.STATE_MODE)
    assert path.stat().st_mode & 0o777 == 0o711


def test_a_closed_directory_of_ours_is_opened(tmp_path: Path):
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    directories.ensure("state_path", str(path), directories.STATE_MODE)
    assert path.stat().st_mode & 0o777 == 0o711


def test_a_file_in_the_place_of_a_directory_is_named(tmp_path: Path):
    path = tmp_path / "state"
    path.write_text("")
    with pytest.raises(A9feError, match=f"state_path: '{path}'"):
        directories.ensure("state_path", str(path), directories.STATE_MODE)


def test_a_path_that_our_users_cannot_pass_is_refused(tmp_path: Path):
    closed = tmp_path / "closed"
    (closed / "state").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(A9feError, match="closed"):
        directories.check_passable("state_path", str(closed / "state"))
    directories.check_passable("state_path", "/tmp")


# ---- logging


def test_a_line_has_the_process_and_cannot_be_forged(capsys: pytest.CaptureFixture[str]):
    logging.configure("server")
    log.info("asked", path="/a\n2026 server info ready", name="two words", n=3)
    log.debug("not shown")
    (line,) = capsys.readouterr().err.splitlines()
    assert " server info asked " in line
    assert line.endswith(r'path="/a\n2026 server info ready" name="two words" n=3')


def test_a_traceback_is_marked_on_each_line(capsys: pytest.CaptureFixture[str]):
    logging.configure("server")
    log.error("broken", exc_info=ValueError("x\n2026 server info ready"))
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith("server error broken")
    assert rest
    assert [line for line in rest if not line.startswith("server | ")] == []


def test_json_lines_and_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    logging.configure("l3-agent", json=True, debug=True, log_dir=str(tmp_path / "logs"))
    log.debug("seen", n=1)
    line = capsys.readouterr().err
    assert json.loads(line)["process"] == "l3-agent"
    assert json.loads(line)["event"] == "seen"
    assert (tmp_path / "logs" / "l3-agent.log").read_text() == line


def test_libraries_log_into_our_stream(capsys: pytest.CaptureFixture[str]):
    logging.configure("server")
    stdlib_logging.getLogger("sqlalchemy.pool").warning("pool is %s", "empty")
    stdlib_logging.getLogger("httpx").info("GET /")
    (line,) = capsys.readouterr().err.splitlines()
    assert "server warning pool is empty logger=sqlalchemy.pool" in line


def test_a_wrong_log_directory_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(A9feError, match="log_dir"):
        logging.configure("server", log_dir=str(tmp_path / "file"))


def test_the_event_ready_notifies_the_supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        receiver.settimeout(0)
        monkeypatch.setenv(readiness.VARIABLE, path)
        logging.configure("server")
        log.info("almost")
        with pytest.raises(BlockingIOError):
            receiver.recv(100)
        log.info("ready", listen="x")
        assert receiver.recv(100) == b"READY=1\n"
    log.info("ready", nobody="listens")


# ---- tasks


def test_backoff_doubles_to_its_ceiling_and_is_spread():
    backoff = tasks.Backoff(first=1, ceiling=8)
    assert [backoff.delay(n, 0.999999) for n in range(1, 7)] == pytest.approx(
        [1, 2, 4, 8, 8, 8], rel=1e-5
    )
    assert backoff.delay(1, 0) == 0.5
    assert backoff.delay(10_000, 0) == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_cleanly(number: signal.Signals):
    ended = []

    async def main() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    tasks.run(main)
    assert ended == ["cleaned up"]


def test_an_error_of_the_main_task_is_raised():
    async def main() -> None:
        raise A9feError("no")

    with pytest.raises(A9feError, match="no"):
        tasks.run(main)


def test_a_supervised_task_is_started_again(capsys: pytest.CaptureFixture[str]):
    logging.configure("server")
    runs = []

    async def flaky() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise RuntimeError("again")

    tasks.run(lambda: tasks.supervise("flaky", flaky, tasks.Backoff(first=0.001, ceiling=0.002)))
    assert len(runs) == 3
    assert capsys.readouterr().err.count("task failed, trying again task=flaky") == 2


def test_a_spawned_failure_is_logged(capsys: pytest.CaptureFixture[str]):
    logging.configure("server")

    async def fail() -> None:
        raise RuntimeError("unseen")

    async def main() -> None:
        await asyncio.wait([tasks.spawn(fail(), "lonely")])

    tasks.run(main)
    assert "task failed task=lonely" in capsys.readouterr().err


# ---- metrics, clock


def test_refusals_are_counted_by_reason():
    metrics.refused("test-process", Refusal.NO_PORT)
    metrics.refused("test-process", Refusal.NO_PORT)
    line = 'a9fe_refusals_total{process="test-process",reason="no_port"} 2.0'
    assert line in metrics.exposition().decode().splitlines()


def test_the_system_clock_advances():
    clock = SystemClock()
    assert clock.now() > 1_700_000_000
    assert clock.monotonic() <= clock.monotonic()


def test_processes_that_start_together_make_the_same_directories(tmp_path: Path):
    with ThreadPoolExecutor(4) as threads:
        for number in range(100):
            path = str(tmp_path / str(number) / "state")
            make = partial(directories.ensure, "state_path", path, directories.STATE_MODE)
            for start in [threads.submit(make) for _ in range(4)]:
                start.result()
    (tmp_path / "file").touch()
    with pytest.raises(A9feError, match="cannot be used"):
        directories.ensure("state_path", str(tmp_path / "file"), directories.STATE_MODE)
