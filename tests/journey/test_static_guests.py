"""Guests without DHCP: a static address, and 169.254.169.254 on-link."""

import pytest

from tests.kit.conditions import eventually
from tests.lab.cloud import Cloud

OFF = {"port_security_enabled": False, "security_groups": []}


@pytest.mark.parametrize("route", ["169.254.169.254/32", "169.254.0.0/16"])
def test_a_guest_without_a_lease_reads_its_metadata_on_link(cloud: Cloud, route: str) -> None:
    """A route to one address, and zeroconf's; with port security, and without."""
    network = cloud.isolated()
    for security in ({}, OFF):
        vm = cloud.vm(network)
        if security:
            cloud.house.api.update("ports", vm.port["id"], security)
        vm.start("none")
        vm.sh("ip", "address", "add", f"{vm.address}/24", "dev", "eth0")
        vm.sh("ip", "route", "add", route, "dev", "eth0")
        eventually(lambda vm=vm: vm.status("/latest/meta-data/") == "200", what="an answer")
        assert vm.reads_its_own()
