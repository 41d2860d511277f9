"""Allocation under fire: servers on one PostgreSQL, concurrent creators over HTTP, 5,000 ports
in one /19 with deletes and re-creates, and a /28 that stays exhausted:
`.venv/bin/python -m bench.fire`. Prints the rate, and whether every answer was right.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.kit.databases import running_postgres
from tests.lab.fire import Fire, Ledger, drained_and_filled
from tests.lab.servers import running_server

from bench.databases import DURABLE

LARGE, LARGE_CAPACITY = "10.32.0.0/19", 8189
SMALL, SMALL_CAPACITY = "10.64.0.0/28", 13
SHOWN = 10


def main() -> None:
    """Measure and print; exit status 1 if any answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.fire", description=__doc__)
    parser.add_argument("--ports", type=int, default=5000, help=f"in {LARGE} [5000]")
    parser.add_argument("--creators", type=int, default=16, help="side by side [16]")
    parser.add_argument("--servers", type=int, default=2, help="processes [2]")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name,
        running_postgres(DURABLE) as cluster,
        ExitStack() as stack,
    ):
        directory = Path(name)
        directory.chmod(0o755)
        database = cluster.fresh()
        servers = [
            stack.enter_context(running_server(directory, database))
            for _ in range(options.servers)
        ]
        fire = Fire(
            servers=servers,
            large=Ledger(network_id=servers[0].network(LARGE), capacity=LARGE_CAPACITY),
            small=Ledger(network_id=servers[0].network(SMALL), capacity=SMALL_CAPACITY),
            ports=options.ports,
            creators=options.creators,
        )
        sys.exit(reported(fire))


def reported(fire: Fire) -> int:
    """Run the creators and print the results. Return 0 if every answer was right."""
    began = time.monotonic()
    fire.open()
    lasted = time.monotonic() - began
    creates = fire.large.outcomes["201"] + fire.small.outcomes["201"]
    wrong = drained_and_filled(fire.small, fire.servers[-1], 9) + fire.large.differs(
        fire.servers[-1]
    )
    wrong += fire.large.wrong + fire.small.wrong
    print(
        f"{len(fire.servers)} servers, {fire.creators} creators, {len(fire.large.held)} ports in"
        f" {LARGE}: {lasted:.1f} s, {creates / lasted:.0f} creates/s"
    )
    for cidr, ledger in ((LARGE, fire.large), (SMALL, fire.small)):
        outcomes = ", ".join(f"{n} x {what}" for what, n in sorted(ledger.outcomes.items()))
        print(f"  {cidr}: {outcomes}")
    print("\n".join(f"  wrong: {line}" for line in wrong[:SHOWN]) or "  every answer was right")
    return 1 if wrong else 0


if __name__ == "__main__":
    main()
