"""Paths of an instance with cards, tags, events, files and a password."""

import json
from dataclasses import replace

import pytest

from a9fe.metadata import tree
from a9fe.metadata.ec2.events import ec2_time
from a9fe.metadata.ec2.paths import EC2
from a9fe.metadata.instance_view import InstanceView, Settings
from a9fe.metadata.openstack.paths import OPENSTACK
from a9fe.metadata.table import LATEST
from a9fe.model.resources import Port
from tests.golden.metadata.scenarios import announced, bare, crawl, one_card, several_cards

MACS = "/latest/meta-data/network/interfaces/macs"
FIRST = f"{MACS}/fa:16:3e:00:00:01"
LATER = ("network", "events", "tags", "mac", "ipv6", "placement/region")


def body(of: InstanceView, path: str) -> str:
    found = tree.render(of, path)
    assert found is not None, path
    return found.body.decode()


def lines(of: InstanceView, path: str) -> list[str]:
    return body(of, path).split("\n")


# -- Cards ---------------------------------------------------------------------------------


def test_every_card_is_listed_by_its_mac():
    assert lines(several_cards(), MACS) == [f"fa:16:3e:00:00:0{n}/" for n in (1, 2, 3)]
    assert tree.render(several_cards(), f"{MACS}/fa:16:3e:00:00:09") is None
    assert "network/" not in lines(bare(), "/latest/meta-data")


def test_a_card_lists_only_what_it_has():
    found = {
        name: lines(several_cards(), f"{FIRST}/{name}") for name in lines(several_cards(), FIRST)
    }
    assert found == {
        "device-number": ["0"],
        "interface-id": ["eni-00000001cccc4ccc8"],
        "ipv6s": ["2001:db8:1::5"],
        "local-hostname": ["db-example-org.cloud.example"],
        "local-ipv4s": ["10.0.0.5"],
        "mac": ["fa:16:3e:00:00:01"],
        "owner-id": ["8f0c7d6e5b4a39281706f5e4d3c2b1a0"],
        "security-group-ids": ["sg-a", "sg-b"],
        "security-groups": ["a", "b"],
        "subnet-id": ["subnet-00000001bbbb4bbb8"],
        "subnet-ipv4-cidr-block": ["10.0.0.0/22"],
        "subnet-ipv6-cidr-blocks": ["2001:db8:1::/64"],
        "vpc-id": ["vpc-00000001aaaa4aaa8"],
    }
    third = lines(several_cards(), f"{MACS}/fa:16:3e:00:00:03")
    assert not {"local-ipv4s", "subnet-ipv4-cidr-block"} & set(third)


def test_cards_are_numbered_in_their_order():
    of = replace(several_cards(), ports=several_cards().ports[::-1])
    assert [body(of, f"{MACS}/fa:16:3e:00:00:0{n}/device-number") for n in (3, 2, 1)] == list(
        "012"
    )


def test_two_cards_with_one_mac_are_listed_once_as_the_first():
    assert lines(announced(), MACS) == ["fa:16:3e:00:00:04/", "fa:16:3e:00:00:05/"]
    assert body(announced(), f"{MACS}/fa:16:3e:00:00:04/device-number") == "0"


def test_the_first_card_is_at_the_top_too():
    of = announced()
    assert body(of, "/latest/meta-data/mac") == "fa:16:3e:00:00:04"
    assert body(of, "/latest/meta-data/ipv6") == "2001:db8:4::7"
    assert "ipv6" not in lines(one_card(), "/latest/meta-data")


def test_the_region_is_the_operators():
    of = replace(bare(), settings=Settings(region="south"))
    assert body(of, "/latest/meta-data/placement/region") == "south"
    nowhere = replace(bare(), settings=Settings(region=""))
    assert lines(nowhere, "/latest/meta-data/placement") == ["availability-zone"]


@pytest.mark.parametrize("version", EC2.versions)
@pytest.mark.parametrize("name", LATER)
def test_paths_that_nova_lacks_are_not_at_novas_versions(version: str, name: str):
    assert tree.render(announced(), f"/{version}/meta-data/{name}") is None
    assert tree.render(announced(), f"/2009-04-05/meta-data/{name}") is not None


# -- Tags ----------------------------------------------------------------------------------


def test_tags_are_the_metadata_whose_keys_can_be_paths():
    prefix = "/latest/meta-data/tags/instance"
    assert {key: body(announced(), f"{prefix}/{key}") for key in lines(announced(), prefix)} == {
        "Name:1": "",
        "role": "web",
    }
    assert "tags/" not in lines(bare(), "/latest/meta-data")


@pytest.mark.parametrize(
    ("key", "listed"),
    [
        ("a", True), ("a=b", False), ("A-Za_z.0,9:@+", True), ("x" * 255, True), ("...", True),
        ("", False), (".", False), ("..", False), ("_index", False), ("a b", False),
        ("a/b", False), ("a%2Fb", False), ("ä", False), ("a\n", False), ("a\nb", False),
        ("0=a", False), ("-1=a", False), ("\0", False), ("x" * 256, False), ("a?b", False),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_a_path_is_left_out(key: str, *, listed: bool):
    instance = replace(bare().instance, metadata={key: "v", "plain": "v"})
    of = replace(bare(), instance=instance)
    prefix = "/latest/meta-data/tags/instance"
    assert (key in lines(of, prefix)) == listed
    for _, found in crawl(lambda path: tree.render(of, path), prefix):
        assert found.body


# -- Events --------------------------------------------------------------------------------


def test_events_are_ec2s_json():
    prefix = "/latest/meta-data/events/maintenance"
    assert json.loads(body(announced(), f"{prefix}/scheduled")) == [
        {
            "Code": "system-reboot",
            "Description": "scheduled reboot",
            "EventId": "instance-event-0d59937288b749b32",
            "State": "active",
            "NotBefore": "01 Dec 2026 09:00:43 GMT",
            "NotAfter": "01 Dec 2026 09:17:23 GMT",
            "Acknowledged": "30 Nov 2026 08:00:00 GMT",
        }
    ]
    assert [
        (event["EventId"], event["State"], event["Description"])
        for event in json.loads(body(announced(), f"{prefix}/history"))
    ] == [("e2", "completed", "[Completed] full"), ("e3", "canceled", "[Canceled] ")]
    assert body(bare(), f"{prefix}/scheduled") == body(bare(), f"{prefix}/history") == "[]"


def test_text_that_is_not_a_time_is_unchanged():
    assert ec2_time("soon") == "soon"
    assert ec2_time("2026-02-03") == "03 Feb 2026 00:00:00 GMT"


# -- Files, devices, password --------------------------------------------------------------


def test_files_are_where_meta_data_says():
    of = announced()
    files = json.loads(body(of, "/openstack/2012-08-10/meta_data.json"))["files"]
    assert [file["path"] for file in files] == ["/etc/motd", "/root/key"]
    contents = [tree.render(of, f"/openstack{file['content_path']}") for file in files]
    assert [found.body for found in contents if found] == [b"hello\n", b"\x00\xff"]
    assert "files" not in json.loads(body(bare(), "/openstack/latest/meta_data.json"))


@pytest.mark.parametrize(
    "path",
    [
        "/openstack/content",
        "/openstack/content/",
        "/openstack/content/0002",
        "/openstack/content/0",
        "/openstack/content/00000",
        "/openstack/content/-001",
        "/openstack/content/0000/x",
        "/openstack/content/{file}",
        "/openstack/latest/content",
        "/openstack/latest/content/0000",
        "/content/0000",
        "/latest/content/0000",
    ],
)
def test_files_are_nowhere_else(path: str):
    assert tree.render(announced(), path) is None


@pytest.mark.parametrize("version", [*OPENSTACK.versions, LATEST])
def test_tagged_cards_are_devices(version: str):
    found = json.loads(body(announced(), f"/openstack/{version}/meta_data.json"))
    trusted = {"vf_trusted": False} if version >= "2018-08-27" else {}
    card = {"type": "nic", "bus": "none", "address": "none", "mac": "fa:16:3e:00:00:04"} | trusted
    devices = [card | {"tags": ["blue"]}, card | {"tags": ["red"]}]
    assert found.get("devices") == (devices if version >= "2016-06-30" else None)


def test_a_tag_of_a_removed_card_is_not_a_device():
    of = announced()
    without = replace(of, ports=tuple(p for p in of.ports if p.id not in of.instance.nic_tags))
    assert json.loads(body(without, "/openstack/latest/meta_data.json"))["devices"] == []


def test_the_password_is_what_the_guest_posted():
    found = tree.render(announced(), "/openstack/latest/password")
    assert found is not None
    assert (found.content_type, found.body) == (b"text/html; charset=UTF-8", b"c2VjcmV0")
    assert body(bare(), "/openstack/2013-04-04/password") == ""
    assert tree.render(announced(), "/openstack/2012-08-10/password") is None


def test_user_data_is_read_only_when_it_is_requested():
    asked: list[str] = []

    def read() -> bytes:
        asked.append("read")
        return b"\xff"

    of = replace(bare(), instance=replace(bare().instance, user_data=None), read_user_data=read)
    assert "user_data" in lines(of, "/openstack/latest")
    assert body(of, "/latest/meta-data/hostname")
    assert asked == []
    found = tree.render(of, "/latest/user-data")
    assert (found.body if found else None, asked) == (b"\xff", ["read"])


def test_a_card_without_an_address_keeps_its_number():
    nameless: Port = announced().ports[1]
    assert body(announced(), f"{MACS}/{nameless.mac_address}/device-number") == "1"
