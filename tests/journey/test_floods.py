"""One guest floods; its neighbours on its network and on another are still answered.

The memory and descriptors of the hops stay within bounds and are released. The rate limit is off,
so that the flood reaches the bounds behind it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench.observe import HOPS, memory, open_files

from a9fe.linux.vms import guest
from a9fe.wire.limits import MAX_CONNECTIONS_PER_CLIENT, MAX_UPSTREAM_CONNECTIONS
from tests.kit.conditions import eventually
from tests.lab.cloud import Cloud, Vm
from tests.lab.house import House
from tests.lab.places import ROOT

QUESTIONS = "10"
GROWTH = 100.0  # MiB that a hop may grow by during a flood; its budget is 64
KEPT = 40.0  # MiB that it may keep afterwards
# Twice a client's share of connections, those to the next hop, and some for the process.
DESCRIPTORS = 2 * MAX_CONNECTIONS_PER_CLIENT + 2 * MAX_UPSTREAM_CONNECTIONS + 200
FLOODED = (
    "idle connections",
    "bodies held back",
    "answers unread",
    "pipelines",
    "POSTs",
    "waits",
)
USER_DATA = 49_000  # bytes; the recursive tree has it once for each version


@pytest.fixture
def unlimited(house: House) -> Iterator[House]:
    """Run the house without a rate limit."""
    house.stop()
    house.variables["A9FE_GUEST_REQUEST_RATE"] = "0"
    house.start()
    yield house
    house.stop()
    del house.variables["A9FE_GUEST_REQUEST_RATE"]
    house.start()


def inside(vm: Vm, *words: str) -> list[str]:
    python = ("env", f"PYTHONPATH={ROOT}", sys.executable)
    return guest.command(vm.name, (*python, "-m", "bench.flooder", *words))


def errors(*vms: Vm) -> list[dict[str, int]]:
    """Send some requests from each guest concurrently; return the errors of each."""
    asking = [subprocess.Popen(inside(vm, "ask", QUESTIONS), stdout=subprocess.PIPE) for vm in vms]
    return [json.loads(process.communicate(timeout=120)[0])["errors"] for process in asking]


@contextmanager
def flooding(vm: Vm, name: str) -> Iterator[None]:
    with subprocess.Popen(
        inside(vm, "flood", name),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "flooding\n"
            yield
        finally:
            process.stdin.close()
            assert process.wait(30) == 0


def test_neighbours_of_a_flooding_guest_are_answered(
    cloud: Cloud, unlimited: House, tmp_path: Path
) -> None:
    data = tmp_path / "user-data"
    data.write_text("#!/bin/sh\n".ljust(USER_DATA, "x"))
    first, second = cloud.isolated(), cloud.isolated()
    noisy, beside, elsewhere = (
        cloud.vm(network, "--user-data", str(data)).start() for network in (first, first, second)
    )
    for vm in (noisy, beside, elsewhere):
        assert vm.reads_its_own()
    pids = {name: unlimited.pids(name)[0] for name in HOPS}
    calm = {name: (memory(pid)[0], open_files(pid)) for name, pid in pids.items()}
    for flood in FLOODED:
        with flooding(noisy, flood):
            assert errors(beside, elsewhere) == [{}, {}], flood
            for name, pid in pids.items():
                assert memory(pid)[0] < calm[name][0] + GROWTH, (flood, name)
                assert open_files(pid) < calm[name][1] + DESCRIPTORS, (flood, name)
    assert {name: unlimited.pids(name)[0] for name in HOPS} == pids
    for name, pid in pids.items():
        eventually(
            lambda name=name, pid=pid: open_files(pid) < calm[name][1] + MAX_UPSTREAM_CONNECTIONS,
            what=f"{name} has closed what was flooded",
        )
        assert memory(pid)[0] < calm[name][0] + KEPT, name


def test_a_guest_over_the_rate_is_429_and_its_neighbour_is_not(cloud: Cloud) -> None:
    """The rate limit is on by default and counts by MAC, whatever address the guest uses."""
    network = cloud.isolated()
    noisy, other = cloud.vm(network).start(), cloud.vm(network).start()
    crawl = (
        "for n in $(seq 40); do curl -sf http://169.254.169.254/latest/meta-data/ || exit; done"
    )
    noisy.sh("sh", "-c", crawl)
    with flooding(noisy, "requests"):
        headers = eventually(
            lambda: _limited(noisy.run("curl", "-si", "http://169.254.169.254/").stdout),
            what="the guest is over its rate",
        )
        assert "\nretry-after: " in headers
        assert errors(other) == [{}]


def _limited(headers: str) -> str:
    return headers.lower() if headers.startswith("HTTP/1.1 429") else ""
