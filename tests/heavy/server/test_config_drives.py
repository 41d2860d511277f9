"""The files of a config drive in the server's API."""

import base64
import json
from pathlib import Path

import pytest

from tests.kit.guarded_world import Guarded, served
from tests.kit.server_world import World, instance_of, server_config


@pytest.fixture
def world(tmp_path: Path):
    (tmp_path / "vendor.json").write_text('{"cloud-init": "#cloud-config\\n"}')
    path = str(tmp_path / "vendor.json")
    made = World(tmp_path, server_config(vendordata_jsonfile_path=path))
    yield made
    made.close()


def files_of(world: World, path: str, query: str = "") -> tuple[str, dict[str, bytes]]:
    answer = world.get(f"{path}/config-drive{query}")
    return answer["label"], {f["path"]: base64.b64decode(f["content"]) for f in answer["files"]}


def test_both_layouts_of_an_instance_with_a_port(world: World):
    network, _ = world.network("10.3.0.0/24")
    user_data = base64.b64encode(b"\x1f\x8bbinary").decode()
    path = instance_of(world, network=network["id"], user_data=user_data)
    label, files = files_of(world, path)
    assert label == "config-2"
    assert files["openstack/latest/user_data"] == b"\x1f\x8bbinary"
    document = json.loads(files["openstack/latest/network_data.json"])
    (port,) = world.ports(device_id=path.rpartition("/")[2])
    assert document["links"][0]["ethernet_mac_address"] == port["mac_address"]
    assert json.loads(files["openstack/latest/meta_data.json"])["hostname"] == "web1.novalocal"
    assert json.loads(files["openstack/latest/vendor_data2.json"])["static"]
    label, files = files_of(world, path, "?format=nocloud")
    assert label == "cidata"
    assert files["user-data"] == b"\x1f\x8bbinary"
    assert files["vendor-data"] == b"#cloud-config\n"


def test_static_vendor_data_without_its_provider_is_left_out(tmp_path: Path):
    (tmp_path / "vendor.json").write_text('{"cloud-init": "#cloud-config\\n"}')
    options = server_config(
        vendordata_jsonfile_path=str(tmp_path / "vendor.json"),
        vendordata_providers=("DynamicJSON",),
    )
    world = World(tmp_path, options)
    path = instance_of(world)
    files = files_of(world, path)[1]
    assert "openstack/latest/vendor_data.json" not in files
    assert json.loads(files["openstack/latest/vendor_data2.json"]) == {}
    assert "vendor-data" not in files_of(world, path, "?format=nocloud")[1]
    world.close()


def test_a_format_that_is_none(world: World):
    path = instance_of(world)
    assert (
        "openstack, nocloud" in world.error("GET", f"{path}/config-drive?format=x", None, 400)[1]
    )


def test_an_owner_s_and_an_admin_s(tmp_path: Path):
    guarded = Guarded(tmp_path)
    path = served(guarded, "h1")
    for caller, status in (("mine", 200), ("theirs", 404), ("admin", 200), ("h1", 403)):
        guarded.be(caller)
        assert guarded.status("GET", f"{path}/config-drive") == status
    guarded.close()
