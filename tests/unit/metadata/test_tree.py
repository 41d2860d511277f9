"""The trees, path by path: as Nova's own tests require, and our differences."""

import base64
import itertools
import json
from dataclasses import replace

import pytest

from a9fe.metadata import tree
from a9fe.metadata.ec2.paths import EC2
from a9fe.metadata.instance_view import InstanceView, Settings
from a9fe.metadata.openstack.paths import OPENSTACK
from a9fe.metadata.rendered import JSON, TEXT, Rendered, etag_of
from a9fe.metadata.table import LATEST
from a9fe.model.resources import Instance, Keypair
from tests.golden.metadata.scenarios import (
    INSTANCE_ID,
    SCENARIOS,
    bare,
    crawl,
    network,
    one_card,
    port,
    several_cards,
    subnet,
    view,
)

EC2_VERSIONS = [*EC2.versions, LATEST]
OPENSTACK_VERSIONS = [*OPENSTACK.versions, LATEST]


def get(of: InstanceView, path: str) -> Rendered:
    rendered = tree.render(of, path)
    assert rendered is not None, path
    return rendered


def body(of: InstanceView, path: str) -> str:
    return get(of, path).body.decode()


def lines(of: InstanceView, path: str) -> list[str]:
    return body(of, path).split("\n")


def named(name: str) -> InstanceView:
    return view(Instance(id=INSTANCE_ID, name=name))


EC2_LISTING = [
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "latest",
]
OPENSTACK_LISTING = [
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "2025-04-04",
    "latest",
]


# -- Versions ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/ec2", "/ec2/"])
def test_the_root_lists_every_ec2_version_and_latest(path: str):
    assert lines(bare(), path) == EC2_LISTING


@pytest.mark.parametrize("path", ["/openstack", "/openstack/"])
def test_the_openstack_root_lists_every_version_and_latest(path: str):
    assert lines(bare(), path) == OPENSTACK_LISTING


@pytest.mark.parametrize("version", ["2009-04-05", "2016-09-02", "2018-09-24", "2021-03-23"])
def test_a_later_date_is_served_as_the_latest_ec2_version(version: str):
    of = several_cards()
    later = dict(crawl(lambda path: tree.render(of, path), f"/{version}"))
    latest = dict(crawl(lambda path: tree.render(of, path), "/latest"))
    assert {path.removeprefix(f"/{version}"): found for path, found in later.items()} == {
        path.removeprefix("/latest"): found for path, found in latest.items()
    }


@pytest.mark.parametrize(
    "version",
    ["2009-04-03", "1999-01-01", "9999-99-99", "2021-02-30", "20210323", "2021-3-23", "2.0", "1",
     "Latest", "²021-03-23", "2021-W12-2"],
)  # fmt: skip
def test_an_unknown_version_is_not_served(version: str):
    assert tree.render(bare(), f"/{version}") is None
    assert tree.render(bare(), f"/{version}/meta-data/") is None
    assert tree.render(bare(), f"/openstack/{version}/meta_data.json") is None


def test_openstack_serves_no_version_but_its_own():
    assert tree.render(bare(), "/openstack/2021-03-23/meta_data.json") is None
    assert tree.render(bare(), "/openstack/2009-04-04/meta_data.json") is None


# -- Paths ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_trailing_slashes_never_matter(name: str):
    of = SCENARIOS[name]()
    for root in ("/latest", "/openstack/latest"):
        for path, rendered in crawl(lambda asked: tree.render(of, asked), root):
            plain = path.rstrip("/")
            assert tree.render(of, plain) == tree.render(of, plain + "/") == rendered


def test_the_ec2_tree_is_also_below_its_name():
    of = several_cards()
    for path, rendered in crawl(lambda asked: tree.render(of, asked), "/2009-04-04"):
        assert tree.render(of, f"/ec2{path}") == rendered


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/hostname/x",
        "/latest/meta-data/hostname/x/y",
        "/latest/meta-data/security-groups/default",
        "/latest/user-data/x",
        "/latest/meta-data/public-keys/0/openssh-key/x",
        "/openstack/latest/meta_data.json/uuid",
        "/openstack/latest/user_data/x",
    ],
)
def test_nothing_is_below_a_leaf(path: str):
    assert tree.render(one_card(), path) is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "latest/meta-data",
        "//openstack/latest/meta_data.json",
        "//latest",
        "//",
        "/latest//",
        "/latest/meta-data//",
        "/latest/meta-data/hostname//",
        "/latest/meta-data/hostname///",
        "/openstack//",
        "/openstack/latest/meta_data.json//",
        "/latest//meta-data",
        "/latest/./meta-data",
        "/latest/../latest/meta-data",
        "/foo/..",
        "/..",
        "/latest%2Fmeta-data",
        "/latest/meta-data%2fhostname",
        "/latest/meta-data/hostname%00",
        "/latest/meta-data/hostname\0",
        "/latest/meta-data/%2e",
        "/%ff",
        "/%",
        "/\xff",
        "/openstack/content",
        "/openstack/content/0000",
        "/openstack/latest/content",
        "/openstack/latest/content/0000",
        "/openstack/latest/version",
        "/openstack/ec2",
        "/ec2/openstack",
        "/latest/meta-data/public-keys/{index}",
        "/latest/meta-data/public-keys/1",
        "/latest/meta-data/public-keys/-1",
        "/latest/meta-data/public-keys/00",
        "/latest/meta-data/public-keys/0=anna",
        "/latest/meta-data/block-device-mapping/{device}",
        "/latest/meta-data/kernel-id",
        "/LATEST/meta-data",
        "/" + "a" * 8192,
        "/" * 8192 + "a",
        "/latest" + "/meta-data" * 1000,
    ],
)
def test_paths_outside_the_table_are_not_served(path: str):
    assert tree.render(one_card(), path) is None


def test_an_escaped_letter_is_that_letter():
    assert body(one_card(), "/latest/meta%2Ddata/instance%2did") == "i-0000002a"


# -- Listings ------------------------------------------------------------------------------


def test_a_version_root_lists_user_data_only_if_there_is_some():
    without = view(replace(bare().instance, user_data=None))
    assert body(one_card(), "/2009-04-04") == "meta-data/\nuser-data"
    assert body(without, "/2009-04-04") == "meta-data/"
    assert "user_data" not in lines(without, "/openstack/latest")


def test_a_listing_is_sorted_with_slashes_on_directories():
    assert lines(one_card(), "/2009-04-04/meta-data/") == [
        "ami-id",
        "ami-launch-index",
        "ami-manifest-path",
        "block-device-mapping/",
        "hostname",
        "instance-action",
        "instance-id",
        "instance-type",
        "local-hostname",
        "local-ipv4",
        "placement/",
        "public-hostname",
        "public-ipv4",
        "public-keys/",
        "reservation-id",
        "security-groups",
    ]


SINCE_EC2 = {
    "1.0": {"ami-id", "ami-launch-index", "ami-manifest-path", "hostname", "instance-id",
            "local-ipv4", "public-keys/", "reservation-id", "security-groups"},
    "2007-01-19": {"local-hostname", "public-hostname", "public-ipv4"},
    "2007-08-29": {"instance-type"},
    "2007-12-15": {"block-device-mapping/"},
    "2008-02-01": {"placement/"},
    "2008-09-01": {"instance-action"},
    "latest": {"events/", "mac", "network/", "tags/"},
}  # fmt: skip


@pytest.mark.parametrize("version", EC2_VERSIONS)
def test_each_ec2_version_has_the_paths_up_to_it(version: str):
    expected = {name for since, names in SINCE_EC2.items() if since <= version for name in names}
    assert set(lines(one_card(), f"/{version}/meta-data")) == expected
    for name in set().union(*SINCE_EC2.values()) - expected:
        assert tree.render(one_card(), f"/{version}/meta-data/{name}") is None


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2012-08-10", "meta_data.json user_data"),
        ("2013-04-04", "meta_data.json user_data password"),
        ("2013-10-17", "meta_data.json user_data password vendor_data.json"),
        ("2015-10-15", "meta_data.json user_data password vendor_data.json network_data.json"),
        ("2016-06-30", "meta_data.json user_data password vendor_data.json network_data.json"),
    ]
    + [
        (
            version,
            "meta_data.json user_data password vendor_data.json network_data.json"
            " vendor_data2.json",
        )
        for version in OPENSTACK_VERSIONS[5:]
    ],
)
def test_each_openstack_version_lists_its_documents_in_novas_order(version: str, expected: str):
    ours = ["events"] if version == "latest" else []
    listed = lines(one_card(), f"/openstack/{version}")
    assert [name for name in listed if not name.startswith("identity")] == expected.split() + ours


@pytest.mark.parametrize("version", ["2012-08-10", "2013-04-04"])
def test_vendor_data_is_not_served_before_its_version(version: str):
    assert tree.render(one_card(), f"/openstack/{version}/vendor_data.json") is None
    assert tree.render(one_card(), f"/openstack/{version}/vendor_data2.json") is None


def test_network_data_is_served_at_every_version_as_nova_does():
    latest = get(one_card(), "/openstack/latest/network_data.json")
    assert get(one_card(), "/openstack/2012-08-10/network_data.json") == latest


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize(
    "root",
    [f"/{v}" for v in EC2_VERSIONS]
    + [f"/ec2/{v}" for v in EC2_VERSIONS]
    + [f"/openstack/{v}" for v in OPENSTACK_VERSIONS],
)
def test_every_listed_path_is_served(name: str, root: str):
    of = SCENARIOS[name]()
    assert len(list(crawl(lambda path: tree.render(of, path), root))) > 1


# -- The EC2 tree --------------------------------------------------------------------------


def test_public_keys_are_listed_by_number_and_name():
    of = several_cards()
    assert body(of, "/latest/meta-data/public-keys/") == "0=anna\n1=win dows"
    assert body(of, "/latest/meta-data/public-keys/1") == "openssh-key"
    assert body(of, "/latest/meta-data/public-keys/0/openssh-key").startswith("ssh-rsa ")


def test_without_keys_there_is_no_directory_of_them():
    assert "public-keys/" not in lines(bare(), "/latest/meta-data")
    assert tree.render(bare(), "/latest/meta-data/public-keys/") is None
    assert tree.render(bare(), "/latest/meta-data/public-keys/0/openssh-key") is None


@pytest.mark.parametrize(
    ("name", "line"),
    [("a\nb", "0=a_b"), ("a/", "0=a_"), ("", "0="), ("a=b", "0=a=b"), ("ä", "0=ä")],
)
def test_a_key_name_never_breaks_its_listing(name: str, line: str):
    instance = replace(bare().instance, keypairs=(Keypair(name=name, public_key="k"),))
    assert lines(view(instance), "/latest/meta-data/public-keys") == [line]


def test_local_ipv4_is_the_instances_first_address():
    assert body(several_cards(), "/latest/meta-data/local-ipv4") == "10.0.0.5"
    v6 = replace(several_cards(), ports=several_cards().ports[2:])
    assert body(v6, "/latest/meta-data/local-ipv4") == ""
    assert body(bare(), "/latest/meta-data/local-ipv4") == ""


def test_security_groups_are_named_once_each():
    assert lines(several_cards(), "/latest/meta-data/security-groups") == ["a", "b", "c"]
    assert body(bare(), "/latest/meta-data/security-groups") == ""
    named = replace(several_cards(), groups={"a": "web", "b": "db", "c": "web"})
    assert lines(named, "/latest/meta-data/security-groups") == ["web", "db"]


def test_ids_have_the_form_of_ec2():
    assert body(several_cards(), "/latest/meta-data/instance-id") == "i-00001234"
    image = body(one_card(), "/latest/meta-data/ami-id")
    assert image.startswith("ami-")
    assert int(image.removeprefix("ami-"), 16) > 0
    assert body(one_card(), "/latest/meta-data/reservation-id").startswith("r-")


def test_the_default_block_devices_are_novas():
    prefix = "/2009-04-04/meta-data/block-device-mapping/"
    devices = {name: body(bare(), prefix + name) for name in lines(bare(), prefix)}
    assert devices == {"ami": "sda1", "ephemeral0": "sda2", "root": "/dev/sda1", "swap": "sda3"}


def test_placement_type_and_action():
    assert lines(one_card(), "/2009-04-04/meta-data/placement") == ["availability-zone"]
    assert body(one_card(), "/latest/meta-data/placement/availability-zone") == "zone-b"
    assert body(one_card(), "/latest/meta-data/instance-type") == "m1.small"
    assert body(one_card(), "/latest/meta-data/instance-action") == "none"
    assert body(one_card(), "/latest/meta-data/public-ipv4") == ""


# -- Host names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web1", "web1"),
        ("Web_1 of.Anna", "web-1-of-anna"),
        ("Ünïcödé", "unicode"),
        ("a__  ..b", "a-b"),
        ("-._a_.-", "a"),
        ("a/../b\n$(reboot)", "a-b-reboot"),
        ("a" * 64, "a" * 63),
        ("a" * 62 + "-b", "a" * 62),
        ("日本", f"server-{INSTANCE_ID}"),
        ("", f"server-{INSTANCE_ID}"),
    ],
)
def test_a_host_name_is_a_label_of_rfc_1123(name: str, expected: str):
    for leaf in ("hostname", "local-hostname", "public-hostname"):
        assert body(named(name), f"/latest/meta-data/{leaf}") == f"{expected}.novalocal"


def test_without_a_domain_the_host_name_stands_alone():
    of = replace(named("web1"), settings=Settings(dhcp_domain=""))
    assert body(of, "/latest/meta-data/hostname") == "web1"
    assert json.loads(body(of, "/openstack/latest/meta_data.json"))["hostname"] == "web1"


# -- The OpenStack tree --------------------------------------------------------------------

ALWAYS = {"uuid", "name", "hostname", "launch_index", "availability_zone"}
WHERE_SET = {"meta", "public_keys", "keys"}
SINCE = {
    "2013-04-04": {"random_seed"},
    "2015-10-15": {"project_id"},
    "2016-06-30": {"devices"},
    "2020-10-14": {"dedicated_cpus"},
}


@pytest.mark.parametrize("version", OPENSTACK_VERSIONS)
def test_meta_data_has_exactly_the_keys_of_its_version(version: str):
    later = {key for since, keys in SINCE.items() if since <= version for key in keys}
    path = f"/openstack/{version}/meta_data.json"
    assert json.loads(body(one_card(), path)).keys() == ALWAYS | WHERE_SET | later
    assert json.loads(body(bare(), path)).keys() == ALWAYS | later


def test_meta_data_describes_the_instance():
    of = one_card()
    found = json.loads(body(of, "/openstack/latest/meta_data.json"))
    del found["random_seed"]
    assert found == {
        "uuid": INSTANCE_ID,
        "name": "Web_1 (Süd)",
        "hostname": "web-1-sud.novalocal",
        "launch_index": 0,
        "availability_zone": "zone-b",
        "meta": {"role": "web", "tier": "1"},
        "public_keys": {"anna": of.instance.keypairs[0].public_key},
        "keys": [{"name": "anna", "type": "ssh", "data": of.instance.keypairs[0].public_key}],
        "project_id": of.instance.project_id,
        "devices": [],
        "dedicated_cpus": [],
    }


def test_a_certificate_is_a_key_of_its_own_type():
    found = json.loads(body(several_cards(), "/openstack/latest/meta_data.json"))
    assert [key["type"] for key in found["keys"]] == ["ssh", "x509"]


def test_no_top_level_key_has_a_hyphen():
    found = json.loads(body(one_card(), "/openstack/latest/meta_data.json"))
    assert [key for key in found if "-" in key] == []


def test_the_random_seed_is_512_new_bytes_each_time():
    count = itertools.count()
    of = replace(one_card(), random_bytes=lambda size: bytes([next(count)]) * size)
    seeds = [
        base64.b64decode(
            json.loads(body(of, "/openstack/latest/meta_data.json"))["random_seed"], validate=True
        )
        for _ in range(2)
    ]
    assert seeds == [b"\0" * 512, b"\1" * 512]


@pytest.mark.parametrize("path", ["/latest/user-data", "/openstack/latest/user_data"])
@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\x1f\x8b\x00\xff", bytes(range(256)), b"a" * 49151]
)
def test_user_data_is_served_byte_for_byte(path: str, data: bytes):
    of = view(replace(bare().instance, user_data=data))
    assert get(of, path) == Rendered(content_type=TEXT, body=data, etag=etag_of(data))


@pytest.mark.parametrize("path", ["/latest/user-data", "/openstack/latest/user_data"])
def test_without_user_data_the_path_is_not_served(path: str):
    assert tree.render(view(replace(bare().instance, user_data=None)), path) is None


@pytest.mark.parametrize("vendordata", [{}, {"a": 1}, ["a"], "#!/bin/sh\n", None])
def test_vendor_data_is_the_operators_file(vendordata: object):
    of = replace(bare(), settings=Settings(vendordata=vendordata))
    assert json.loads(body(of, "/openstack/latest/vendor_data.json")) == vendordata
    assert json.loads(body(of, "/openstack/latest/vendor_data2.json")) == {"static": vendordata}


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/openstack/latest/meta_data.json", JSON),
        ("/openstack/latest/vendor_data.json", JSON),
        ("/openstack/latest/vendor_data2.json", JSON),
        ("/openstack/latest/network_data.json", TEXT),
        ("/openstack/latest/user_data", TEXT),
        ("/openstack/latest", TEXT),
        ("/latest/meta-data/hostname", TEXT),
        ("/", TEXT),
    ],
)
def test_content_types_are_novas(path: str, content_type: bytes):
    assert get(one_card(), path).content_type == content_type


def test_addresses_of_another_family_do_not_count():
    lan = network(1)
    v6 = subnet(1, lan, "2001:db8::/64", ip_version=6)
    v4 = subnet(2, lan, "10.0.0.0/24")
    card = port(1, lan, (v6, "2001:db8::5"), (v4, "10.0.0.5"))
    of = view(bare().instance, (card,), (lan,), (v6, v4))
    assert body(of, "/latest/meta-data/local-ipv4") == "10.0.0.5"
