"""A real VM under QEMU's emulation reads its own metadata on both kinds of network."""

import json
import re

import pytest

from a9fe.linux.vms.tiny_vm import DONE
from tests.lab import host
from tests.lab.cloud import Cloud
from tests.lab.places import IMAGES


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_a_vm_boots_and_reads_its_own(cloud: Cloud, kind: str) -> None:
    vm = cloud.vm(cloud.on(kind))
    limits = ("--timeout", "100", "--wait-for", DONE, "--images", str(IMAGES))
    console = cloud.house.a9fe("vm", "boot", vm.name, *limits)
    said = dict(re.findall(r"a9fe-vm: (\S+) (.*?)\r?\n", console))
    assert said["local-ipv4"] == vm.address, console
    assert json.loads(said["meta_data.json"])["uuid"] == vm.instance["id"]
    assert "OpenStack Nova" in console
    owner = cloud.dhcp_port(cloud.networks[0])["fixed_ips"][0]["ip_address"]
    next_hop = owner if kind == "isolated" else "10.1.0.1"
    assert f"a9fe-vm: route 169.254.169.254 via {next_hop} dev eth0" in console
    assert vm.tap not in host.links()


def test_a_boot_that_says_nothing_in_time_ends_with_124_and_leaves_no_tap(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated())
    limits = ("--timeout", "0.5", "--wait-for", "never said", "--images", str(IMAGES))
    assert cloud.house.a9fe.run("vm", "boot", vm.name, *limits).returncode == 124
    assert vm.tap not in host.links()
