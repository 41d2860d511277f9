"""IMDSv2 with curl, boto, cloud-init, a container in the guest, and the operator's commands."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from a9fe.plan.names import guest_namespace
from tests.kit.conditions import eventually
from tests.kit.ssh_keys import KEY
from tests.lab.cloud import METADATA, Cloud, Vm
from tests.lab.handmade import sh
from tests.lab.places import CLIENTS, CLOUD_INIT, ROOT

API = "/latest/api/token"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"
PUT = ("-X", "PUT", "-H", f"{TTL}: 60")
PATHS = ("/", "/latest/meta-data/instance-id", "/openstack/latest/meta_data.json", "/latest/no")
CONTAINER = "t-container"
TIMED_OUT = 28  # curl(1)
KINDS = pytest.mark.parametrize("kind", ["isolated", "routed"])


def with_token(token: str) -> tuple[str, str]:
    return ("-H", f"{TOKEN}: {token}")


def must_show_tokens(vm: Vm, *more: str) -> Vm:
    vm.house.a9fe("vm", "set", vm.name, "--http-tokens", "required", *more)
    eventually(lambda: vm.status("/latest") == "401", what="401 without a token")
    return vm


@KINDS
def test_metadata_needs_a_token(cloud: Cloud, kind: str) -> None:
    vm = must_show_tokens(cloud.vm(cloud.on(kind)).start("udhcpc"))
    assert {vm.status(path) for path in PATHS} == {"401"}
    answer = vm.fetch(API, "-i", *PUT)
    head, _, token = answer.replace("\r\n", "\n").partition("\n\n")
    assert f"{TTL}: 60".lower() in head.lower().splitlines()
    assert "x-a9fe-hop-limit" not in head.lower()
    assert 0 < len(token) <= 256
    assert [vm.status(path, *with_token(token)) for path in PATHS] == ["200"] * 3 + ["404"]
    assert vm.fetch("/latest/meta-data/local-ipv4", *with_token(token)) == vm.address


def test_requests_that_get_no_token(cloud: Cloud) -> None:
    vm = must_show_tokens(cloud.vm(cloud.isolated()).start("udhcpc"))
    for ttl in ("0", "21601", "soon", "-1"):
        assert vm.status(API, "-X", "PUT", "-H", f"{TTL}: {ttl}") == "400"
    assert vm.status(API, "-X", "PUT") == "400"
    for name in ("X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For"):
        assert vm.status(API, *PUT, "-H", f"{name}: 10.1.0.99") == "403"
    assert vm.status("/2021-03-23/api/token", *PUT) == "403"
    assert "allow: put" in vm.sh("curl", "-si", METADATA + API).lower()
    vm.house.a9fe("vm", "set", vm.name, "--http-tokens", "off")
    eventually(lambda: vm.status(API, *PUT) == "403", what="no tokens")
    assert vm.reads_its_own()


def test_a_token_is_of_no_use_to_another_vm(cloud: Cloud) -> None:
    network = cloud.isolated()
    thief, owner = (cloud.vm(network).start("udhcpc") for _ in range(2))
    token = owner.fetch(API, *PUT)
    path = "/latest/user-data"
    assert owner.status("/latest/meta-data/", *with_token(token)) == "200"
    assert thief.status("/latest/meta-data/") == "200"
    for forged in ((), ("-H", f"X-A9fe-Port-Id: {owner.port['id']}")):
        assert thief.status("/latest/meta-data/", *with_token(token), *forged) == "401"
    altered = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert owner.status(path, *with_token(altered)) == "401"
    brief = owner.fetch(API, "-X", "PUT", "-H", f"{TTL}: 1")
    eventually(
        lambda: owner.status("/latest/meta-data/", *with_token(brief)) == "401", what="its end"
    )


# -- Real clients --------------------------------------------------------------------------


@KINDS
def test_boto_asks_with_a_token(cloud: Cloud, kind: str) -> None:
    vm = must_show_tokens(cloud.vm(cloud.on(kind)).start("udhcpc"), "--hop-limit", "1")
    python = str(CLIENTS / "botocore" / "bin" / "python")
    found = json.loads(vm.sh(python, str(ROOT / "tests/lab/imds_boto.py")))
    own = vm.fetch("/latest/meta-data/instance-id", *with_token(found["token"]))
    assert found["instance_id"] == own
    assert found["region"] == "nov"  # of the zone "nova"
    assert found["credentials"] == {}


def ec2_datasource(vm: Vm) -> Any:
    lab = ROOT / "tests/lab"
    crawl = ("env", f"PYTHONPATH={CLOUD_INIT}", "/usr/bin/python3", f"{lab}/datasource.py", "Ec2")
    return json.loads(vm.sh(f"{lab}/ec2_machine.sh", *crawl))


@KINDS
def test_cloud_init_on_aws_asks_with_a_token(cloud: Cloud, tmp_path: Any, kind: str) -> None:
    (tmp_path / "key.pub").write_text(KEY + "\n")
    made = cloud.vm(cloud.on(kind), "--ssh-key", str(tmp_path / "key.pub"))
    vm = must_show_tokens(made.start(), "--hop-limit", "1")
    found = ec2_datasource(vm)
    token = vm.fetch(API, *PUT)
    own = vm.fetch("/latest/meta-data/instance-id", *with_token(token))
    assert (found["instance_id"], found["keys"]) == (own, [KEY])


# -- A container in the guest --------------------------------------------------------------


@pytest.fixture
def inside() -> Iterator[str]:
    sh(f"ip netns add {CONTAINER}; ip -n {CONTAINER} link set lo up")
    yield CONTAINER
    sh(f"ip netns del {CONTAINER}")


def plug_container(vm: Vm) -> None:
    """Make a network behind the guest, which forwards and does NAT, as container runtimes do."""
    guest = guest_namespace(vm.name)
    sh(
        f"""
        ip link add c0 netns {guest} type veth peer name eth0 netns {CONTAINER}
        ip -n {guest} link set c0 up
        ip -n {CONTAINER} link set eth0 up
        ip -n {guest} address add 172.17.0.1/24 dev c0
        ip -n {CONTAINER} address add 172.17.0.2/24 dev eth0
        ip -n {CONTAINER} route add default via 172.17.0.1
        ip netns exec {guest} sysctl -qw net.ipv4.ip_forward=1
        ip netns exec {guest} iptables -t nat -A POSTROUTING -s 172.17.0.0/24 -j MASQUERADE
        """
    )


def from_container(
    path: str, *options: str, within: int = 20
) -> "subprocess.CompletedProcess[str]":
    curl = ["curl", "-sS", "-m", str(within), *options, METADATA + path]
    return subprocess.run(
        ["ip", "netns", "exec", CONTAINER, *curl],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@KINDS
def test_a_container_gets_a_token_only_where_it_may(cloud: Cloud, inside: str, kind: str) -> None:
    vm = cloud.vm(cloud.on(kind)).start("udhcpc")
    plug_container(vm)
    address = "/latest/meta-data/local-ipv4"
    eventually(lambda: from_container(address).stdout == vm.address, what="its way out")
    vm.house.a9fe("vm", "set", vm.name, "--hop-limit", "1")
    eventually(
        lambda: from_container(API, *PUT, within=2).returncode == TIMED_OUT, what="no token"
    )
    assert from_container(address).stdout == vm.address
    stolen = vm.fetch(API, *PUT)  # the guest itself is within the hop limit
    assert from_container(address, *with_token(stolen)).stdout == vm.address
    vm.house.a9fe("vm", "set", vm.name, "--hop-limit", "2")
    eventually(lambda: from_container(API, *PUT, within=2).returncode == 0, what="a token")


# -- The operator --------------------------------------------------------------------------


def test_an_operator_moves_vms_from_imdsv1_to_tokens(cloud: Cloud) -> None:
    network = cloud.isolated()
    old, new = (cloud.vm(network).start("udhcpc") for _ in range(2))
    for vm in (old, new):
        cloud.house.a9fe("vm", "set", vm.name, "--http-tokens", "observe")
    old.fetch("/latest/meta-data/")
    token = new.fetch(API, *PUT)
    new.fetch("/latest/meta-data/", *with_token(token))

    def reported() -> Any:
        rows = cloud.house.a9fe.json("imds", "report", "--hours", "1")
        return next((row for row in rows if row["instance_id"] == old.instance["id"]), None)

    row = eventually(reported, what="the report has it")
    assert (row["name"], row["v1_requests"], row["http_tokens"]) == (old.name, 1, "observe")
    assert new.instance["id"] not in cloud.house.a9fe("imds", "report")
    after = "--http-tokens-required-after"
    cloud.house.a9fe("vm", "set", old.name, after, "0")
    eventually(lambda: old.status("/latest") == "401", what="the end of version 1")
    cloud.house.a9fe("vm", "delete", old.name)
    assert old.instance["id"] not in cloud.house.a9fe("imds", "report")
