"""Starting, stopping and ending processes."""

import asyncio
import os
import subprocess
import sys

import pytest

from a9fe.linux.processes import process, programs
from tests.kit.conditions import eventually

STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""
PATIENT = "import signal; print('ready', flush=True); signal.pause()"


def popen(code):
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    child.stdout.close()
    return child


def test_a_process_that_ignores_sigterm_is_killed(tmp_path):
    code = STUBBORN.replace('print("ready", flush=True)', f"open({str(tmp_path / 'up')!r}, 'w')")
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)

    async def run():
        child = process.Child(process.Program(name="test", command=()), pid)
        await asyncio.to_thread(eventually, (tmp_path / "up").exists)
        return await child.stop(grace=0.1)

    assert asyncio.run(run()) == -9


def test_end_terminates_and_then_kills():
    patient, stubborn = popen(PATIENT), popen(STUBBORN)
    assert process.end(patient.pid, grace=10)
    assert patient.wait(timeout=10) == -15
    assert process.end(stubborn.pid, grace=0.1)
    assert stubborn.wait(timeout=10) == -9
    assert not process.end(patient.pid)


def test_end_does_not_signal_another_process_with_the_pid():
    child = popen(PATIENT)
    assert not process.end(child.pid, lambda pid: "dnsmasq" in process.command_line(pid))
    assert process.alive(child.pid)
    assert process.command_line(child.pid) == (sys.executable, "-c", PATIENT)
    assert process.network_namespace(child.pid) == os.stat("/proc/self/ns/net").st_ino
    child.kill()
    child.wait(timeout=10)
    assert not process.alive(child.pid)
    assert process.command_line(child.pid) == ()
    assert process.network_namespace(child.pid) == 0


def test_a_failed_programs_stderr_is_in_the_error():
    with pytest.raises(programs.ProgramFailed, match="sh: exit status 3: no luck"):
        programs.run(["sh", "-c", "echo no luck >&2; exit 3"])
    assert programs.run(["cat"], text="in") == "in"
