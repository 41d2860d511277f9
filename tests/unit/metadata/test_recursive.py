"""A tree as one JSON value, and the entity tag of each document."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a9fe.metadata import tree
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.recursive import recursive
from a9fe.metadata.rendered import JSON, Rendered
from a9fe.metadata.table import LATEST
from tests.golden.metadata.scenarios import (
    SCENARIOS,
    announced,
    bare,
    crawl,
    one_card,
    several_cards,
)
from tests.kit.strategies import roots, views


def whole(of: InstanceView, path: str) -> Rendered:
    place = tree.find(of, path)
    assert place is not None, path
    found = recursive(place)
    assert found.content_type == JSON
    return found


def value(of: InstanceView, path: str) -> Any:
    return json.loads(whole(of, path).body)


def fresh(of: InstanceView, byte: int) -> InstanceView:
    return replace(of, random_bytes=lambda count: bytes([byte]) * count)


def test_a_directory_is_an_object_of_what_it_lists():
    found = value(one_card(), "/latest/meta-data/")
    assert found["instance-id"] == "i-0000002a"
    assert found["placement"] == {"availability-zone": "zone-b", "region": "RegionOne"}
    assert found["public-keys"]["0"]["openssh-key"].startswith("ssh-rsa ")
    assert found["network"]["interfaces"]["macs"]["fa:16:3e:00:00:01"]["local-ipv4s"] == "10.1.0.7"
    assert found["events"]["maintenance"] == {"history": [], "scheduled": []}


def test_json_documents_are_themselves():
    found = value(several_cards(), "/openstack/latest")
    assert found["meta_data.json"]["hostname"] == "db-example-org.cloud.example"
    assert len(found["network_data.json"]["links"]) == 3
    assert found["vendor_data2.json"]["static"] == found["vendor_data.json"]


def test_content_that_is_not_text_is_base64_and_says_so():
    data = several_cards().instance.user_data or b""
    found = value(several_cards(), "/latest")
    assert base64.b64decode(found["user-data"]) == data
    assert found["user-data-encoding"] == "base64"
    assert value(several_cards(), "/latest/user-data") == {
        "user-data": base64.b64encode(data).decode(),
        "user-data-encoding": "base64",
    }
    assert "user-data-encoding" not in value(one_card(), "/latest")


def test_a_leaf_is_a_value():
    assert value(one_card(), "/latest/meta-data/instance-id") == "i-0000002a"
    assert value(one_card(), "/openstack/latest/meta_data.json")["name"] == "Web_1 (Süd)"
    assert value(announced(), "/openstack/content/0000") == "hello\n"


@pytest.mark.parametrize(
    ("path", "first"), [("/", "1.0"), ("/ec2", "1.0"), ("/openstack", "2012-08-10")]
)
def test_versions_are_a_list_of_names(path: str, first: str):
    found = value(announced(), path)
    assert (found[0], found[-1]) == (first, LATEST)


@given(views, roots)
@settings(max_examples=100)
def test_it_has_every_leaf_that_a_crawl_finds(of: InstanceView, root: str):
    found = value(of, root)
    for path, rendered in crawl(lambda asked: tree.render(of, asked), root):
        parts = path.removeprefix(root).strip("/").split("/") if path != root else []
        at = found
        for part in parts[:-1]:
            at = at[part]
        if parts and isinstance(at.get(parts[-1]), str):
            encoded = f"{parts[-1]}-encoding" in at
            raw = at[parts[-1]].encode()
            assert (base64.b64decode(raw) if encoded else raw) == rendered.body
        elif parts:
            assert parts[-1] in at


# -- Entity tags ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("root", ["/latest", "/openstack/latest"])
def test_the_tag_is_the_same_until_something_changes(name: str, root: str):
    of = SCENARIOS[name]()
    for path, rendered in crawl(lambda asked: tree.render(of, asked), root):
        again = tree.render(fresh(of, 7), path)
        assert again is not None
        assert again.etag == rendered.etag != b""
        assert whole(fresh(of, 7), path).etag == whole(of, path).etag


def test_the_random_seed_is_new_and_last():
    path = "/openstack/latest/meta_data.json"
    bodies = [tree.render(fresh(one_card(), byte), path) for byte in (1, 2)]
    seeds = [json.loads(found.body)["random_seed"] for found in bodies if found]
    assert [base64.b64decode(seed)[:1] for seed in seeds] == [b"\1", b"\2"]
    assert list(json.loads(bodies[0].body if bodies[0] else b""))[-1] == "random_seed"
    inside = value(fresh(one_card(), 3), "/openstack/latest")["meta_data.json"]["random_seed"]
    assert base64.b64decode(inside)[:1] == b"\3"


def test_a_change_changes_the_tag():
    before = bare()
    after = replace(before, instance=replace(before.instance, name="other"))
    for path in ("/latest/meta-data/hostname", "/openstack/latest/meta_data.json"):
        tags = {found.etag for of in (before, after) if (found := tree.render(of, path))}
        assert len(tags) == 2
    for path in ("/latest", "/openstack/latest"):
        assert whole(before, path).etag != whole(after, path).etag


@given(views, st.sampled_from(["/latest", "/openstack/latest"]))
@settings(max_examples=50)
def test_recursive_json_is_valid_for_any_instance(of: InstanceView, root: str):
    assert isinstance(value(of, root), dict)
