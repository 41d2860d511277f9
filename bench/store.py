"""Creates, shows and filtered lists a second on both databases, with 1,000 ports in the store
and, with --large, 1,000,000; and the memory of the process: `.venv/bin/python -m bench.store`.

An indexed look-up and a page of 100 shall cost the same at both sizes. Each size is measured in
a process of its own, through the operations that the API calls, without HTTP.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from sqlalchemy import select
from tests.databases import START
from tests.unit.server_world import ServerOptions

from a9fe.model.policy import Caller
from a9fe.model.resources import Port
from a9fe.server.call import Call
from a9fe.server.resources import COLLECTIONS, create, list_all, one_shown, require
from a9fe.store import Session, Store
from a9fe.store.schema import BORN, ports
from bench import databases

SMALL, LARGE = 1_000, 1_000_000
PER_SUBNET = 60_000
ADMIN = Caller(project_id="bench", is_admin=True)
PORTS = COLLECTIONS["ports"]
URL = "http://127.0.0.1:9696/v2.0/ports"
Operation = Callable[[Call, Port], object]

READS: dict[str, Operation] = {
    "show": lambda call, port: one_shown(call, require(call, PORTS, port.id), PORTS.table),
    "list by device_id": lambda call, port: _list(call, device_id=port.device_id),
    "list by mac_address": lambda call, port: _list(call, mac_address=port.mac_address),
    "list by address": lambda call, port: _list(
        call, fixed_ips=f"ip_address={port.fixed_ips[0].ip_address}"
    ),
    "page of 100": lambda call, port: _list(call, limit="100", marker=port.id),
    "page of 100 of a project": lambda call, port: _list(
        call, limit="100", project_id=port.project_id
    ),
    "page of 100 by name": lambda call, port: _list(
        call, limit="100", marker=port.id, sort_key="name", sort_dir="asc"
    ),
}


def _list(call: Call, **query: str) -> object:
    return list_all(call, PORTS, {name: [value] for name, value in query.items()}, URL)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("--large", action="store_true", help=f"also with {LARGE} ports")
    parser.add_argument("--rounds", type=int, default=100, help="of each operation [100]")
    options = parser.parse_args()
    sizes = (SMALL, LARGE) if options.large else (SMALL,)
    for size in sizes:
        with (
            tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name,
            databases.both(Path(name)) as urls,
        ):
            for kind, url in urls.items():
                _in_a_process(loaded, kind, url, size)
                _in_a_process(measured, kind, url, size, options.rounds)


def _in_a_process(work: Callable[..., None], *arguments: object) -> None:
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()


def loaded(kind: str, url: str, size: int) -> None:
    """Fill a database."""
    began = time.monotonic()
    store = Store(url, lambda: START)
    for number, begin in enumerate(range(0, size, PER_SUBNET)):
        with store.write() as session:
            subnet = databases.subnet(session, number)
        databases.fill(store, subnet, min(PER_SUBNET, size - begin))
    databases.analyze(store)
    store.close()
    print(f"{kind}, {size} ports (loaded in {time.monotonic() - began:.0f} s)", flush=True)


def measured(_kind: str, url: str, size: int, rounds: int) -> None:
    """Print the operations of one database at one size."""
    store = Store(url, lambda: START)
    with store.write() as session:
        session.quotas.set("bench", {"port": -1})
    first, last = _ends(store)
    network_id = last.network_id
    lines = {"create": _timed(rounds, lambda: store.transact(lambda s: _create(s, network_id)))}
    for name, operation in READS.items():
        both = _timed(rounds, lambda o=operation: _read(store, o, (first, last)))
        lines[name] = both / 2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    for name, seconds in lines.items():
        print(f"  {name:<26}{1000 * seconds:8.2f} ms {1 / seconds:8.0f} a second")
    print(f"  memory of the process     {peak:8} MiB at most", flush=True)
    store.close()


def _ends(store: Store) -> tuple[Port, Port]:
    """The oldest port, and one of the newest with a page behind it."""
    born = ports.c[BORN]
    with store.read() as session:
        connection = session._connection  # noqa: SLF001 - no API sorts so
        oldest = select(ports.c.id).order_by(born).limit(1)
        newest = select(ports.c.id).order_by(born.desc()).offset(150).limit(1)
        ids = [connection.execute(query).scalar_one() for query in (oldest, newest)]
        return session.require(Port, ids[0]), session.require(Port, ids[1])


def _create(session: Session, network_id: str) -> None:
    create(_call(session), PORTS, {"network_id": network_id})


def _read(store: Store, operation: Operation, ends: tuple[Port, Port]) -> None:
    for port in ends:
        with store.read() as session:
            operation(_call(session), port)


def _call(session: Session) -> Call:
    return Call(session=session, settings=ServerOptions(), now=START, caller=ADMIN)


def _timed(rounds: int, work: Callable[[], object]) -> float:
    """The median of seconds."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return median(taken)


if __name__ == "__main__":
    main()
