"""Agents of `a9fe up` are killed at failpoints: their successors end the work."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from a9fe.runtime.failpoints import VARIABLE
from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import Cloud
from tests.lab.house import House

STEPS = {
    "isolated": ("AddLink 2", "OpenListener 1 hand-over"),
    "routed": ("SetIptables 0",),
}


class Failpoint:
    """The file that names the point at which the next process is killed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.was_reached = Path(f"{path}.reached")

    def set(self, point: str) -> None:
        self.was_reached.unlink(missing_ok=True)
        self.path.write_text(point)

    def reached(self) -> None:
        eventually(self.was_reached.exists, what="the failpoint is reached")


@pytest.fixture(scope="module")
def failpoint(
    running_house: House, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Failpoint]:
    path = tmp_path_factory.mktemp("failpoint") / "point"
    running_house.start()
    running_house.stop()
    running_house.variables[VARIABLE] = str(path)
    running_house.start()
    yield Failpoint(path)
    running_house.stop()
    del running_house.variables[VARIABLE]
    running_house.start()


def test_agents_killed_at_any_step_serve_after_their_restart(
    failpoint: Failpoint, cloud: Cloud
) -> None:
    for kind, points in STEPS.items():
        for point in points:
            failpoint.set(point)
            network = cloud.on(kind)
            failpoint.reached()
            assert cloud.vm(network).start("udhcpc").reads_its_own(), point


def test_a_network_deleted_after_a_kill_leaves_nothing_and_can_be_made_again(
    failpoint: Failpoint, cloud: Cloud
) -> None:
    before = host.namespaces(), host.our_links()
    for point in ("AddNamespace 4", "StartDnsmasq 4"):
        failpoint.set(point)
        network = cloud.house.api.create("networks", {"name": "short"})
        subnet = {"network_id": network["id"], "cidr": "10.2.0.0/24", "ip_version": 4}
        cloud.house.api.create("subnets", subnet)
        failpoint.reached()
        cloud.house.api.delete("networks", str(network["id"]))
        eventually(lambda: (host.namespaces(), host.our_links()) == before, what=point)
        assert host.dnsmasqs() == {}
    assert cloud.vm(cloud.isolated("10.2.0.0/24")).start("udhcpc").reads_its_own()
