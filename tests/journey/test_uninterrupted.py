"""Under load from guests, processes are restarted, killed, stopped and upgraded in place.

No connection is refused. No request fails but those under way in a process that was killed.
"""

import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.cloud import Cloud, Vm
from tests.lab.house import LATE, SHAPES, House
from tests.lab.load import Asked, Load
from tests.lab.places import ROOT

STOPPED = float(os.environ.get("A9FE_TEST_STOPPED", "1"))  # s that a process does not run
HOLDER = "listener-holder"
SAID, NEW = "stopped; namespaces", "stopped, the other tree; namespaces"


@pytest.fixture(scope="module")
def guests(shape: str, running_house: House) -> Iterator[list[Vm]]:
    """An isolated and a routed guest."""
    cloud = Cloud(house=running_house)
    yield [cloud.vm(cloud.on(kind)).start("udhcpc") for kind in ("isolated", "routed")]
    running_house.start()
    cloud.clear()


@pytest.fixture
def loads(guests: list[Vm], house: House) -> Iterator[list[Load]]:
    """Load from each guest."""
    assert all(vm.reads_its_own() for vm in guests)
    with ExitStack() as running:
        yield [running.enter_context(Load(vm=vm)) for vm in guests]
    assert all(vm.reads_its_own() for vm in guests)


def processes_of(house: House) -> tuple[str, ...]:
    """Return all processes in the default shape; in another only those that differ."""
    return (*house.processes, HOLDER) if house.shape == SHAPES[0] else house.hops


def go_on(loads: list[Load]) -> None:
    for load in loads:
        load.more(5)


def failures(loads: list[Load]) -> list[Asked]:
    return [asked for load in loads for asked in load.failed()]


def test_planned_restarts_fail_no_request(house: House, loads: list[Load]) -> None:
    for name in processes_of(house):
        (pid,) = house.pids(name)
        os.kill(pid, signal.SIGTERM)
        house.successor(name, pid)
        go_on(loads)
        assert failures(loads) == [], name


def test_kills_fail_only_what_was_under_way(house: House, loads: list[Load]) -> None:
    excused: list[tuple[float, float]] = []
    for name in processes_of(house):
        (pid,) = house.pids(name)
        with open(os.pidfd_open(pid), closefd=True) as fd:
            before = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            select.select([fd], [], [])
            excused.append((before, time.monotonic()))
        house.successor(name, pid)
        go_on(loads)
        found = [
            asked
            for asked in failures(loads)
            if not any(asked.began <= end and begin <= asked.ended for begin, end in excused)
        ]
        assert found == [], name


def test_stopped_processes_fail_no_request(house: House, loads: list[Load]) -> None:
    for name in processes_of(house):
        with house.standing_still(name):
            time.sleep(STOPPED)
        go_on(loads)
        assert failures(loads) == [], name


def test_an_upgrade_in_place_fails_no_request(
    house: House, loads: list[Load], tmp_path: Path
) -> None:
    (holder,) = house.pids(HOLDER)
    assert house.stop(signal.SIGTERM) == 0
    house.variables["PYTHONPATH"] = f"{LATE}:{another_tree(tmp_path)}"
    try:
        house.start()
        go_on(loads)
        assert house.pids(HOLDER) == [holder]
        assert house.stop(signal.SIGTERM) == 0
        assert NEW in house.log.read_text()
    finally:
        del house.variables["PYTHONPATH"]
    house.start()
    go_on(loads)
    assert failures(loads) == []


def another_tree(directory: Path) -> Path:
    """Copy our source; the copy says that it is another one."""
    copy = directory / "other"
    shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
    up = copy / "a9fe" / "cli" / "processes" / "up.py"
    assert SAID in up.read_text()
    up.write_text(up.read_text().replace(SAID, NEW))
    return copy
