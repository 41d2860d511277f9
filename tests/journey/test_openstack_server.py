"""`openstack server create`: a guest on its port reads what was given to the command.

Image and flavor are created by our commands, the server by OpenStack's.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.kit.ssh_keys import KEY
from tests.lab.cloud import Cloud, Vm
from tests.lab.house import URL, House
from tests.lab.openstack import Client, openstack
from tests.lab.places import CLIENTS

USER_DATA = b"#cloud-config\nhostname: \xc3\xa9\n"

SDK = f"""
import base64, sys
import openstack

cloud = openstack.connect(
    load_yaml_config=False, load_envvars=False, auth_type="none", auth={{"endpoint": "{URL}"}},
    network_endpoint_override="{URL}", compute_endpoint_override="{URL}/v2.1",
    image_endpoint_override="{URL}/image",
)
name, network = sys.argv[1:]
server = cloud.compute.create_server(
    name=name,
    flavor_id=cloud.compute.find_flavor("m1.small").id,
    image_id=cloud.image.find_image("sdk-image").id,
    networks=[{{"uuid": cloud.network.find_network(network).id}}],
    user_data=base64.b64encode(b"#!sdk").decode(),
    metadata={{"made": "by the SDK"}},
)
cloud.compute.wait_for_server(server)
"""


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return openstack(tmp_path)


def started(cloud: Cloud, name: str) -> Vm:
    """Start a guest for a server that a client created."""
    api = cloud.house.api
    instance = api.find("instances", name)
    (port,) = api.list("ports", device_id=instance["id"])
    vm = Vm(house=cloud.house, name=name, instance=instance, port=port)
    cloud.vms.append(vm)
    return vm.start()


def test_a_server_that_openstack_created(
    house: House, cloud: Cloud, client: Client, tmp_path: Path
) -> None:
    network = cloud.isolated()
    image, name = cloud.name("image"), cloud.name("server")
    house.a9fe("image", "create", image)
    (tmp_path / "key.pub").write_text(KEY)
    (tmp_path / "user-data").write_bytes(USER_DATA)
    made, listed, shown = client(
        f"keypair create --public-key {tmp_path}/key.pub desk",
        f"server create {name} --flavor m1.tiny --image {image} --key-name desk"
        f" --nic net-id={network} --user-data {tmp_path}/user-data --property role=web"
        " --wait -f json",
        "server list -f json",
        f"server set {name} --property tier=front",
        f"server show {name} -f json",
    )
    assert made["status"] == "ACTIVE"
    assert [(s["Name"], s["Image"], s["Flavor"]) for s in listed] == [(name, image, "m1.tiny")]
    assert shown["properties"] == {"role": "web", "tier": "front"}
    vm = started(cloud, name)
    assert vm.reads_its_own()
    document = json.loads(vm.fetch("/openstack/latest/meta_data.json"))
    assert document["uuid"] == shown["id"]
    assert document["meta"] == {"role": "web", "tier": "front"}
    assert document["public_keys"] == {"desk": KEY}
    assert vm.fetch("/openstack/latest/user_data").encode() == USER_DATA
    assert vm.fetch("/latest/meta-data/instance-type") == "m1.tiny"
    client(f"server delete {name}", "keypair delete desk", f"image delete {image}")
    assert house.api.list("instances", name=name) == []
    assert house.api.list("ports", device_id=shown["id"]) == []


def test_a_server_that_the_sdk_created(house: House, cloud: Cloud) -> None:
    network, name = cloud.isolated("10.7.0.0/24"), cloud.name("server")
    house.a9fe("image", "create", "sdk-image")
    python = CLIENTS / "openstackclient" / "bin" / "python"
    subprocess.run([str(python), "-c", SDK, name, network], check=True, timeout=120)
    vm = started(cloud, name)
    document = json.loads(vm.fetch("/openstack/latest/meta_data.json"))
    assert document["meta"] == {"made": "by the SDK"}
    assert vm.fetch("/openstack/latest/user_data") == "#!sdk"
    assert vm.fetch("/latest/meta-data/instance-type") == "m1.small"
    house.a9fe("image", "delete", "sdk-image")
