"""The lock has one holder at a time, and none after its holder's death."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from a9fe.linux.processes import lock
from a9fe.linux.processes.lock import AlreadyRunning, StateLock

HOLD = """
import signal, sys
from a9fe.linux.processes.lock import StateLock
StateLock(sys.argv[1]).acquire()
print("held", flush=True)
signal.pause()
"""


def test_a_second_holder_is_refused_with_the_pid_of_the_first(tmp_path):
    path = str(tmp_path / "lock")
    with StateLock(path):
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}") as caught:
            StateLock(path).acquire()
        assert caught.value.pid == str(os.getpid())
    with StateLock(path):
        pass


def test_a_waiter_on_a_removed_file_does_not_hold_the_lock(tmp_path):
    """A holder removes its file while another process, which has opened it, waits for the lock."""
    path = str(tmp_path / "lock")
    with StateLock(path) as first:
        waiting = os.open(path, os.O_RDWR)
        first.remove()
        with StateLock(path), pytest.raises(AlreadyRunning):
            StateLock(path).acquire()
    fcntl.flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not lock._is_at(waiting, path)
    os.close(waiting)


def test_the_lock_of_a_killed_holder_is_free(tmp_path):
    path = str(tmp_path / "lock")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}"):
        StateLock(path).acquire()
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=10)
    with StateLock(path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
