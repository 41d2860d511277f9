"""What is on the host, read with iproute2 and /proc: nothing of ours is trusted to tell."""

import json
import os
import re
import subprocess

OURS = re.compile(r"(brq|tap|qr-|ns-|qg-)")


def output(*argv: str) -> str:
    """The stdout of a command that must succeed."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def namespaces() -> set[str]:
    """The names below /run/netns."""
    try:
        return set(os.listdir("/run/netns"))
    except FileNotFoundError:
        return set()


def links(namespace: str = "") -> set[str]:
    """The names of links here, or in a namespace."""
    inside = [f"--net=/run/netns/{namespace}"] if namespace else []
    command = ["nsenter", *inside, "ip", "-json", "link"] if inside else ["ip", "-json", "link"]
    return {entry["ifname"] for entry in json.loads(output(*command)) if entry}


def our_links() -> set[str]:
    """Those here that bear one of our names."""
    return {name for name in links() if OURS.match(name)}


def within(namespace: str, *argv: str) -> str:
    """What a command prints in a namespace."""
    return output("nsenter", f"--net=/run/netns/{namespace}", *argv)


def listening(namespace: str, port: int) -> bool:
    """Is there a TCP listener on this port in the namespace?"""
    shown = within(namespace, "ss", "-Hlnt", f"sport = :{port}")
    return bool(shown.strip())


def dnsmasqs() -> dict[int, str]:
    """Every dnsmasq that runs: its pid and its command line."""
    return {pid: line for pid, line in processes().items() if "dnsmasq" in line.split(" ")[0]}


def processes() -> dict[int, str]:
    """Every process but kernel threads and zombies: its pid and its command line."""
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
