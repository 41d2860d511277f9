"""What benchmarks read: processes, CPU, memory, and commands in a namespace."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

A9FE = str(Path(sys.executable).parent / "a9fe")
SHAPE = os.environ.get("A9FE_METADATA_SHAPE", "host")  # as `a9fe up` reads it
HOPS = (
    ("metadata-host",)
    if SHAPE == "host"
    else ("metadata-proxy", "metadata-agent", "metadata-service")
)
NAMES = (*HOPS, "server", "l3-agent", "dhcp-agent", "up", "fork-server", "listener-holder")


def a9fe(*arguments: str) -> str:
    """Return the stdout of a command that must succeed."""
    done = subprocess.run([A9FE, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"a9fe {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def create_network(name: str, cidr: str) -> dict[str, Any]:
    """Create a network with a subnet. Return it as the command line prints it."""
    printed = json.loads(a9fe("network", "create", name, "--subnet", cidr, "--json"))
    return dict(printed.get("network", printed))


def until(condition: Callable[[], object], deadline: float = 60, pause: float = 0.005) -> None:
    """Wait until `condition` is true; exit if it stays false. `pause`: s between two looks."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        with suppress(OSError):
            if condition():
                return
        time.sleep(pause)
    sys.exit("bench: waited in vain")


def into(namespace: str) -> list[str]:
    """Return the words before a command that runs in a namespace."""
    return ["nsenter", f"--net=/run/netns/{namespace}"]


def within(namespace: str, *command: str) -> str:
    """Return the stdout of a command in a namespace."""
    argv = [*into(namespace), *command]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def ip_batch(lines: str, namespace: str = "") -> None:
    """Run the lines by one `ip`, in a namespace if given."""
    before = into(namespace) if namespace else []
    subprocess.run([*before, "ip", "-batch", "-"], input=lines, text=True, check=True)


def listens(namespace: str) -> bool:
    """Return whether hop 1 listens in a DHCP namespace."""
    path = Path("/run/netns", namespace)
    return path.exists() and "169.254.169.254:80" in within(namespace, "ss", "-Hltn")


def processes() -> dict[str, int]:
    """Return the processes of `a9fe up`, itself included: name to pid."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if any("a9fe" in word for word in words[:4]):
                found.update({name: int(entry.name) for name in NAMES if name in words[1:5]})
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU time of these processes, all threads, in seconds."""
    tasks = (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def memory(pid: int) -> tuple[float, float]:
    """Return resident and proportional set size in MiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = {k: int(v) / 1024 for k, v in re.findall(r"^(Rss|Pss):\s+(\d+)", text, re.MULTILINE)}
    return sizes["Rss"], sizes["Pss"]


def open_files(pid: int) -> int:
    """Return the number of file descriptors of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
