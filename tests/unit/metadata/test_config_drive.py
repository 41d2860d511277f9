"""The files of a config drive: Nova's layout, and cloud-init's own."""

import json
from dataclasses import replace
from typing import Any

import pytest

from a9fe.metadata import tree
from a9fe.metadata.config_drive import LAYOUTS, network_config, nocloud_files, openstack_files
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.openstack.network_data import network_data
from a9fe.metadata.openstack.paths import VERSIONS
from a9fe.model.guest import MetadataOptions
from tests.golden.metadata import scenarios
from tests.golden.metadata.scenarios import announced, bare, network, one_card, several_cards

VIEWS = {view.__name__: view for view in (one_card, several_cards, announced, bare)}
EXPECTED = {
    "meta_data.json": "2012-08-10",
    "user_data": "2012-08-10",
    "vendor_data.json": "2013-10-17",
    "network_data.json": "2015-10-15",
    "vendor_data2.json": "2016-10-06",
}


@pytest.fixture(params=list(VIEWS))
def view(request: pytest.FixtureRequest) -> InstanceView:
    found: InstanceView = VIEWS[request.param]()
    return found


def test_each_version_has_novas_files(view: InstanceView):
    paths = {
        f"openstack/{version}/{name}"
        for version in (*VERSIONS, "latest")
        for name, since in EXPECTED.items()
        if since <= version and (name != "user_data" or view.has_user_data)
    }
    paths |= {f"ec2/{version}/meta-data.json" for version in ("2009-04-04", "latest")}
    if view.has_user_data:
        paths |= {f"ec2/{version}/user-data" for version in ("2009-04-04", "latest")}
    paths |= {f"openstack/content/{n:04d}" for n in range(len(view.instance.files))}
    assert openstack_files(view).keys() == paths


def test_documents_are_the_same_as_over_the_network(view: InstanceView):
    files = openstack_files(view)
    for path, content in files.items():
        if not path.endswith("meta-data.json"):
            rendered = tree.render(view, f"/{path}")
            assert rendered is not None
            assert rendered.body == content
    assert any(len(content) for content in files.values())


def test_files_that_meta_data_names_exist():
    files = openstack_files(announced())
    named = json.loads(files["openstack/latest/meta_data.json"])["files"]
    assert named
    contents = [files["openstack" + file["content_path"]] for file in named]
    assert contents == [file.content for file in announced().instance.files]


def test_paths_that_need_a_network_are_not_on_the_drive():
    instance = replace(
        announced().instance,
        password="c2VjcmV0",
        guest_attributes={"a/b": "written"},
        metadata_options=MetadataOptions(guest_attributes="on"),
    )
    everything = replace(announced(), instance=instance)
    for layout in LAYOUTS.values():
        found = b"\n".join(layout.files(everything).values())
        assert b"c2VjcmV0" not in found
        assert b"written" not in found
        assert b"instance-event" not in found


def test_the_ec2_document_is_a_tree():
    files = openstack_files(one_card())
    document = json.loads(files["ec2/latest/meta-data.json"])
    assert files["ec2/latest/meta-data.json"] == files["ec2/2009-04-04/meta-data.json"]
    assert document["placement"]["availability-zone"] == one_card().instance.availability_zone
    assert document["public-keys"]["0"]["openssh-key"].startswith("ssh-rsa ")
    assert document["local-ipv4"] == "10.1.0.7"


def test_nocloud_has_what_cloud_init_requires(view: InstanceView):
    files = nocloud_files(view)
    assert {"meta-data", "user-data", "network-config"} <= files.keys()
    meta_data = json.loads(files["meta-data"])
    assert meta_data["instance-id"] == view.instance.id
    assert meta_data["local-hostname"] == view.hostname
    keys = [key.public_key for key in view.instance.keypairs if key.type == "ssh"]
    assert meta_data["public-keys"] == keys
    assert files["user-data"] == (view.user_data if view.has_user_data else b"")


@pytest.mark.parametrize(
    ("vendordata", "expected"),
    [
        ({}, None),
        ({"site": "x"}, None),
        ({"cloud-init": "#cloud-config\n"}, b"#cloud-config\n"),
        ("#!/bin/sh\n", b"#!/bin/sh\n"),
        ({"cloud-init": {"not": "text"}}, None),
    ],
)
def test_nocloud_has_the_vendor_data_that_cloud_init_reads(
    vendordata: Any, expected: bytes | None
):
    settings = replace(one_card().settings, vendordata=vendordata)
    files = nocloud_files(replace(one_card(), settings=settings))
    assert files.get("vendor-data") == expected


def test_cards_of_network_config():
    lan = network(1)
    static = scenarios.subnet(1, lan, "10.1.0.0/24", enable_dhcp=False, gateway_ip="10.1.0.1")
    six = scenarios.subnet(2, lan, "2001:db8::/64", ip_version=6, enable_dhcp=False)
    card = scenarios.port(1, lan, (static, "10.1.0.7"), (six, "2001:db8::7"))
    view = replace(
        one_card(),
        ports=(card,),
        networks={lan.id: lan},
        subnets={static.id: static, six.id: six},
    )
    document = network_config(view)
    (physical,) = (item for item in document["config"] if item["type"] == "physical")
    assert physical["mac_address"] == card.mac_address
    assert physical["name"] == "eth0"
    assert [(s["type"], s["address"]) for s in physical["subnets"]] == [
        ("static", "10.1.0.7/24"),
        ("static6", "2001:db8::7/64"),
    ]
    assert physical["subnets"][0]["routes"][0]["gateway"] == "10.1.0.1"


def test_network_config_has_every_card(view: InstanceView):
    physical = [c for c in network_config(view)["config"] if c["type"] == "physical"]
    assert [c["mac_address"] for c in physical] == [port.mac_address for port in view.ports]
    networks = network_data(view)["networks"]
    assert isinstance(networks, list)
    assert sum(len(c["subnets"]) for c in physical) == len(networks)
