"""The cost of creating a port with 100, 10,000 and 60,000 ports in its subnet, on both
databases: `.venv/bin/python -m bench.allocate`. The ratios show whether it grows.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.kit.fake_clock import START
from tests.kit.server_world import server_config

from a9fe.model.policy import Caller
from a9fe.operations.collections import COLLECTIONS
from a9fe.operations.resources import create
from a9fe.operations.transaction import Transaction
from a9fe.store import Session, Store
from bench import databases

SIZES = (100, 10_000, 60_000)
ADMIN = Caller(project_id="bench", is_admin=True)
CONFIG = server_config()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.allocate", description=__doc__)
    parser.add_argument("--creates", type=int, default=200, help="timed creates a size [200]")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name,
        databases.both(Path(name)) as urls,
    ):
        for kind, url in urls.items():
            print(f"{kind}: ports in the subnet, ms a create (median, worst), ratio")
            for cost in costs(url, options.creates):
                print(f"{cost.ports:>8} {cost.median:8.2f} {cost.worst:8.2f} {cost.ratio:6.2f}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Milliseconds of a create with `ports` in the subnet, and the ratio to the fewest."""

    ports: int
    median: float
    worst: float
    ratio: float


def costs(url: str, creates: int) -> list[Cost]:
    """Measure on one database, which is empty."""
    store = Store(url, lambda: START)
    with store.write() as session:
        session.quotas.set("bench", {"port": -1})
        subnets = [databases.subnet(session, number) for number in range(len(SIZES))]
    found: list[Cost] = []
    for size, subnet in zip(SIZES, subnets, strict=True):
        databases.fill(store, subnet, size)
        databases.analyze(store)
        taken = sorted(timed(store, subnet.network_id) for _ in range(creates))
        middle = median(taken)
        ratio = middle / (found[0].median if found else middle)
        found.append(Cost(ports=size, median=middle, worst=taken[-1], ratio=ratio))
    store.close()
    return found


def timed(store: Store, network_id: str) -> float:
    """Return the milliseconds of one create with its transaction."""

    def work(session: Session) -> None:
        tx = Transaction(session=session, config=CONFIG, now=START, caller=ADMIN)
        create(tx, COLLECTIONS["ports"], {"network_id": network_id})

    began = time.perf_counter()
    store.transact(work)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
