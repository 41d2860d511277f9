"""A whole run of cloud-init in a guest with two network cards: keys, user data, files, network."""

from pathlib import Path

import pytest

from tests.kit.ssh_keys import KEY
from tests.lab.cloud import Cloud
from tests.lab.cloud_init import second_card
from tests.lab.places import CLOUD_INIT, ROOT

LAB = ROOT / "tests" / "lab"
USER_DATA = """#cloud-config
write_files:
- {path: /run/written, content: written by user data}
runcmd:
- [sh, -c, 'hostname > /run/ran']
"""


@pytest.fixture
def options(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "key.pub").write_text(KEY + "\n")
    (tmp_path / "data").write_text(USER_DATA)
    return ("--ssh-key", str(tmp_path / "key.pub"), "--user-data", str(tmp_path / "data"))


def test_the_whole_of_cloud_init(cloud: Cloud, options: tuple[str, ...]) -> None:
    first, second = cloud.isolated("10.1.0.0/24"), cloud.network("10.2.0.0/24", "--no-dhcp")
    vm = cloud.vm(first, "--network", second, *options).start("none")
    static = second_card(cloud, vm, second)
    script = str(LAB / "cloud_init_run.sh")
    vm.sh("env", f"PYTHONPATH={CLOUD_INIT}", "/bin/sh", script, str(LAB / "cloud.cfg"))

    assert vm.sh("cat", "/run/home/cloudy/.ssh/authorized_keys").strip() == KEY
    assert KEY in vm.sh("cat", "/run/superuser/.ssh/authorized_keys")
    assert vm.sh("cat", "/run/written") == "written by user data"
    assert vm.sh("cat", "/run/ran").strip() == vm.name
    assert vm.sh("cat", "/var/lib/cloud/data/instance-id").strip() == vm.instance["id"]
    dynamic = vm.sh("cat", "/etc/systemd/network/10-cloud-init-eth0.network")
    assert f"MACAddress={vm.mac}" in dynamic
    assert "DHCP=ipv4" in dynamic
    fixed = vm.sh("cat", "/etc/systemd/network/10-cloud-init-eth1.network")
    assert f"MACAddress={static['mac_address']}" in fixed
    assert f"Address={static['fixed_ips'][0]['ip_address']}/24" in fixed
