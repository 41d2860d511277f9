"""Damage by other processes is repaired at once, and logged."""

import os
import signal
from collections.abc import Callable

from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import Cloud

SOON = 15  # s; without events it is repaired after 30 s


def table() -> str:
    return host.output("nft", "list", "tables", "bridge")


def taps() -> str:
    return host.output("nft", "list", "set", "bridge", table().split()[-1], "taps")


def test_damage_is_repaired_as_soon_as_the_kernel_tells_of_it(cloud: Cloud) -> None:
    isolated, routed = cloud.network(), cloud.network()
    router = cloud.router(routed)
    dhcp, qrouter = cloud.settled_isolated(isolated), cloud.settled_routed(router, routed)
    vms = [cloud.vm(isolated).start("udhcpc"), cloud.vm(routed).start("udhcpc")]
    bridges = [f"brq{cloud.id('networks', name)[:11]}" for name in (isolated, routed)]
    assert all(vm.reads_its_own() for vm in vms)
    ns = f"ns-{cloud.dhcp_port(isolated)['id'][:11]}"
    (interface,) = cloud.house.api.list("ports", device_id=cloud.id("routers", router))
    qr = f"qr-{interface['id'][:11]}"

    def ran(*argv: str) -> Callable[[], object]:
        return lambda: host.output(*argv)

    def dnsmasq_of_isolated() -> int:
        at = cloud.id("networks", isolated)
        return next((pid for pid, line in host.dnsmasqs().items() if at in line), 0)

    def kill_dnsmasq() -> int:
        pid = dnsmasq_of_isolated()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: pid not in host.dnsmasqs(), what="it has ended")
        return pid

    def iptables() -> str:
        return host.within(qrouter, "iptables-save", "-t", "nat")

    def default_route() -> str:
        return host.within(dhcp, "ip", "route", "show", "default").strip()

    damages: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "isolated bridge deleted": (
            ran("ip", "link", "delete", bridges[0]),
            lambda: vms[0].tap in host.output("ip", "link", "show", "master", bridges[0]),
        ),
        "routed bridge deleted": (
            ran("ip", "link", "delete", bridges[1]),
            lambda: vms[1].tap in host.output("ip", "link", "show", "master", bridges[1]),
        ),
        "bridge set down": (
            ran("ip", "link", "set", bridges[0], "down"),
            lambda: "UP" in host.output("ip", "link", "show", bridges[0]).split(">")[0],
        ),
        "device set down": (
            ran("ip", "-n", qrouter, "link", "set", qr, "down"),
            lambda: "UP" in host.within(qrouter, "ip", "link", "show", qr).split(">")[0],
        ),
        "pair deleted": (
            ran("ip", "-n", dhcp, "link", "delete", ns),
            default_route,  # the last step of the pair's repair
        ),
        "address removed": (
            ran("ip", "-n", dhcp, "address", "delete", "169.254.169.254/32", "dev", ns),
            lambda: "169.254.169.254/32" in host.within(dhcp, "ip", "address"),
        ),
        "route removed": (
            ran("ip", "-n", dhcp, "route", "delete", "default"),
            default_route,
        ),
        "rules flushed": (
            ran("nsenter", f"--net=/run/netns/{qrouter}", "iptables", "-t", "nat", "-F"),
            lambda: "REDIRECT" in iptables(),
        ),
        "filters deleted": (ran("nft", "flush", "ruleset"), table),
        "a tap's filter removed": (
            lambda: host.output(
                "nft", f'delete element bridge {table().split()[-1]} taps {{ "{vms[0].tap}" }}'
            ),
            lambda: f'"{vms[0].tap}"' in taps(),
        ),
        "dnsmasq killed": (kill_dnsmasq, dnsmasq_of_isolated),
        "namespace deleted": (
            ran("ip", "netns", "delete", qrouter),
            lambda: qrouter in host.namespaces() and "REDIRECT" in iptables(),
        ),
    }
    for name, (damage, repaired) in damages.items():
        damage()
        eventually(repaired, SOON, f"{name}: repaired")
    for vm in vms:
        eventually(lambda vm=vm: vm.status("/latest/") == "200", SOON, "answered")
        assert vm.reads_its_own()
    said = [line for line in cloud.house.log.read_text().splitlines() if "damage repaired" in line]
    assert any("was on no bridge" in line and vms[0].tap in line for line in said)
    assert any("dnsmasq of network" in line for line in said)
