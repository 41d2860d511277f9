"""Every real DHCP client, on both kinds of network, gets the right route and its own metadata."""

import pytest

from tests.kit.ssh_keys import KEY
from tests.lab.cloud import Cloud


@pytest.mark.parametrize("client", ["dhclient", "udhcpc", "dhcpcd"])
def test_isolated_the_route_comes_by_option_121(cloud: Cloud, client: str) -> None:
    network = cloud.isolated()
    vm = cloud.vm(network).start(client)
    server = cloud.dhcp_port(network)["fixed_ips"][0]["ip_address"]
    assert f"169.254.169.254 via {server} dev eth0" in vm.routes()
    assert vm.reads_its_own()


@pytest.mark.parametrize("client", ["dhclient", "udhcpc", "dhcpcd"])
def test_routed_the_gateway_leads_to_metadata(cloud: Cloud, client: str) -> None:
    vm = cloud.vm(cloud.routed()).start(client)
    routes = vm.routes()
    assert "default via 10.1.0.1 dev eth0" in routes
    assert "169.254.169.254 via 10.1.0.1 dev eth0" in routes
    assert vm.reads_its_own()


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_it_reads_keys_and_user_data_that_it_was_created_with(
    cloud: Cloud, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = tmp_path_factory.mktemp("files")
    (files / "key.pub").write_text(KEY + "\n")
    data = bytes(range(256)) * 20
    (files / "data").write_bytes(data)
    vm = cloud.vm(
        cloud.on(kind),
        *("--ssh-key", str(files / "key.pub"), "--user-data", str(files / "data")),
    ).start("udhcpc")
    assert vm.fetch("/latest/meta-data/public-keys/0/openssh-key").strip() == KEY
    got = files / "got"
    vm.fetch("/openstack/latest/user_data", "-o", str(got))
    assert got.read_bytes() == data


def test_every_path_that_is_listed_answers(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    pending, seen = ["/latest/", "/openstack/latest/"], []
    while pending:
        path = pending.pop()
        listing = vm.fetch(path).split()
        assert listing, path
        for entry in listing:
            name = entry.split("=")[0] + "/" if "=" in entry else entry
            if name.endswith("/"):
                pending.append(path + name)
            else:
                assert vm.status(path + name) == "200", path + name
                seen.append(path + name)
    assert "/latest/meta-data/instance-id" in seen
    assert "/openstack/latest/meta_data.json" in seen


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_after_wait_ready_the_first_request_succeeds(cloud: Cloud, kind: str) -> None:
    network = cloud.network()
    if kind == "routed":
        cloud.router(network)
    vm = cloud.vm(network)
    assert "ready" in cloud.house.a9fe("vm", "wait-ready", vm.name)
    vm.start("udhcpc")
    first = vm.sh("busybox", "wget", "-qO-", "http://169.254.169.254/latest/meta-data/local-ipv4")
    assert first == vm.address


def test_a_vm_that_nobody_serves_is_not_ready(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.network("10.1.0.0/24", "--no-dhcp"))
    done = cloud.house.a9fe.run("vm", "wait-ready", vm.name, "--timeout", "1")
    assert done.returncode == 124
    assert "waiting for a DHCP agent or a router" in done.stderr
