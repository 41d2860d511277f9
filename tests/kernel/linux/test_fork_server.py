"""Processes forked by the fork server, as the kernel shows them; kills."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from a9fe.linux.processes import fork_server, process
from a9fe.linux.processes.fork_server import ForkServer
from a9fe.linux.processes.process import Program
from tests.kit.conditions import eventually
from tests.kit.reporting_forks import serve

SECRET = "a-secret-that-only-some-processes-may-have"


def program(tmp_path, *words, **more):
    return Program(
        name="test",
        command=("metadata-test", *words),
        flags={"host": "h1"},
        env={"OUT": str(tmp_path / "out"), **more.pop("env", {})},
        **more,
    )


async def seen(tmp_path):
    out = tmp_path / "out"
    await asyncio.to_thread(eventually, out.exists, what="the process reports")
    text = out.read_text()
    out.unlink()
    return json.loads(text)


@pytest.fixture
def run():
    def run(use):
        async def whole():
            forks = ForkServer(serve)
            try:
                return await use(forks)
            finally:
                forks.close()

        return asyncio.run(whole())

    return run


def test_a_process_is_our_child_with_what_it_was_given(run, tmp_path):
    async def use(forks):
        child = await forks.fork(program(tmp_path, "wait", "--host", "h1"), "calendar")
        found = await seen(tmp_path)
        line = process.command_line(child.pid)
        name = comm(child.pid)
        assert await child.stop() == -signal.SIGTERM
        return child.pid, found, line, name

    pid, found, line, name = run(use)
    assert found["ppid"] == os.getpid()
    assert found["sid"] == pid
    assert found["argv"] == ["metadata-test", "wait", "--host", "h1"]
    assert found["flags"] == {"host": "h1"}
    assert found["calendar"]
    assert line == (*fork_server.interpreter(), "metadata-test", "wait", "--host", "h1")
    assert name == "metadata-test"
    assert found["env"]["A9FE_PARENT_PID"] == str(os.getpid())


def test_only_the_process_itself_has_its_environment(run, tmp_path, monkeypatch):
    monkeypatch.setenv("A9FE_AUTH_TOKEN", SECRET)

    async def use(forks):
        other = await forks.fork(program(tmp_path, "wait", env={"A9FE_AUTH_TOKEN": ""}))
        without = await seen(tmp_path)
        child = await forks.fork(program(tmp_path, "wait"))
        with_secret = await seen(tmp_path)
        pids = (forks.pid, other.pid, child.pid)
        found = {pid: (environment(pid), in_memory(pid, SECRET)) for pid in pids}
        await asyncio.gather(other.stop(), child.stop())
        return without, with_secret, [found[pid] for pid in pids]

    without, with_secret, (server, other, child) = run(use)
    assert without["env"]["A9FE_AUTH_TOKEN"] == ""
    assert with_secret["env"]["A9FE_AUTH_TOKEN"] == SECRET
    assert not any(SECRET in shown for shown, _ in (server, other, child))
    assert [has for _, has in (server, other, child)] == [False, False, True]


def test_a_process_has_no_descriptor_of_the_fork_server(run, tmp_path):
    async def use(forks):
        assert await (await forks.fork(program(tmp_path))).wait() == 0
        return await seen(tmp_path)

    fds = run(use)["fds"]
    assert sorted(fds, key=int)[:3] == ["0", "1", "2"]
    assert not [name for name in fds.values() if name.startswith("socket:") or "memfd" in name]


def test_the_exit_status_and_a_killed_process(run, tmp_path):
    async def use(forks):
        failing = await forks.fork(program(tmp_path, "fail"))
        statuses = [await failing.wait(), await failing.stop()]
        killed = await forks.fork(program(tmp_path, "wait"))
        os.kill(killed.pid, signal.SIGKILL)
        return [*statuses, await killed.wait()]

    assert run(use) == [7, 7, -signal.SIGKILL]


def test_a_killed_fork_server_ends_no_process_and_is_started_again(run, tmp_path):
    async def use(forks):
        child = await forks.fork(program(tmp_path, "wait"))
        await seen(tmp_path)
        killed = forks.pid
        os.kill(killed, signal.SIGKILL)
        other = await forks.fork(program(tmp_path, "wait"))
        found = await seen(tmp_path)
        assert forks.pid != killed
        assert process.alive(child.pid)
        assert found["ppid"] == os.getpid()
        return await asyncio.gather(child.stop(), other.stop())

    assert run(use) == [-signal.SIGTERM, -signal.SIGTERM]


def test_modules_are_imported_while_there_is_no_request(run, tmp_path):
    async def use(forks):
        async with asyncio.timeout(60):
            while True:
                await (await forks.fork(program(tmp_path))).wait()
                if (await seen(tmp_path))["tool"]:
                    return

    run(use)


KILLED = """
import asyncio, signal, sys
from a9fe.linux.processes.fork_server import ForkServer
from a9fe.linux.processes.process import Program
from tests.kit.reporting_forks import serve
async def main():
    forks = ForkServer(serve)
    pids = [forks.pid]
    for survives in (False, True):
        env = {"OUT": sys.argv[1] + str(survives)}
        what = Program(name="t", command=("t", "wait"), env=env, survives=survives)
        pids.append((await forks.fork(what)).pid)
    print(*pids, flush=True)
    signal.pause()
asyncio.run(main())
"""


def test_of_a_killed_parent_only_the_process_that_survives_is_left(tmp_path):
    argv = [sys.executable, "-c", KILLED, str(tmp_path / "out")]
    parent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    server, child, survivor = map(int, parent.stdout.readline().split())
    try:
        eventually((tmp_path / "outFalse").exists, what="the child runs")
        eventually((tmp_path / "outTrue").exists, what="the survivor runs")
        assert os.readlink(f"/proc/{survivor}/fd/1") == os.devnull
        parent.kill()
        parent.wait(10)
        eventually(lambda: not process.alive(child), what="the child's end")
        eventually(lambda: not process.alive(server), what="the fork server's end")
        assert process.alive(survivor)
    finally:
        os.kill(survivor, signal.SIGKILL)
        parent.stdout.close()


def comm(pid):
    return Path(f"/proc/{pid}/comm").read_text().strip()


def environment(pid):
    return Path(f"/proc/{pid}/environ").read_text()


def in_memory(pid, text):
    """Whether a process has a text anywhere in its writable memory."""
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            bounds, mode = line.split()[:2]
            if mode.startswith("rw"):
                start, end = (int(part, 16) for part in bounds.split("-"))
                memory.seek(start)
                if text.encode() in memory.read(end - start):
                    return True
    return False
