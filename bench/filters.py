"""The cost of the filter of a host's bridges, in the sandbox's network namespace."""

import statistics
import time
from collections.abc import Iterator

from a9fe.linux.rulesets.nftables import Nftables
from a9fe.model.resources import COMPUTE_OWNER, FixedIp, Port
from a9fe.plan.filters.bridge_filter import Taps
from a9fe.plan.filters.fingerprint import NOTHING
from a9fe.plan.filters.port_security import of_network
from a9fe.plan.mark import Mark

SIZES = (10, 1_000, 10_000, 20_000)
CHANGES = 50
MARK = Mark("0123456789abcdef" * 2)


def port(number: int) -> Port:
    """Return a VM's port with one address."""
    return Port(
        id=f"{number:08x}-0000-4000-8000-000000000000",
        network_id="00000001-0000-4000-8000-000000000000",
        mac_address=f"fa:16:3e:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
        device_owner=COMPUTE_OWNER,
        fixed_ips=(FixedIp(subnet_id="s", ip_address=f"10.0.{number >> 8}.{number & 255}"),),
    )


def row(size: int) -> str:
    """Return a row."""
    tables = Nftables(MARK)
    tables.apply(NOTHING)
    start = time.perf_counter()
    planned = of_network([port(number) for number in range(size)], (), "")
    built = time.perf_counter()
    tables = Nftables(MARK)
    tables.apply(planned)
    loaded = time.perf_counter()
    fresh = Nftables(MARK)
    if not fresh.recognise(planned):
        raise RuntimeError("the loaded filters are not recognised")
    compared = time.perf_counter()
    times = (built - start, loaded - built, compared - loaded)
    one = statistics.median(changes(tables, of_network([port(size)], (), "").taps))
    tables.apply(None)
    return f"| {size:,} | {' | '.join(f'{t:.2f}' for t in times)} | {one * 1000:.2f} |"


def changes(tables: Nftables, more: Taps) -> Iterator[float]:
    """Add and remove a tap again and again; yield the time of each, in s."""
    for _ in range(CHANGES):
        for wanted in (more, dict.fromkeys(more)):
            start = time.perf_counter()
            tables.change(wanted)
            yield time.perf_counter() - start


def page() -> list[str]:
    """Return the part of bench/RESULTS.md."""
    return [
        "## The filter of a host's bridges",
        "",
        "VMs' ports with one address each. Load: in place of empty tables, by `nft`. Compare: a",
        "new agent reads all elements back. One port more or less: median of 100. With one `nft`",
        "for each change it took 15 to 25 ms, and 70 ms with 20,000 ports.",
        "",
        "| ports | plan s | load s | compare s | one port more or less ms |",
        "| --- | --- | --- | --- | --- |",
        *map(row, SIZES),
    ]
