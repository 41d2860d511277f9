"""Each shape of the metadata path serves VMs, and a change of shape refuses no connection."""

import pytest

from tests.lab.cloud import Cloud, Vm
from tests.lab.house import House
from tests.lab.load import Load

TTL = "X-aws-ec2-metadata-token-ttl-seconds: 600"
NAME = "/latest/meta-data/hostname"


def become(house: House, shape: str) -> None:
    house.change_shape(shape)
    assert [len(house.pids(name)) for name in house.processes] == [1] * len(house.processes)


def token_of(vm: Vm) -> str:
    return vm.fetch("/latest/api/token", "-X", "PUT", "-H", TTL)


def status_with(vm: Vm, token: str) -> str:
    return vm.status(NAME, "-H", f"X-aws-ec2-metadata-token: {token}")


def test_a_change_of_shape_refuses_no_connection(cloud: Cloud) -> None:
    house = cloud.house
    isolated, routed = (
        cloud.vm(cloud.on(kind)).start("udhcpc") for kind in ("isolated", "routed")
    )
    token = token_of(routed)
    try:
        with Load(vm=isolated) as first, Load(vm=routed) as second:
            become(house, "split")
            for load in (first, second):
                load.more(5)
                told_to_wait = {asked.outcome for asked in load.failed()}
                assert told_to_wait <= {"503"}, "while hop 2 fetches its first snapshot"
            assert status_with(routed, token) == "401", "the key is the host's own"
            before = [load.failed() for load in (first, second)]
            become(house, "host")
            for load in (first, second):
                load.more(5)
            assert [load.failed() for load in (first, second)] == before
        assert status_with(routed, token) == "200", "also after restarts"
    finally:
        house.change_shape("host")


@pytest.mark.parametrize("shape", ["split", "drop-in"])
def test_each_shape_serves_new_vms(cloud: Cloud, shape: str) -> None:
    house = cloud.house
    try:
        become(house, shape)
        for kind in ("isolated", "routed"):
            vm = cloud.vm(cloud.on(kind)).start("udhcpc")
            house.a9fe("vm", "set", vm.name, "--hop-limit", "2")
            assert vm.reads_its_own()
            assert status_with(vm, token_of(vm)) == "200"
            house.a9fe("vm", "wait-ready", vm.name, "--timeout", "30")
    finally:
        become(house, "host")
