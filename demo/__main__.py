"""Boot VMs on two networks with the same subnet, and show how their metadata requests travel.

usage: python -m demo [--quick] [--keep], in the sandbox that `./run demo` makes.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.stage import DemoFailed, Stage

STATE = Path("/run/a9fe-demo/state")
LOG = STATE.with_name("a9fe-up.log")
IMAGES = Path(__file__).resolve().parents[1] / ".cache" / "images"
SUBNET = "10.1.0.0/24"
URL = "http://169.254.169.254"
DONE = "a9fe-vm: done"
FACTS = ("instance-id", "local-ipv4", "hostname", "user-data")
SHOWN = (*FACTS, "route", "/", "dhcp", "done")


@dataclass(frozen=True, slots=True)
class Place:
    """A network with its VM. `kind`: isolated or routed; `client`: the guest's DHCP client."""

    network: str
    vm: str
    kind: str
    client: str


ISOLATED = Place("blue", "blue-vm", "isolated", "dhclient")
ROUTED = Place("green", "green-vm", "routed", "udhcpc")
PLACES = (ISOLATED, ROUTED)
ROUTER = "green-router"


def main() -> int:
    """Run the demo. Return 0 if each VM read its own metadata and nothing is left behind."""
    parser = argparse.ArgumentParser(prog="./run demo", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="namespace guests only, no QEMU")
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running, to look around"
    )
    options = parser.parse_args()
    STATE.mkdir(parents=True, exist_ok=True)
    stage = Stage(STATE)
    up = stage.spawn("up", output=LOG)
    try:
        run(stage, up, quick=options.quick, keep=options.keep)
    except DemoFailed as error:
        stage.say(f"FAILED: {error}")
        stage.show(f"tail {LOG}", "\n".join(LOG.read_text(errors="replace").splitlines()[-30:]))
        return 1
    if options.keep:
        explain(stage)
    return 0


def run(stage: Stage, up: "subprocess.Popen[bytes]", *, quick: bool, keep: bool) -> None:
    """Run all steps in order. Raises DemoFailed."""
    stage.say("a9fe up")
    stage.wait("a9fe up answers", lambda: answers(stage, up))
    build(stage)
    seen = guests(stage) if quick else boot_vms(stage)
    if keep and not quick:
        guests(stage)
    show_path(stage, seen)
    check(stage, seen)
    if not keep:
        end(stage, up)


def answers(stage: Stage, up: "subprocess.Popen[bytes]") -> bool:
    """Return whether the server answers and both agents have reported."""
    if up.poll() is not None:
        raise DemoFailed(f"a9fe up ended with status {up.returncode}")
    try:
        agents = stage.read("agent", "list")
    except DemoFailed:
        return False
    return {"neutron-l3-agent", "neutron-dhcp-agent"} <= {a["binary"] for a in agents}


def build(stage: Stage) -> None:
    """Create both networks, the router of one, and a VM on each."""
    for place in PLACES:
        stage.typed("network", "create", place.network, "--subnet", SUBNET)
    stage.typed("router", "create", ROUTER)
    stage.typed("router", "add-interface", ROUTER, ROUTED.network)
    for place in PLACES:
        data = STATE.with_name(f"{place.vm}.user-data")
        data.write_text(f"#!/bin/sh -- the user data of {place.vm}\n")
        stage.typed(
            *("vm", "create", place.vm, "--network", place.network), "--user-data", str(data)
        )
    stage.wait("listener for the isolated network", lambda: listens(stage, dhcp_space(stage), 80))
    stage.wait("listener of the router", lambda: listens(stage, router_space(stage), 9697))
    stage.say("both networks have a listener for metadata")


def listens(stage: Stage, namespace: str, port: int) -> bool:
    """Return whether a socket listens on the port in the namespace."""
    if not Path("/run/netns", namespace).exists():
        return False
    inside = ("nsenter", f"--net=/run/netns/{namespace}")
    return bool(stage.run(*inside, "ss", "-Hlnt", f"sport = :{port}").strip())


def dhcp_space(stage: Stage) -> str:
    """Return the name of the isolated network's DHCP namespace."""
    return f"qdhcp-{stage.read('network', 'show', ISOLATED.network)['id']}"


def router_space(stage: Stage) -> str:
    """Return the name of the router's namespace."""
    return f"qrouter-{stage.read('router', 'show', ROUTER)['id']}"


Seen = dict[str, dict[str, Any]]


def guests(stage: Stage) -> Seen:
    """Start a namespace guest on each network; return what each read, by VM."""
    seen: Seen = {}
    for place in PLACES:
        stage.typed("guest", "start", place.vm, "--client", place.client)
        inside = ("guest", "exec", place.vm, "--")
        fetch = (*inside, "curl", "-sSf", "--retry", "10", "--max-time", "20")
        found = {
            "route": stage.a9fe(*inside, "ip", "-4", "route").splitlines(),
            "/": stage.a9fe(*fetch, f"{URL}/").split(),
            "meta_data.json": json.loads(
                stage.a9fe(*fetch, f"{URL}/openstack/latest/meta_data.json")
            ),
            "user-data": stage.a9fe(*fetch, f"{URL}/latest/user-data").strip(),
        }
        for fact in FACTS[:3]:
            found[fact] = stage.a9fe(*fetch, f"{URL}/latest/meta-data/{fact}")
        seen[place.vm] = found
        stage.say(f"{place.vm} ({place.kind}) has read its metadata")
    return seen


def boot_vms(stage: Stage) -> Seen:
    """Boot a QEMU VM on each network, both at once; return what each read, by VM."""
    limits = ("--images", str(IMAGES), "--timeout", "100", "--wait-for", DONE)
    consoles = {place.vm: STATE.with_name(f"{place.vm}.console") for place in PLACES}
    for place in PLACES:
        stage.say(f"a9fe vm boot {place.vm}  (QEMU, software emulation)")
    running = {
        vm: stage.spawn("vm", "boot", vm, *limits, output=console)
        for vm, console in consoles.items()
    }
    for vm, process in running.items():
        status = process.wait()
        text = consoles[vm].read_text(errors="replace")
        if status:
            raise DemoFailed(f"a9fe vm boot {vm}: exit status {status}:\n{text[-2000:]}")
        stage.say(f"{vm} has booted and read its metadata")
    return {vm: facts(console.read_text(errors="replace")) for vm, console in consoles.items()}


def facts(console: str) -> dict[str, Any]:
    """Return what the tiny VM printed on its console, by name."""
    lines = re.findall(r"a9fe-vm: (\S+) (.*?)\r?\n", console)
    found: dict[str, Any] = dict(lines)
    found["route"] = [text for word, text in lines if word == "route"]
    found["/"] = found.get("/", "").split()
    found["meta_data.json"] = json.loads(found.get("meta_data.json") or "{}")
    return found


def show_path(stage: Stage, seen: Seen) -> None:
    """Show the path of a request with the commands that an operator would use."""
    stage.say("the path of a request")
    for place in PLACES:
        stage.show(f"{place.vm}, {place.kind}: its routes", "\n".join(seen[place.vm]["route"]))
    router = router_space(stage)
    stage.show_inside(router, "iptables", "-t", "nat", "-L")
    stage.show_inside(router, "ss", "-lntp", "sport = :9697")
    stage.show_inside(dhcp_space(stage), "ss", "-lntp", "sport = :80")
    network = dhcp_space(stage).removeprefix("qdhcp-")
    filters = (f"network_id={network}", "device_owner=network:dhcp")
    (port,) = stage.read("port", "list", *(f"--filter={text}" for text in filters))
    stage.show(f"a9fe port show {port['id']}", stage.a9fe("port", "show", port["id"]))
    for place in PLACES:
        found = seen[place.vm]
        got = [f"{'/':12} {' '.join(found['/'])}"]
        got += [f"{fact:12} {found[fact]}" for fact in FACTS]
        got += [f"{'uuid':12} {found['meta_data.json']['uuid']}"]
        stage.show(f"{place.vm}, {place.kind}: what it read from {URL}/", "\n".join(got))


def check(stage: Stage, seen: Seen) -> None:
    """Check that each VM read its own instance's metadata. Raises DemoFailed."""
    sys.stdout.write("\n")
    for place in PLACES:
        instance, found = stage.read("vm", "show", place.vm), seen[place.vm]
        got = (found["meta_data.json"].get("uuid"), found["meta_data.json"].get("name"))
        if got != (instance["id"], place.vm) or place.vm not in found["user-data"]:
            raise DemoFailed(f"{place.vm} read {got}, expected {instance['id']}, {place.vm}")
        stage.say(f"{place.vm} on the {place.kind} network read its own metadata: {got[0]}")


def end(stage: Stage, up: "subprocess.Popen[bytes]") -> None:
    """Stop everything, run `a9fe clean`, and check that nothing is left. Raises DemoFailed."""
    for name in [g["name"] for g in stage.read("guest", "list")]:
        stage.typed("guest", "stop", name)
    stage.say("Ctrl-C")
    up.send_signal(signal.SIGINT)
    if up.wait(30):
        raise DemoFailed(f"a9fe up ended with status {up.returncode}")
    stage.typed("clean")
    links = {entry["ifname"] for entry in json.loads(stage.run("ip", "-json", "link"))}
    left = [*(links - {"lo"}), *stage.run("ip", "netns", "list").split()]
    if left:
        raise DemoFailed(f"left behind: {' '.join(left)}")
    stage.say("PASSED: each VM read its own metadata, and nothing is left behind")


def explain(stage: Stage) -> None:
    """Print how to look around in the running demo, and how to end it."""
    stage.say("PASSED: each VM read its own metadata; everything is left running")
    sys.stdout.write(
        f"""
    Look around:   ./run enter               a root shell in the sandbox, with a9fe on its PATH
                   ./run enter a9fe guest exec {ISOLATED.vm} -- curl -s {URL}/latest/meta-data/
                   ./run enter ip netns exec {router_space(stage)} iptables -t nat -L
                   ./run enter tail -f {LOG}
    End the demo:  ./run end

"""
    )


if __name__ == "__main__":
    sys.exit(main())
