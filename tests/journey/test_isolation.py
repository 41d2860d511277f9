"""No VM reads another's metadata: overlapping subnets, forged headers, direct hits."""

import json

import pytest

from tests.conditions import eventually
from tests.lab.cloud import Cloud

CIDR, ADDRESS = "10.1.0.0/24", "10.1.0.77"


def test_the_same_address_on_four_networks_is_four_instances(cloud: Cloud) -> None:
    networks = [cloud.isolated(CIDR), cloud.isolated(CIDR), cloud.routed(CIDR), cloud.routed(CIDR)]
    vms = [cloud.vm(network, "--fixed-ip", ADDRESS) for network in networks]
    for vm in vms:
        vm.start("udhcpc")
    for _ in range(3):
        assert all(vm.reads_its_own() for vm in vms)
    assert {vm.address for vm in vms} == {ADDRESS}


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_forged_headers_change_nothing(cloud: Cloud, kind: str) -> None:
    victim = cloud.vm(cloud.isolated())
    vm = cloud.vm(cloud.on(kind)).start("udhcpc")
    forged = {
        "X-Forwarded-For": victim.address,
        "x_forwarded_for": victim.address,
        "X-Neutron-Network-ID": victim.port["network_id"],
        "X-Neutron-Router-ID": cloud.name("router"),
        "X-Instance-ID": victim.instance["id"],
        "X-Tenant-ID": victim.instance["project_id"],
        "X-Instance-ID-Signature": "0" * 64,
        "X-A9fe-Port-Id": victim.port["id"],
    }
    options = [part for name, value in forged.items() for part in ("-H", f"{name}: {value}")]
    document = json.loads(vm.fetch("/openstack/latest/meta_data.json", *options))
    assert document["uuid"] == vm.instance["id"]


def test_a_direct_hit_on_the_proxys_port_is_dropped(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.routed()).start("udhcpc")
    assert vm.reads_its_own()
    assert vm.status("/", url="http://10.1.0.1:9697") == "000"
    assert vm.status("/") == "200"


def test_an_address_without_a_port_is_a_certain_404(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    server = cloud.dhcp_port(cloud.networks[0])["fixed_ips"][0]["ip_address"]
    assert vm.reads_its_own()
    cloud.house.api.update(
        "ports", vm.port["id"], {"port_security_enabled": False, "security_groups": []}
    )
    stolen = "10.1.0.200"
    vm.sh("ip", "address", "replace", f"{stolen}/24", "dev", "eth0")
    vm.sh("ip", "route", "replace", "169.254.169.254", "via", server, "src", stolen)
    eventually(lambda: vm.status("/") == "404", what="404 for an address that no port has")
