"""Failpoints: their names, and the kill that A9FE_FAILPOINT requests."""

import subprocess
import sys
from signal import SIGKILL

import pytest

NAMED = """
from a9fe.runtime import failpoints
failpoints.reached("before it is armed")
failpoints.arm(print)
failpoints.reached("outside of operations")
for name in ("AddLink", "AddLink", "SetRoute"):
    with failpoints.operation(name):
        failpoints.reached("netlink")
"""
KILLED = """
import os
from a9fe.runtime import failpoints
failpoints.arm_from(os.environ)
for _ in range(2):
    with failpoints.operation("AddLink"):
        failpoints.reached("netlink")
        print("sent", flush=True)
"""


def run(code, **variables):
    return subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False
    )


def test_a_point_is_the_operation_the_number_of_the_step_and_its_kind():
    steps = ["AddLink 0 netlink", "AddLink 1 end"]
    assert run(NAMED).stdout.splitlines() == [
        *steps,
        *steps,
        "SetRoute 0 netlink",
        "SetRoute 1 end",
    ]


@pytest.mark.parametrize(("point", "sent"), [("AddLink 0 netlink", 0), ("AddLink 1", 1)])
def test_the_first_process_that_reaches_the_point_is_killed_and_no_other(tmp_path, point, sent):
    file = tmp_path / "point"
    file.write_text(f"{point}\n")
    first = run(KILLED, A9FE_FAILPOINT=str(file))
    assert first.returncode == -SIGKILL
    assert first.stdout.count("sent") == sent
    assert [path.name for path in tmp_path.iterdir()] == ["point.reached"]
    assert run(KILLED, A9FE_FAILPOINT=str(file)).returncode == 0


def test_without_the_variable_nothing_is_killed():
    assert run(KILLED).returncode == 0
