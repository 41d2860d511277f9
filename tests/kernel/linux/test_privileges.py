"""Privileges of a child process after dropping them, as the kernel reports them."""

import json
import os
import signal
import subprocess
import sys

import pytest

from a9fe.linux.processes import privileges
from a9fe.model.errors import A9feError
from tests.kit.conditions import eventually

REPORT = """
import json, os
from a9fe.linux.processes import privileges
{call}
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
keys = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Groups")
print(json.dumps([os.getresuid(), os.getresgid(), {{key: status[key].strip() for key in keys}}]))
"""
NONE = "0" * 16


def report(call):
    done = subprocess.run(
        [sys.executable, "-c", REPORT.format(call=call)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_drop_leaves_no_privileges():
    uids, gids, status = report("privileges.drop('nobody')")
    assert uids == [65534] * 3
    assert gids == [65534] * 3
    assert status == {
        "CapInh": NONE,
        "CapPrm": NONE,
        "CapEff": NONE,
        "CapBnd": NONE,
        "CapAmb": NONE,
        "NoNewPrivs": "1",
        "Groups": "",
    }


def test_drop_keeps_the_named_capabilities():
    uids, _, status = report("privileges.drop('nobody', keep=('net_bind_service',))")
    assert uids == [65534] * 3
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 1 << 10


def test_limited_capabilities_bind_root_and_its_children():
    uids, _, status = report("privileges.limit_capabilities(('net_admin', 'kill'))")
    assert uids == [0] * 3
    assert {status[key] for key in ("CapPrm", "CapEff", "CapBnd")} == {f"{1 << 12 | 1 << 5:016x}"}
    call = """
privileges.limit_capabilities(('net_admin',))
import subprocess
print(subprocess.run(['grep', 'CapEff', '/proc/self/status'], capture_output=True).stdout)
"""
    done = subprocess.run(
        [sys.executable, "-c", REPORT.format(call=call)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{1 << 12:016x}" in done.stdout.splitlines()[0]


def test_an_agent_without_indispensable_capabilities_is_refused():
    code = "from a9fe.linux.processes import privileges; privileges.limit_capabilities()"
    argv = ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "root has no CAP_SYS_ADMIN here, which namespaces need" in done.stderr


def test_not_root_is_a_logged_no_op():
    call = "os.setuid(65534); privileges.drop('nobody'); privileges.limit_capabilities()"
    uids, _, status = report(call)
    assert uids == [65534] * 3
    assert status["NoNewPrivs"] == "0"


def test_threads_must_not_exist_yet():
    call = (
        "import threading; e = threading.Event(); t = threading.Thread(target=e.wait); t.start()"
    )
    drop = "\ntry: privileges.drop('nobody')\nfinally: e.set()"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        report(call + drop)
    assert "must be dropped before threads" in caught.value.stderr


def test_an_unknown_user_is_named():
    with pytest.raises(A9feError, match="user a9fe-nobody-here"):
        privileges.find_user("a9fe-nobody-here")


PARENT = """
import os, subprocess, sys
env = {**os.environ, "A9FE_PARENT_DEATH": "1", "A9FE_PARENT_PID": str(os.getpid())}
child = '''
import signal
from a9fe.linux.processes import privileges
privileges.die_with_parent()
privileges.drop("nobody")
print("armed", flush=True)
signal.pause()
'''
started = subprocess.Popen([sys.executable, "-c", child], env=env, stdout=subprocess.PIPE)
started.stdout.readline()
print(started.pid, flush=True)
sys.stdin.read()
"""


def test_a_dropped_child_dies_with_its_killed_parent():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.send_signal(signal.SIGKILL)
    parent.communicate(timeout=10)
    eventually(lambda: not alive(child), what="the child's death")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_of_an_ended_parent_ends_at_once():
    calls = "privileges.die_with_parent(); print('still here')"
    code = f"from a9fe.linux.processes import privileges; {calls}"
    env = {**os.environ, "A9FE_PARENT_DEATH": "1", "A9FE_PARENT_PID": "999999"}
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_ensure_user_makes_a_system_user(tmp_path):
    if_new = "a9fe-test-user"
    try:
        entry = privileges.ensure_user(if_new)
        assert entry.pw_uid < 1000
        assert entry.pw_shell == "/usr/sbin/nologin"
        assert privileges.ensure_user(if_new) == entry
    finally:
        subprocess.run(["userdel", if_new], check=True)
