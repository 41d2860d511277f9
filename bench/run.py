"""The parts of bench/RESULTS.md, each measured and written by itself.

`./run bench path`: HTTP server, shapes and hop 1 by CPU time an answer, each beside its peer.
`./run bench chain` (the default): time from create to first answer, the whole chain beside nginx,
memory of each process. It runs in a sandbox; data path and nginx are measured in turns in the same
run, and compared as ratios. `./run bench service`: the metadata service by itself,
with 100,000 instances and 10,000 waiting guests. `./run bench floods`: one guest floods, its
neighbour measures. `./run bench control`: creates, both databases with 1,000 and 1,000,000 ports,
the change feed. `./run bench filters`: the nftables tables of a
host with 1,000, 6,000 and 20,000 ports. `./run bench hosts`: host agents with 10, 100 and 1,000
networks and 200 routers, beside haproxy and dnsmasq. `./run bench restarts`: requests of guests
during restarts, kills and stops. Absolute numbers hold for one machine and moment. `--write`
replaces the part in the page.
"""

import argparse
import os
import platform
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench import chain, control, feed, filters, floods, hosts, metadata, path, restarts
from bench.observe import (
    A9FE,
    HOPS,
    a9fe,
    create_network,
    listens,
    memory,
    open_files,
    processes,
    until,
    within,
)

RESULTS = Path(__file__).with_name("RESULTS.md")
GUEST = "a9fe-guest-bench"
PARTS = ("path", "chain", "service", "floods", "control", "filters", "hosts", "restarts")
MARK = "<!-- part: {} -->"
HEAD = """# Benchmark results

Ratios are medians of pairs measured in turns. Absolute numbers hold for that machine and moment.
"""
WITHOUT_LIMIT = ("--guest-request-rate", "0")  # one guest sends all load here
BURST = 3  # s
LARGE = 1_000_000


def main() -> None:
    """Measure a part and print it; with --write, put it into the page."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS, default="chain")
    parser.add_argument("--write", action="store_true", help="replace the part in RESULTS.md")
    parser.add_argument(
        "--rounds", type=int, default=5, help="pairs of bursts, or repetitions of one more [5]"
    )
    parser.add_argument(
        "--seconds",
        type=int,
        help="of a burst [3], of writes to the feed [20], of idling [60], of a stop [8]",
    )
    parser.add_argument("--ports", type=int, default=LARGE, help=f"control: large store [{LARGE}]")
    parser.add_argument("--flood", action="append", default=[], help="floods: this one only")
    counts = " ".join(map(str, hosts.SIZES))
    parser.add_argument("--networks", type=int, nargs="*", help=f"hosts: sizes [{counts}]")
    parser.add_argument("--routers", type=int, help=f"hosts: routers [{hosts.ROUTERS}]")
    parser.add_argument("--only", choices=path.PARTS, nargs="*", help="path: these only")
    options = parser.parse_args()
    parts = {
        "path": path_part,
        "chain": chain_part,
        "floods": floods_part,
        "service": service_part,
        "control": control_part,
        "filters": filters_part,
        "hosts": hosts_part,
        "restarts": restarts_part,
    }
    lines = parts[options.part](options)
    print("\n".join(lines))
    if options.write:
        RESULTS.write_text(renewed(RESULTS.read_text(), options.part, lines))


def renewed(page: str, part: str, lines: list[str]) -> str:
    """Return the page with one part replaced; a mark precedes each part."""
    kept = {name: text for name in PARTS if (text := _between_marks(page, name))}
    parts = {**kept, part: "\n".join(lines)}
    marked = [f"{MARK.format(name)}\n\n{parts[name].strip()}\n" for name in PARTS if name in parts]
    return "\n".join([HEAD, *marked])


def _between_marks(page: str, part: str) -> str:
    return page.partition(MARK.format(part))[2].partition("<!--")[0]


def control_part(options: argparse.Namespace) -> list[str]:
    """Measure the control plane, without a sandbox."""
    began = time.monotonic()
    lines = control.page(options.ports, options.seconds or feed.LOAD.seconds)
    control.progress(f"measured in {time.monotonic() - began:.0f} s")
    return [*lines, "", *measured_on("control")]


def filters_part(_: argparse.Namespace) -> list[str]:
    """Measure the nftables tables of a host."""
    return [*filters.page(), "", *measured_on("filters")]


def hosts_part(options: argparse.Namespace) -> list[str]:
    """Measure the host agents. Given only --networks or --routers, measure only those."""
    given = (options.networks, options.routers)
    chosen = (hosts.SIZES, hosts.ROUTERS) if given == (None, None) else given
    networks, routers = list(chosen[0] or ()), chosen[1] or 0
    lines = hosts.page(networks, routers, options.seconds or hosts.IDLE, options.rounds)
    return [*lines, "", *measured_on("hosts")]


def restarts_part(options: argparse.Namespace) -> list[str]:
    """Measure restarts under load."""
    lines = restarts.page(options.seconds or restarts.STOPPED)
    return [*lines, "", *measured_on("restarts")]


def service_part(options: argparse.Namespace) -> list[str]:
    """Measure the metadata service by itself."""
    lines = metadata.page(options.rounds, options.seconds or BURST)
    return [*lines, "", *measured_on("service")]


def measured_on(part: str) -> list[str]:
    """Return the line that says where and how a part was measured."""
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    cores = os.cpu_count()
    return [f"By `./run bench {part} --write` on {system}, {cores} shared cores."]


def chain_part(options: argparse.Namespace) -> list[str]:
    """Measure the data path."""
    options.seconds = options.seconds or BURST
    with tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        return measured(scratch, lambda: page(options, scratch), *WITHOUT_LIMIT)


def path_part(options: argparse.Namespace) -> list[str]:
    """Measure the data path by itself."""
    with tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name:
        lines = path.page(options.rounds, options.seconds or 1, Path(name), options.only)
    return [*lines, "", *measured_on("path")]


def floods_part(options: argparse.Namespace) -> list[str]:
    """Measure floods."""
    with tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)

        def page_of_floods() -> list[str]:
            return floods.page(scratch, options.rounds, options.flood)

        return [*measured(scratch, page_of_floods), "", *measured_on("floods")]


def measured(scratch: Path, page: Callable[[], list[str]], *flags: str) -> list[str]:
    """Return a part, measured on an `a9fe up` of its own."""
    with (scratch / "up.log").open("w") as log:
        command = [A9FE, "up", "--state-path", f"{scratch}/state", *flags]
        up = subprocess.Popen(command, stderr=log)
        try:
            until(lambda: set(HOPS) <= set(processes()) and "9696" in within_host("ss", "-Hltn"))
            return page()
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(30)


def within_host(*command: str) -> str:
    """Return the stdout of a command."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def page(options: argparse.Namespace, scratch: Path) -> list[str]:
    """Return the part `chain` as Markdown."""
    namespace = f"qdhcp-{create_network('bench', '10.7.0.0/24')['id']}"
    a9fe("vm", "create", "bench", "--network", "bench")
    a9fe("guest", "start", "bench")
    url = f"http://169.254.169.254{chain.PATH}"
    until(lambda: within(GUEST, "curl", "-sf", url))
    memory_rows = sizes(options.rounds * 10)  # before the load, whose connections cost memory too
    return [
        "## The whole chain beside nginx",
        "",
        f"From a guest through {', '.join(HOPS)}; nginx serves the same bytes",
        "as a file in the same namespace.",
        "",
        *chain.table(options.rounds, options.seconds, GUEST, namespace, scratch),
        "",
        "For scale: the chain of Neutron 29 and Nova 34 on two such cores answers about 30",
        "requests a second at 30-35 ms of CPU each.",
        "",
        "## From create to answer",
        "",
        *first_answer(options.rounds, url),
        "",
        "## Memory",
        "",
        *memory_rows,
        "",
        *measured_on("chain"),
    ]


def first_answer(rounds: int, url: str) -> list[str]:
    """Return rows: seconds from the command that creates a network."""
    listening, answered = [], []
    for number in range(rounds):
        name = f"first{number}"
        begin = time.monotonic()
        namespace = f"qdhcp-{create_network(name, '10.9.0.0/24')['id']}"
        until(lambda ns=namespace: listens(ns))
        listening.append(time.monotonic() - begin)
        a9fe("vm", "create", name, "--network", name)
        a9fe("guest", "start", name, "--client", "udhcpc")
        until(lambda n=name: within(f"a9fe-guest-{n}", "curl", "-sf", "-m", "2", url))
        answered.append(time.monotonic() - begin)
    rows = {
        "hop 1 listens in its namespace": listening,
        "a guest's first answer (three commands and DHCP included)": answered,
    }
    return [
        "| from `a9fe network create` until | median s | min | max |",
        "|---|---|---|---|",
        *(f"| {k} | {median(v):.2f} | {min(v):.2f} | {max(v):.2f} |" for k, v in rows.items()),
    ]


def sizes(networks: int) -> list[str]:
    """Return rows: memory of each process, and of hop 1 with more networks."""
    rows = ["| process | RSS MiB | PSS MiB |", "|---|---|---|"]
    for name, pid in sorted(processes().items()):
        rows.append("| {} | {:.1f} | {:.1f} |".format(name, *memory(pid)))
    first = processes()[HOPS[0]]
    before, files = memory(first)[0], open_files(first)
    for number in range(networks):
        namespace = f"qdhcp-{create_network(f'more{number}', '10.8.0.0/24')['id']}"
    until(lambda: listens(namespace))
    more = (memory(first)[0] - before) * 1024 / networks
    descriptors = (open_files(first) - files) / networks
    return [
        *rows,
        "",
        f"{networks} networks more cost {HOPS[0]} {more:.1f} KiB of RSS and {descriptors:.1f}",
        "file descriptors each.",
    ]


if __name__ == "__main__":
    main()
