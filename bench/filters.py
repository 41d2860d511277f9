"""The cost of the filter of a host's bridges, in the sandbox's network namespace."""

import time

from a9fe.linux.rulesets.nftables import Nftables
from a9fe.model.resources import COMPUTE_OWNER, FixedIp, Port
from a9fe.plan.filters.port_security import of_network
from a9fe.plan.mark import Mark

SIZES = (1_000, 6_000, 20_000)


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
    tables = Nftables(Mark("0123456789abcdef" * 2))
    ports = [port(number) for number in range(size)]
    start = time.perf_counter()
    planned = of_network(ports, (), "")
    built = time.perf_counter()
    tables.apply(planned)
    loaded = time.perf_counter()
    more = of_network([*ports, port(size)], (), "")
    begun = time.perf_counter()
    tables.observe()
    tables.apply(more)
    changed = time.perf_counter()
    tables.apply(None)
    times = (built - start, loaded - built, changed - begun)
    return f"| {size:,} | " + " | ".join(f"{t:.2f}" for t in times) + " |"


def page() -> list[str]:
    """Return the part of bench/RESULTS.md."""
    return [
        "## The filter of a host's bridges",
        "",
        "VMs' ports with one address each. Before, with a chain for each port, a load of 1,000",
        "took 3.0 s and of 6,000 105 s; it grew with the square of the ports.",
        "",
        "| ports | plan s | load s | one port more s |",
        "| --- | --- | --- | --- |",
        *map(row, SIZES),
    ]
