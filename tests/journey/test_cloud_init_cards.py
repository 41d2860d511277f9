"""Guests with several network cards, and guests that wait for a change."""

import json
import subprocess

from a9fe.linux.vms import guest
from tests.lab.cloud import METADATA, Cloud
from tests.lab.cloud_init import crawl, second_card


def test_ec2_configures_every_card_and_address(cloud: Cloud) -> None:
    first, second = cloud.isolated("10.1.0.0/24"), cloud.network("10.2.0.0/24")
    vm = cloud.vm(first, "--network", second).start()
    other = second_card(cloud, vm, second)
    subnet = {"subnet_id": vm.port["fixed_ips"][0]["subnet_id"]}
    fixed = [vm.port["fixed_ips"][0], {**subnet, "ip_address": "10.1.0.77"}]
    cloud.house.api.update("ports", vm.port["id"], {"fixed_ips": fixed})

    ethernets = crawl(vm, "Ec2")["network_config"]["ethernets"]
    assert {name: card["match"]["macaddress"] for name, card in ethernets.items()} == {
        "eth0": vm.mac,
        "eth1": other["mac_address"],
    }
    assert ethernets["eth0"]["addresses"] == ["10.1.0.77/24"]
    assert "addresses" not in ethernets["eth1"]
    metrics = [ethernets[name]["dhcp4-overrides"]["route-metric"] for name in ("eth0", "eth1")]
    macs = json.loads(vm.fetch("/latest/meta-data/network?recursive=true"))["interfaces"]["macs"]
    numbers = [int(macs[mac]["device-number"]) for mac in (vm.mac, other["mac_address"])]
    assert metrics == [(number + 1) * 100 for number in numbers]
    assert sorted(numbers) == [0, 1]


def test_a_waiting_guest_gets_the_change(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated()).start()
    url = f"{METADATA}/openstack/latest/meta_data.json"
    head = vm.sh("curl", "-sSfI", url)
    (tag,) = [line.split('"')[1] for line in head.splitlines() if line.lower().startswith("etag:")]
    wait = f"{url}?wait_for_change=true&timeout_sec=20&last_etag={tag}"
    command = guest.command(vm.name, ("curl", "-sSf", "-m", "60", wait))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        cloud.house.api.update("instances", vm.instance["id"], {"metadata": {"tier": "2"}})
        heard, _ = waiting.communicate(timeout=60)
    assert json.loads(heard)["meta"] == {"tier": "2"}
