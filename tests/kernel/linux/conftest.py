"""An agent's host, for tests of the kernel's objects."""

from collections.abc import Iterator

import pytest

from a9fe.host_agent.converge import converge
from a9fe.linux.host import Host
from a9fe.plan.host import HostPlan
from tests.kit.host_plans import FakeProxy
from tests.lab.disks import open_directory
from tests.lab.places import MARK


@pytest.fixture
def confs() -> Iterator[str]:
    """A directory that dnsmasq's user can search, unlike pytest's."""
    with open_directory("a9fe-confs-") as base:
        yield f"{base}/dhcp"


@pytest.fixture
def host(confs: str) -> Iterator[Host]:
    """A host without objects of ours, also afterwards."""
    made = Host(FakeProxy(), confs, MARK)
    yield made
    for owner in ("l3", "dhcp"):
        converge(made, owner, HostPlan())
