"""What the kernel or dnsmasq refuses shows in `show` with its reason, and goes when it is mended;
the rest works on. `port wait-ready` waits for a VM's tap.
"""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import Cloud
from tests.lab.house import House

SOON = 10  # s; 1 s until a problem counts as lasting, and the agents retry within seconds


def reason(cloud: Cloud, kind: str, name: str) -> str:
    return str(cloud.house.a9fe.json(kind, "show", name)["status_reason"])


def refused_and_mended(
    cloud: Cloud, kind: str, name: str, word: str, mend: Callable[[], object]
) -> None:
    """Wait for the word in the reason, and after mending for the end of the reason."""
    eventually(lambda: word in reason(cloud, kind, name), SOON, f"{kind} {name}: {word}")
    shown = cloud.house.a9fe.json(kind, "show", name)
    assert shown["status"] == "ERROR"
    assert "agent on" in shown["status_reason"], "names the agent and its host"
    mend()
    eventually(lambda: reason(cloud, kind, name) == "", 30, f"{kind} {name} is mended")


def test_taken_names_show_on_their_network_and_router_and_the_rest_works(cloud: Cloud) -> None:
    with cloud.house.standing_still("l3-agent", "dhcp-agent"):
        first, second = cloud.network(), cloud.network()
        router = cloud.router()
        dhcp, bridge = cloud.dhcp_space(first), f"brq{cloud.id('networks', second)[:11]}"
        qrouter = f"qrouter-{cloud.id('routers', router)}"
        for space in (dhcp, qrouter):
            host.output("ip", "netns", "add", space)
        host.output("ip", "link", "add", bridge, "type", "bridge")
    cloud.settled_isolated(cloud.network())
    port = cloud.vm(first).port["id"]
    eventually(lambda: dhcp in reason(cloud, "port", port), SOON, "its ports have the reason too")
    refused_and_mended(
        cloud, "network", first, dhcp, lambda: host.output("ip", "netns", "delete", dhcp)
    )
    refused_and_mended(
        cloud, "router", router, qrouter, lambda: host.output("ip", "netns", "delete", qrouter)
    )
    refused_and_mended(
        cloud, "network", second, bridge, lambda: host.output("ip", "link", "delete", bridge)
    )
    for network in (first, second):
        cloud.settled_isolated(network)


def test_a_tap_on_the_wrong_host_shows_on_its_port(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated()).start("udhcpc")
    port = vm.port["id"]

    def bind(host_name: str) -> None:
        cloud.house.api.update("ports", port, {"binding:host_id": host_name})

    bind("elsewhere")
    refused_and_mended(
        cloud,
        "port",
        port,
        f"{vm.tap} on brq{cloud.id('networks', cloud.networks[0])[:11]} is refused:"
        f" port {port} is bound to host elsewhere",
        lambda: bind(vm.port["binding:host_id"]),
    )


def test_a_dnsmasq_that_cannot_start_shows_on_its_network(cloud: Cloud) -> None:
    network = cloud.isolated()
    directory = cloud.house.state / "dhcp" / cloud.id("networks", network)
    leases = directory / "leases"
    with cloud.house.standing_still("l3-agent", "dhcp-agent"):
        pid = int((directory / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        leases.unlink(missing_ok=True)
        leases.mkdir()  # dnsmasq cannot open it
    refused_and_mended(cloud, "network", network, "dnsmasq", leases.rmdir)
    assert cloud.vm(network).start("udhcpc").reads_its_own()


def test_a_full_disk_shows_on_the_network_whose_files_are_there(cloud: Cloud) -> None:
    network, other = cloud.isolated(), cloud.isolated("10.2.0.0/24")
    directory = cloud.house.state / "dhcp" / cloud.id("networks", network)
    host.output("mount", "-t", "tmpfs", "-o", "size=4k,mode=755", "full", str(directory))
    (directory / "fill").write_bytes(bytes(4096))
    vm = cloud.vm(network)
    assert cloud.vm(other).start("udhcpc").reads_its_own()
    refused_and_mended(
        cloud,
        "network",
        network,
        "No space left on device",
        lambda: host.output("umount", "--lazy", str(directory)),
    )
    assert vm.start("udhcpc").reads_its_own()


@pytest.fixture
def told(house: House) -> Iterator[Path]:
    """Make a hook that appends each event with its port and address to a file; yield the file."""
    house.hooks.mkdir(mode=0o755)
    hook, file = house.hooks / "tell", house.hooks / "told"
    hook.write_text(f'#!/bin/sh\necho "$A9FE_EVENT $A9FE_PORT_ID $A9FE_ADDRESSES" >> {file}\n')
    hook.chmod(0o755)
    yield file
    shutil.rmtree(house.hooks)


def test_a_port_is_ready_when_its_tap_is_there_and_not_after(
    cloud: Cloud, told: Path, tmp_path: Path
) -> None:
    vm = cloud.vm(cloud.isolated())
    a9fe, port = cloud.house.a9fe, vm.port["id"]
    early = a9fe.run("port", "wait-ready", port, "--timeout", "0")
    assert (early.returncode, vm.tap in early.stderr) == (124, True), early.stderr
    waiting = a9fe.spawn("port", "wait-ready", port, output=str(tmp_path / "said"))
    vm.start("udhcpc")
    assert waiting.wait(60) == 0
    a9fe("guest", "stop", vm.name)
    eventually(
        lambda: a9fe.json("port", "show", port)["status"] == "DOWN", SOON, "DOWN without its tap"
    )
    ready, gone = (f"{event} {port} {vm.address}" for event in ("ready", "gone"))
    eventually(lambda: told.read_text().splitlines() == [ready, gone], SOON, "both hooks ran")
