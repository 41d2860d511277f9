"""Debian's cloud-init in a guest: its datasources find everything."""

from pathlib import Path

import pytest

from tests.kit.ssh_keys import KEY
from tests.lab.cloud import Cloud
from tests.lab.cloud_init import crawl

USER_DATA = "#cloud-config\nruncmd: [echo, hello]\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "key.pub").write_text(KEY + "\n")
    (tmp_path / "data").write_text(USER_DATA)
    return ("--ssh-key", str(tmp_path / "key.pub"), "--user-data", str(tmp_path / "data"))


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_openstack(cloud: Cloud, files: tuple[str, ...], kind: str) -> None:
    vm = cloud.vm(cloud.on(kind), *files).start()
    found = crawl(vm, "OpenStack")
    assert found["instance_id"] == vm.instance["id"]
    assert vm.name in found["hostname"]
    assert found["keys"] == [KEY]
    assert found["user_data"] == USER_DATA
    assert found["network"]["links"][0]["ethernet_mac_address"] == vm.mac


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_ec2(cloud: Cloud, files: tuple[str, ...], kind: str) -> None:
    vm = cloud.vm(cloud.on(kind), *files).start()
    found = crawl(vm, "Ec2")
    assert found["instance_id"] == vm.fetch("/latest/meta-data/instance-id")
    assert found["keys"] == [KEY]
    assert found["user_data"] == USER_DATA


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_openstack_local_takes_its_own_lease(
    cloud: Cloud, files: tuple[str, ...], kind: str
) -> None:
    vm = cloud.vm(cloud.on(kind), *files).start("none")
    assert crawl(vm, "OpenStackLocal")["instance_id"] == vm.instance["id"]
