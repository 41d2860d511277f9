"""A guest posts its password, writes attributes and acknowledges an event; commands show it.

Also: cloud-init reads the config drives of the same VM.
"""

import base64
import io
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pycdlib
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.kit.conditions import eventually
from tests.kit.ssh_keys import KEY
from tests.lab.cloud import Cloud
from tests.lab.house import House
from tests.lab.places import CLOUD_INIT, ROOT

OPENSTACK = "/openstack/latest"
USER_DATA = "#cloud-config\nruncmd: [echo, hello]\n"


def post(*body: str) -> tuple[str, ...]:
    return ("-X", "POST", *(("--data-binary", body[0]) if body else ()))


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_a_guest_posts_its_password(cloud: Cloud, house: House, kind: str, tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key").write_bytes(pem)
    encrypted = key.public_key().encrypt(b"Pa$$w0rd", padding.PKCS1v15())
    posted = base64.b64encode(encrypted).decode()
    vm = cloud.vm(cloud.on(kind)).start()
    path = f"{OPENSTACK}/password"
    assert vm.fetch(path) == ""
    assert vm.status(path, *post("x" * 1021)) == "400"
    assert vm.fetch(path, *post(posted)) == ""
    assert vm.fetch(path) == posted
    assert vm.status(path, *post(posted)) == "409"
    assert vm.status(path, *post("x" * 1021)) == "409"  # as in Nova, the first password stays
    assert house.a9fe("vm", "password", vm.name).strip() == posted
    decrypt = ("--decrypt", str(tmp_path / "key"))
    assert house.a9fe("vm", "password", vm.name, *decrypt) == "Pa$$w0rd\n"
    house.a9fe("vm", "password", vm.name, "--clear")
    assert vm.fetch(path, *post("another")) == ""
    assert vm.fetch(path) == "another"


def test_a_guest_writes_attributes_where_they_are_on(cloud: Cloud, house: House) -> None:
    vm = cloud.vm(cloud.isolated()).start()
    path = f"{OPENSTACK}/guest-attributes/health/state"
    put = ("-X", "PUT", "--data-binary")
    assert vm.status(path, *put, "ready") == "403"
    house.a9fe("vm", "set", vm.name, "--guest-attributes", "on")
    vm.fetch(path, *put, "ready")
    assert vm.fetch(path) == "ready"
    assert vm.fetch(f"{OPENSTACK}/guest-attributes/") == "health/"
    assert "guest-attributes/" in vm.fetch(OPENSTACK).split("\n")
    (one,) = house.a9fe.json("vm", "attributes", vm.name)
    assert one == {"namespace": "health", "key": "state", "value": "ready"}
    assert vm.status(path, *put, "x" * 1025) == "400"
    vm.fetch(path, "-X", "DELETE")
    assert vm.status(path) == "404"
    assert house.a9fe.json("vm", "attributes", vm.name) == []


def test_the_writes_of_a_guest_are_limited(cloud: Cloud, house: House) -> None:
    vm = cloud.vm(cloud.isolated()).start()
    house.a9fe("vm", "set", vm.name, "--guest-attributes", "on")
    script = (
        f"for n in $(seq 40); do curl -s -o /dev/null -w '%{{http_code}} ' -X PUT -d $n"
        f" http://169.254.169.254{OPENSTACK}/guest-attributes/a/b; done"
    )
    found = vm.sh("sh", "-c", script).split()
    assert set(found) == {"200", "429"}
    assert found.count("429") > 10
    assert vm.reads_its_own()


def test_a_guest_reads_and_acknowledges_an_event(cloud: Cloud, house: House) -> None:
    vm = cloud.vm(cloud.isolated()).start()
    before = json.loads(vm.fetch(f"{OPENSTACK}/events"))
    assert before["events"] == []
    house.a9fe(
        *("event", "create", "system-reboot", "--instance", vm.name),
        *("--not-before", "2026-11-29T02:00:00Z", "--description", "a new kernel"),
    )
    seen = json.loads(vm.fetch(f"{OPENSTACK}/events"))
    (event,) = seen["events"]
    assert seen["incarnation"] > before["incarnation"]
    assert (event["code"], event["description"]) == ("system-reboot", "a new kernel")
    (ec2,) = json.loads(vm.fetch("/latest/meta-data/events/maintenance/scheduled"))
    assert ec2["EventId"] == event["id"]
    vm.fetch(f"{OPENSTACK}/events/{event['id']}/acknowledge", *post())
    (event,) = json.loads(vm.fetch(f"{OPENSTACK}/events"))["events"]
    assert event["acknowledged_at"]
    (shown,) = house.a9fe.json("event", "list", "--instance", vm.name)
    assert shown["acknowledged_at"] == event["acknowledged_at"]
    house.a9fe("event", "complete", event["id"])
    assert json.loads(vm.fetch(f"{OPENSTACK}/events"))["events"] == []
    assert vm.status(f"{OPENSTACK}/events/{event['id']}/acknowledge", *post()) == "409"


def test_a_server_that_hangs_is_503_and_reads_go_on(cloud: Cloud, house: House) -> None:
    vm = cloud.vm(cloud.isolated()).start()
    path = f"{OPENSTACK}/password"
    (server,) = house.pids("server")
    os.kill(server, signal.SIGSTOP)
    try:
        assert vm.status(path, *post("x"), "-m", "30") == "503"
        assert vm.reads_its_own()
    finally:
        os.kill(server, signal.SIGCONT)
    vm.status(path, *post("x"), "-m", "30")  # the first one may have been stored
    eventually(lambda: vm.fetch(path) == "x", what="the password")


# -- Config drives -------------------------------------------------------------------------


def unpacked(image: Path, directory: Path) -> None:
    """Return the files of an image by their Rock Ridge names."""
    disk = pycdlib.PyCdlib()
    disk.open(str(image))
    facade = disk.get_rock_ridge_facade()
    for path, _, names in facade.walk("/"):
        at = directory / path.lstrip("/")
        at.mkdir(parents=True, exist_ok=True)
        for name in names:
            content = io.BytesIO()
            facade.get_file_from_iso_fp(content, f"{path.rstrip('/')}/{name}")
            (at / name).write_bytes(content.getvalue())
    disk.close()


def label_of(image: Path) -> str:
    line = ("blkid", "-p", "-o", "value", "-s", "LABEL", str(image))
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("layout", "source", "label"),
    [("openstack", "ConfigDrive", "config-2"), ("nocloud", "NoCloud", "cidata")],
)
def test_cloud_init_reads_a_config_drive(
    cloud: Cloud, house: House, tmp_path: Path, layout: str, source: str, label: str
) -> None:
    """The image is unpacked and not mounted, because loop devices may be missing. cloud-init's
    datasource then reads the directory as it reads a mounted disk.
    """
    (tmp_path / "key.pub").write_text(KEY + "\n")
    (tmp_path / "data").write_text(USER_DATA)
    network = cloud.network()
    files = ("--ssh-key", str(tmp_path / "key.pub"), "--user-data", str(tmp_path / "data"))
    vm = cloud.vm(network, *files)
    image = tmp_path / "drive.iso"
    house.a9fe("vm", "config-drive", vm.name, "-o", str(image), "--format", layout)
    assert label_of(image) == label
    unpacked(image, tmp_path / "disk")
    found = read(source, tmp_path / "disk")
    assert found["instance_id"] == vm.instance["id"]
    assert vm.name in found["hostname"]
    assert found["keys"] == [KEY]
    assert found["user_data"] == USER_DATA
    (interface,) = [i for i in found["interfaces"] if i["type"] == "physical"]
    assert (interface["mac_address"], interface["name"]) == (vm.mac, "eth0")
    assert [subnet["type"] for subnet in interface["subnets"]] == ["dhcp4"]
    assert interface["mtu"] == 1500


def read(source: str, directory: Path) -> Any:
    """Return what cloud-init finds in the directory."""
    script = (str(ROOT / "tests/lab/seeded.py"), source, str(directory))
    line = ("env", f"PYTHONPATH={CLOUD_INIT}", "/usr/bin/python3", *script)
    done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
