"""Restarts, kills, stops and upgrades under load: failed requests and the longest wait.

The part `./run bench restarts`.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.kit.conditions import eventually
from tests.lab.cloud import Cloud
from tests.lab.house import SHAPES, House
from tests.lab.load import ANSWERED, KEPT, SINGLE, Load

HOLDER = "listener-holder"
STATE = Path("/run/a9fe-bench-restarts")  # in the sandbox; unprivileged users can search it
STOPPED = 8.0  # s that a process does not run
AFTER = 20  # answers of each kind after each event


def page(seconds: float) -> list[str]:
    """Return the part as Markdown. Processes are stopped for `seconds`."""
    lines = [
        "## Restarts under load",
        "",
        "An isolated and a routed guest send GETs and PUTs without pause, each on three kept and",
        "three new connections at a time, and one request that waits for a change. They repeat",
        "nothing. Longest: from request to answer, without the one that waits for a change.",
        "",
        "| shape | process | event | requests | refused | failed | longest |",
        "|---|---|---|---|---|---|---|",
    ]
    for shape in SHAPES:
        with running(STATE / shape, shape) as (house, loads):
            for process, what, event in events(house, seconds):
                lines.append(f"| {shape} | {process} | {what} | {measured(loads, event)} |")
                print(lines[-1], flush=True)
    return lines


@contextmanager
def running(state: Path, shape: str) -> Iterator[tuple[House, list[Load]]]:
    """Run a house of that shape with load from two guests."""
    house = House(state=state, variables={"A9FE_METADATA_SHAPE": shape})
    with house.api:
        house.start()
        cloud = Cloud(house=house)
        vms = [cloud.vm(cloud.on(kind)).start("udhcpc") for kind in ("isolated", "routed")]
        with ExitStack() as loads:
            yield house, [loads.enter_context(Load(vm=vm)) for vm in vms]
        cloud.clear()
        house.stop()
        house.a9fe("clean")


def events(house: House, seconds: float) -> Iterator[tuple[str, str, Callable[[], None]]]:
    """Yield process, event and what makes it happen."""
    names = (*house.processes, HOLDER)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for name in names:
            yield name, number.name, lambda name=name, number=number: ended(house, name, number)
    for name in names:
        yield name, f"SIGSTOP, {seconds:.0f} s", lambda name=name: stopped(house, name, seconds)
    for number in (signal.SIGTERM, signal.SIGKILL):
        yield "a9fe up", f"{number.name}, start", lambda number=number: started(house, number)


def ended(house: House, name: str, number: signal.Signals) -> None:
    """End a process; wait for its end and its successor."""
    (pid,) = eventually(lambda: house.pids(name), what=name)
    with open(os.pidfd_open(pid), closefd=True) as fd:
        os.kill(pid, number)
        select.select([fd], [], [])
    house.successor(name, pid)


def stopped(house: House, name: str, seconds: float) -> None:
    """Stop a process for that time."""
    with house.standing_still(name):
        time.sleep(seconds)


def started(house: House, number: signal.Signals) -> None:
    """End `a9fe up`, and start it."""
    assert house.up is not None
    house.up.send_signal(number)
    house.up.wait(30)
    house.up = None
    house.start()


def measured(loads: list[Load], event: Callable[[], None]) -> str:
    """Return cells about the requests that end after the begin of the event."""
    begin = time.monotonic()
    event()
    for load in loads:
        load.more(AFTER)
    asked = [one for load in loads for one in load.all() if one.ended >= begin]
    failed = [one.outcome for one in asked if one.outcome != ANSWERED]
    refused = [outcome for outcome in failed if "Refused" in outcome]
    longest = max(one.ended - one.began for one in asked if one.kind in (KEPT, SINGLE))
    return f"{len(asked)} | {len(refused)} | {len(failed)} | {longest:.2f} s"
