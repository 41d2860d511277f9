"""`vm wait-ready` reports ready only if the VM's whole path to metadata exists."""

import os
import signal
from collections.abc import Callable

from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import Cloud, Vm
from tests.lab.command import Command

TIMED_OUT = 124


def not_ready(command: Command, vm: Vm, reason: str) -> None:
    done = command.run("vm", "wait-ready", vm.name, "--timeout", "0.1")
    assert done.returncode == TIMED_OUT, (reason, done.stdout)
    assert reason in done.stderr


def ready(vm: Vm) -> None:
    assert "ready" in vm.house.a9fe("vm", "wait-ready", vm.name, "--timeout", "90")


def test_a_vm_is_not_ready_while_a_part_of_its_path_is_missing(cloud: Cloud) -> None:
    house, isolated, routed = cloud.house, cloud.network(), cloud.network()
    router = cloud.router(routed)
    dhcp, qrouter = cloud.settled_isolated(isolated), cloud.settled_routed(router, routed)
    alone, behind = cloud.vm(isolated), cloud.vm(routed).start("udhcpc")
    (leg,) = house.api.list("ports", device_id=cloud.id("routers", router))
    ns, qr = f"ns-{cloud.dhcp_port(isolated)['id'][:11]}", f"qr-{leg['id'][:11]}"
    bridge = f"brq{cloud.id('networks', isolated)[:11]}"

    def ran(*argv: str) -> Callable[[], object]:
        return lambda: host.output(*argv)

    def unplug() -> None:
        house.a9fe("router", "remove-interface", router, routed)

    ready(behind)
    cases: list[tuple[Vm, Callable[[], object], str]] = [
        (
            behind,
            ran("nsenter", f"--net=/run/netns/{qrouter}", "iptables", "-t", "nat", "-F"),
            "does not redirect",
        ),
        (
            behind,
            ran("ip", "-n", qrouter, "address", "delete", "10.1.0.1/24", "dev", qr),
            "has no address 10.1.0.1",
        ),
        (
            alone,
            ran("ip", "-n", dhcp, "address", "delete", "169.254.169.254/32", "dev", ns),
            "has no address 169.254",
        ),
        (behind, ran("ip", "link", "set", behind.tap, "nomaster"), f"{behind.tap} is not on"),
        (behind, ran("nft", "flush", "ruleset"), "not in the bridge filters"),
        (alone, ran("ip", "link", "delete", bridge), f"bridge {bridge} is missing"),
        (behind, ran("ip", "netns", "delete", qrouter), f"namespace {qrouter} is missing"),
        (behind, unplug, "has no address 169.254"),
    ]
    for vm, damage, reason in cases:
        with house.standing_still("l3-agent", "dhcp-agent"):
            damage()
            not_ready(house.a9fe, vm, reason)
        ready(vm)

    with house.standing_still("dhcp-agent"):
        new = cloud.vm(isolated)
        not_ready(house.a9fe, new, "DHCP has no entry")
    ready(new)
    off = Command(variables={**house.a9fe.variables, "A9FE_ENABLE_ISOLATED_METADATA": "false"})
    not_ready(off, alone, "enable_isolated_metadata is off")

    with house.standing_still("l3-agent", "dhcp-agent"):  # all swept
        for space in (dhcp, cloud.dhcp_space(routed)):
            host.output("ip", "netns", "delete", space)
        for pid in host.dnsmasqs():
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not host.dnsmasqs(), what="no dnsmasq")
        not_ready(house.a9fe, alone, "is not running in")
    ready(alone)


def test_a_vm_with_ipv6_only_is_not_ready_while_a_part_is_missing(cloud: Cloud) -> None:
    house = cloud.house
    leased = cloud.network("fd00:6::/64", "--ipv6-mode", "dhcpv6-stateful")
    announced = cloud.network("fd00:7::/64", "--ipv6-mode", "slaac")
    router = cloud.router(announced)
    alone, behind = cloud.vm(leased).start("none"), cloud.vm(announced)
    dhcp, qrouter = cloud.dhcp_space(leased), f"qrouter-{cloud.id('routers', router)}"
    ready(alone)
    ready(behind)
    house.a9fe("port", "wait-ready", alone.port["id"], "--timeout", "60")
    (leg,) = house.api.list("ports", device_id=cloud.id("routers", router))
    ns, qr = f"ns-{cloud.dhcp_port(leased)['id'][:11]}", f"qr-{leg['id'][:11]}"
    flush = ("nsenter", f"--net=/run/netns/{qrouter}", "ip6tables", "-t", "nat", "-F")
    lost = ("-6", "address", "delete", "fe80::a9fe:a9fe/128", "dev")
    cases: list[tuple[Vm, tuple[str, ...], str]] = [
        (behind, flush, "does not redirect fe80::a9fe:a9fe"),
        (behind, ("ip", "-n", qrouter, *lost, qr), "has no address fe80::a9fe:a9fe"),
        (alone, ("ip", "-n", dhcp, *lost, ns), "has no address fe80::a9fe:a9fe"),
    ]
    with house.standing_still("l3-agent", "dhcp-agent"):
        for vm, damage, reason in cases:
            host.output(*damage)
            not_ready(house.a9fe, vm, reason)
        new = cloud.vm(leased)
        not_ready(house.a9fe, new, "DHCP has no entry")
    for vm in (behind, alone, new):
        ready(vm)
