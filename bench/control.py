"""The part `control`: creates, operations at two sizes of the store, the change feed."""

import sys
import tempfile
import time
from pathlib import Path

from tests.kit.databases import running_postgres

from bench import allocate, databases, feed, store
from bench.databases import DURABLE

CREATES = 200
ROUNDS = 100
SHARED_MEMORY = "/dev/shm"


def page(ports: int, seconds: int) -> list[str]:
    """Return the part as Markdown. `ports`: in the large store. `seconds`: of feed writes."""
    return [
        "## The control plane",
        "",
        "### What one create of a port costs",
        "",
        "The operation of the API with its transaction, without HTTP, by the number of ports in",
        "the subnet; median ms, and the ratio to the smallest.",
        "",
        *creates(),
        "",
        "### A small and a large store",
        "",
        "Operations of the API a second, without HTTP, one after the other; in brackets the ratio",
        "of the time to that in the small store.",
        "",
        *operations(store.SMALL, ports),
        "",
        "### The change feed",
        "",
        f"One server, {feed.LOAD.streams} streams of as many hosts, {feed.LOAD.writes} writes a",
        f"second for {seconds} s by 16 clients over HTTP; the time from sending a write to its",
        "line on the agent's stream. The clients run on the same machine.",
        "",
        *following(seconds),
    ]


def progress(what: str) -> None:
    """Print what is measured next."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def creates() -> list[str]:
    """Return rows: a create, by the number of ports in the subnet."""
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name,
        databases.both(Path(name)) as urls,
    ):
        for kind, url in urls.items():
            progress(f"creates on {kind} beside {', '.join(map(str, allocate.SIZES))} ports")
            found = allocate.costs(url, CREATES)
            rows.append([kind, *(f"{c.median:.2f} (x{c.ratio:.2f})" for c in found)])
    return table(["database", *(f"{size:,} ports" for size in allocate.SIZES)], rows)


def operations(small: int, large: int) -> list[str]:
    """Return rows: operations on both databases at both sizes, and a server's memory."""
    seen = store.figures((small, large), ROUNDS, progress)
    heads = [f"{kind}, {size:,}" for kind in seen for size in (small, large)]
    names = list(next(iter(seen.values()))[0].operations)
    rows = [
        [name, *(cell for kind in seen for cell in _rates(seen[kind], name))] for name in names
    ]
    memory = [f"{f.started:.0f}, {f.served:.0f}" for kind in seen for f in seen[kind]]
    rows.append(["MB of a server: started, after lists", *memory])
    return table(["operation", *heads], rows)


def _rates(figures: list[store.Figures], name: str) -> list[str]:
    small, large = (f.operations[name] for f in figures)
    return [f"{1 / small:.0f}/s", f"{1 / large:.0f}/s (x{large / small:.2f})"]


def following(seconds: int) -> list[str]:
    """Return rows: the feed on SQLite in memory and on disk, and on PostgreSQL."""
    load = feed.Load(seconds=seconds)
    rows = []
    with running_postgres(DURABLE) as cluster:
        places = {
            "SQLite in memory": (SHARED_MEMORY, ""),
            "SQLite": (None, ""),
            "PostgreSQL": (None, cluster.fresh()),
        }
        for name, (directory, database) in places.items():
            progress(f"the feed on {name}: {load.streams} streams, {load.writes} writes/s")
            seen = feed.measured(load, directory, database)
            rows.append([name, *_cells(load, seen)])
    heads = ["writes/s", "p50 ms", "p99 ms", "CPU ms a write", "KB a stream", "MB of the server"]
    return table(["database", *heads], rows)


def _cells(load: feed.Load, seen: feed.Figures) -> list[str]:
    delays = [f"{feed.at(seen.delays, part):.0f}" for part in (0.5, 0.99)]
    rest = [f"{seen.cpu:.2f}", f"{seen.a_stream(load):.0f}", f"{seen.busy:.0f}"]
    return [f"{seen.rate:.0f}", *delays, *rest]


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]
