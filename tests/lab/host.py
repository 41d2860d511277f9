"""The state of the host, read with iproute2 and /proc and not by our own code."""

import json
import os
import re
import subprocess

OURS = re.compile(r"(brq|tap|qr-|ns-|qg-)")


def output(*argv: str) -> str:
    """Run a command that must succeed and return its stdout."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def namespaces() -> set[str]:
    """Return the names below /run/netns."""
    try:
        return set(os.listdir("/run/netns"))
    except FileNotFoundError:
        return set()


def links(namespace: str = "") -> set[str]:
    """Return the names of the links here or in a namespace."""
    inside = [f"--net=/run/netns/{namespace}"] if namespace else []
    command = ["nsenter", *inside, "ip", "-json", "link"] if inside else ["ip", "-json", "link"]
    return {entry["ifname"] for entry in json.loads(output(*command)) if entry}


def our_links() -> set[str]:
    """Return the links here that have one of our names."""
    return {name for name in links() if OURS.match(name)}


def within(namespace: str, *argv: str) -> str:
    """Run a command in a namespace and return its stdout."""
    return output("nsenter", f"--net=/run/netns/{namespace}", *argv)


def listening(namespace: str, port: int) -> bool:
    """Return whether a TCP listener has this port in the namespace."""
    shown = within(namespace, "ss", "-Hlnt", f"sport = :{port}")
    return bool(shown.strip())


def dnsmasqs() -> dict[int, str]:
    """Return pid and command line of each running dnsmasq."""
    return {pid: line for pid, line in processes().items() if "dnsmasq" in line.split(" ")[0]}


def processes() -> dict[int, str]:
    """Return pid and command line of each process, without kernel threads and zombies."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if line:
            found[int(name)] = line
    return found
