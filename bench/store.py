"""Creates, shows and filtered lists a second on both databases, with 1,000 ports in the store
and, with --large, 1,000,000; and the memory of a server: `.venv/bin/python -m bench.store`.

An indexed lookup and a page of 100 must cost the same at both sizes. The sizes are measured in
turns, through the operations that the API calls, without HTTP.
"""

import argparse
import getpass
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median

from sqlalchemy import select
from tests.kit.fake_clock import START
from tests.kit.server_world import server_config
from tests.lab.servers import running_server

from a9fe.model.policy import Caller
from a9fe.model.resources import Port
from a9fe.operations.answers import one_shown
from a9fe.operations.collections import COLLECTIONS
from a9fe.operations.resources import create, list_all, require
from a9fe.operations.transaction import Transaction
from a9fe.store import Session, Store
from a9fe.store.schema.columns import BORN
from a9fe.store.schema.tables import ports
from bench import databases
from bench.feed import memory

SMALL, LARGE = 1_000, 1_000_000
PER_SUBNET = 60_000
ADMIN = Caller(project_id="bench", is_admin=True)
PORTS = COLLECTIONS["ports"]
CONFIG = server_config()
URL = "http://127.0.0.1:9696/v2.0/ports"
Operation = Callable[[Transaction, Port], object]
PAGES = 10

READS: dict[str, Operation] = {
    "show": lambda tx, port: one_shown(tx, require(tx, PORTS, port.id), PORTS.table),
    "list by device_id": lambda tx, port: _list(tx, device_id=port.device_id),
    "list by mac_address": lambda tx, port: _list(tx, mac_address=port.mac_address),
    "list by address": lambda tx, port: _list(
        tx, fixed_ips=f"ip_address={port.fixed_ips[0].ip_address}"
    ),
    "page of 100": lambda tx, port: _list(tx, limit="100", marker=port.id),
    "page of 100 of a project": lambda tx, port: _list(
        tx, limit="100", project_id=port.project_id
    ),
    "page of 100 by name": lambda tx, port: _list(
        tx, limit="100", marker=port.id, sort_key="name", sort_dir="asc"
    ),
}


def _list(tx: Transaction, **query: str) -> object:
    return list_all(tx, PORTS, {name: [value] for name, value in query.items()}, URL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One database at one size: seconds of each operation and of loading it, and MB of a server:
    started, and after it has answered lists."""

    operations: dict[str, float]
    loading: float
    started: float
    served: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("--large", action="store_true", help=f"also with {LARGE} ports")
    parser.add_argument("--rounds", type=int, default=100, help="of each operation [100]")
    options = parser.parse_args()
    sizes = (SMALL, LARGE) if options.large else (SMALL,)
    for kind, found in figures(sizes, options.rounds).items():
        for size, seen in zip(sizes, found, strict=True):
            print(f"{kind}, {size} ports (loaded in {seen.loading:.0f} s)")
            for name, seconds in seen.operations.items():
                print(f"  {name:<26}{1000 * seconds:8.2f} ms {1 / seconds:8.0f} a second")
            print(f"  a server: {seen.started:.0f} MB, {seen.served:.0f} MB after lists")


def figures(
    sizes: Sequence[int], rounds: int, progress: Callable[[str], None] = print
) -> dict[str, list[Figures]]:
    """Measure both databases at each size; the sizes are measured in turns."""
    with ExitStack() as stack:
        directories = [stack.enter_context(_directory()) for _ in sizes]
        places = [stack.enter_context(databases.both(directory)) for directory in directories]
        found: dict[str, list[Figures]] = {}
        for kind in places[0]:
            urls = [urls[kind] for urls in places]
            loading = []
            for url, size in zip(urls, sizes, strict=True):
                progress(f"loading {size:,} ports into {kind}")
                loading.append(loaded(url, size))
            progress(f"operations and servers on {kind}")
            operations = measured(urls, rounds)
            memories = [memory_of_a_server(d, u) for d, u in zip(directories, urls, strict=True)]
            found[kind] = [
                Figures(operations=done, loading=took, started=started, served=served)
                for done, took, (started, served) in zip(
                    operations, loading, memories, strict=True
                )
            ]
        return found


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name:
        yield Path(name)


def loaded(url: str, size: int) -> float:
    """Fill a database. Return the seconds."""
    began = time.monotonic()
    store = Store(url, lambda: START)
    for number, begin in enumerate(range(0, size, PER_SUBNET)):
        with store.write() as session:
            subnet = databases.subnet(session, number)
        databases.fill(store, subnet, min(PER_SUBNET, size - begin))
    databases.analyze(store)
    store.close()
    return time.monotonic() - began


def measured(urls: Sequence[str], rounds: int) -> list[dict[str, float]]:
    """Return seconds of each operation on filled databases, measured in turns."""
    stores = [Store(url, lambda: START) for url in urls]
    found: list[dict[str, float]] = [{} for _ in stores]
    works = [_works(store) for store in stores]
    for name in works[0]:
        taken: list[list[float]] = [[] for _ in stores]
        for _ in range(rounds):
            for work, times in zip(works, taken, strict=True):
                times.append(_timed(work[name]))
        for figures_of_one, times in zip(found, taken, strict=True):
            figures_of_one[name] = median(times)
    for store in stores:
        store.close()
    return found


def _works(store: Store) -> dict[str, Callable[[], object]]:
    """Return the operations on one store; reads alternate between an old and a new port."""
    with store.write() as session:
        session.quotas.set("bench", {"port": -1})
    ends = _ends(store)
    network_id, either = ends[-1].network_id, cycle(ends)
    found: dict[str, Callable[[], object]] = {
        "create": lambda: store.transact(lambda s: _create(s, network_id))
    }
    for name, operation in READS.items():
        found[name] = lambda o=operation: _read(store, o, next(either))  # type: ignore[misc]
    return found


def memory_of_a_server(directory: Path, url: str) -> tuple[float, float]:
    """Return MB of a server process: started, and after pages of 100 and of 1,000."""
    with running_server(directory, url, server_user=getpass.getuser()) as server:
        started = memory(server.process.pid)
        for limit in ["100", "1000"] * PAGES:
            answer = server.api.get("/v2.0/ports", params={"limit": limit})
            assert answer.status_code == 200, answer.text
        return started, memory(server.process.pid)


def _ends(store: Store) -> tuple[Port, Port]:
    """Return the oldest port, and one of the newest that a page follows."""
    born = ports.c[BORN]
    with store.read() as session:
        connection = session._connection  # noqa: SLF001 - no method sorts so
        oldest = select(ports.c.id).order_by(born).limit(1)
        newest = select(ports.c.id).order_by(born.desc()).offset(150).limit(1)
        ids = [connection.execute(query).scalar_one() for query in (oldest, newest)]
        return session.require(Port, ids[0]), session.require(Port, ids[1])


def _create(session: Session, network_id: str) -> None:
    create(_call(session), PORTS, {"network_id": network_id})


def _read(store: Store, operation: Operation, port: Port) -> None:
    with store.read() as session:
        operation(_call(session), port)


def _call(session: Session) -> Transaction:
    return Transaction(session=session, config=CONFIG, now=START, caller=ADMIN)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
