"""In a storm of changes, kills and breaks of the feed, every answer belongs to its reader."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.churn import Churn
from tests.lab.house import House

BREAK = 1.0  # s without a feed
BROKEN = """
table inet churn {
  chain output {
    type filter hook output priority 0;
    meta skuid { a9fe-agent, a9fe-service } tcp dport 9696 reject with tcp reset
  }
}
"""


@pytest.fixture
def churn(shape: str, house: House) -> Iterator[Churn]:
    name = str(house.api.list("agents")[0]["host"])
    made = Churn(api=house.api, dice=random.Random(11), host=name)
    try:
        made.set_up()
        yield made
    finally:
        house.start()
        made.clear()


@contextmanager
def without_feed(churn: Churn) -> Iterator[None]:
    """Break the feed of the processes that answer guests; the host agents keep theirs."""
    begin = time.monotonic()
    host.output("nft", BROKEN)
    try:
        yield
    finally:
        host.output("nft", "delete table inet churn")
        churn.breaks.append((begin, time.monotonic()))


def break_the_feed(house: House, churn: Churn) -> None:
    with without_feed(churn):
        churn.change()
        time.sleep(BREAK)


def end_one(house: House, churn: Churn, number: signal.Signals) -> None:
    """Kill a process, or end it in order; it is started again."""
    name = churn.dice.choice(house.processes)
    begin = time.monotonic()
    pid = house.kill_process(name, number)
    churn.change()
    house.successor(name, pid)
    churn.breaks.append((begin, time.monotonic()))


DISTURBANCES: dict[str, Callable[[House, Churn], None]] = {
    "break": break_the_feed,
    "kill": lambda house, churn: end_one(house, churn, signal.SIGKILL),
    "restart": lambda house, churn: end_one(house, churn, signal.SIGTERM),
}


def test_every_answer_belongs_to_its_reader(
    house: House, churn: Churn, request: pytest.FixtureRequest
) -> None:
    wanted, count = request.config.getoption("reads"), 0
    while churn.outcomes["200"] < wanted or not set(DISTURBANCES) <= set(churn.done):
        count += 1
        churn.change()
        if count % 3 == 0:
            kind = list(DISTURBANCES)[count // 3 % len(DISTURBANCES)]
            DISTURBANCES[kind](house, churn)
            churn.done[kind] += 1
        assert churn.wrong() == []
    for vm in churn.vms:
        eventually(lambda v=vm: any(" 200 " in line for line in v.news()), 60, vm.name)
    print(f"\nchurn: {dict(churn.outcomes)} after {dict(churn.done)}")  # noqa: T201 - for RESULTS
