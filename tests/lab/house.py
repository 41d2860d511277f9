"""The whole system as `a9fe up` runs it in the sandbox; all journeys share one."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from a9fe.api_client.client import ApiClient
from a9fe.api_client.errors import ApiError, ServerUnreachable
from tests.kit.conditions import eventually
from tests.lab.command import Command

URL = "http://127.0.0.1:9696"
OTHERS = ("server", "l3-agent", "dhcp-agent")
HOPS_APART = ("metadata-proxy", "metadata-agent", "metadata-service")
HOPS = {"host": ("metadata-host",), "split": HOPS_APART, "drop-in": HOPS_APART}
"""The processes of the metadata path, in the order of the hops, by shape."""
SHAPES = ("host", "split")  # of which journeys run in each; drop-in has split's processes
LATE = Path(__file__).parent / "late"  # Python imports it at start
READY = 60  # s, on a busy machine
ORPHANED = 1  # the parent of orphans


@dataclass
class House:
    """`a9fe up` on one state directory. Journeys also kill and restart it."""

    state: Path
    variables: dict[str, str] = field(default_factory=dict)
    up: "subprocess.Popen[bytes] | None" = None
    api: ApiClient = field(default_factory=lambda: ApiClient(URL))  # quicker than the commands

    @property
    def a9fe(self) -> Command:
        """Run `a9fe` with this house's environment."""
        traced = {"PYTHONPATH": str(LATE), "PYTHON_LATE_IMPORTS": str(self.late)}
        paths = {"A9FE_STATE_PATH": str(self.state), "A9FE_HOOKS_PATH": str(self.hooks)}
        return Command(variables={**paths, **traced, **self.variables})

    @property
    def shape(self) -> str:
        """Return the shape of the metadata path; the default is host."""
        return self.variables.get("A9FE_METADATA_SHAPE", "host")

    def change_shape(self, shape: str) -> None:
        """Start it in another shape, as a service manager does, unless it has that one."""
        if shape != self.shape:
            if self.up is not None:
                assert self.stop(signal.SIGTERM) == 0
            self.variables["A9FE_METADATA_SHAPE"] = shape
        self.start()

    @property
    def hops(self) -> tuple[str, ...]:
        """Return the processes of the metadata path."""
        return HOPS[self.shape]

    @property
    def processes(self) -> tuple[str, ...]:
        """Return the processes that `a9fe up` keeps, without the listener holder."""
        return (*OTHERS, *self.hops)

    @property
    def hooks(self) -> Path:
        """Return the directory of the operator's hooks; it does not exist at the start."""
        return self.state.with_suffix(".hooks")

    @property
    def late(self) -> Path:
        """Return the modules imported after privileges were dropped, one per line."""
        return self.state.with_suffix(".late")

    @property
    def log(self) -> Path:
        """Return the output of `a9fe up` and its children."""
        return self.state.with_suffix(".log")

    def start(self) -> None:
        """Start it unless it runs; wait until it is ready."""
        if self.up is None or self.up.poll() is not None:
            self.spawn()
        eventually(self.ready, READY, "a9fe up is ready")

    def spawn(self) -> "subprocess.Popen[bytes]":
        """Start it without waiting."""
        self.state.mkdir(parents=True, exist_ok=True)
        self.up = self.a9fe.spawn("up", output=str(self.log))
        return self.up

    def ready(self) -> bool:
        """Return whether its own server answers and all agents have reported."""
        assert self.up is not None
        status = self.up.poll()
        if status is not None:
            raise RuntimeError(f"a9fe up ended with {status}:\n{self.tail()}")
        parents = [_parent(pid) for pid in self.pids("server")]
        if self.up.pid not in parents or ORPHANED in parents:
            return False
        try:
            agents = self.api.list("agents")
        except (ServerUnreachable, ApiError):
            return False
        alive = {a["binary"] for a in agents if a["alive"]}
        return {"neutron-l3-agent", "neutron-dhcp-agent"} <= alive

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does, or a service manager by SIGTERM; return its exit status."""
        assert self.up is not None
        if self.up.poll() is None:
            self.up.send_signal(number)
        status = self.up.wait(30)
        self.up = None
        late = sorted(set(self.late.read_text().splitlines()))
        assert late == [], "imported or opened after privileges were dropped"
        return status

    def kill(self) -> None:
        """Send SIGKILL to `a9fe up` alone."""
        assert self.up is not None
        self.up.kill()
        self.up.wait(30)
        self.up = None

    def pids(self, process: str) -> list[int]:
        """Return the pids of the processes that run `a9fe <process>`."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and _subcommand(Path("/proc", name)) == process:
                found.append(int(name))
        return found

    def _own(self, process: str) -> list[int]:
        """Keep the pids that this house started; another installation may run too."""
        assert self.up is not None
        return [pid for pid in self.pids(process) if _parent(pid) == self.up.pid]

    def kill_process(self, process: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the one process of that name; return its pid."""
        (pid,) = eventually(lambda: self._own(process), what=f"{process} runs")
        os.kill(pid, number)
        return pid

    def successor(self, process: str, pid: int) -> None:
        """Wait until one process of that name runs, and that is another one than `pid`."""

        def succeeded() -> bool:
            found = self.pids(process)
            return len(found) == 1 and pid not in found

        eventually(succeeded, what=f"another {process}")

    @contextmanager
    def standing_still(self, *names: str) -> Iterator[None]:
        """Stop these processes during the block, so that they repair and change nothing."""
        pids = [pid for name in names for pid in self.pids(name)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def tail(self, lines: int = 40) -> str:
        """Return the last lines of the log, for an error message."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _subcommand(process: Path) -> str:
    """Return the first argument after the a9fe script, "" for other processes and zombies."""
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    for position, word in enumerate(words[:-1]):
        if word == b"a9fe" or word.endswith(b"/a9fe"):
            return words[position + 1].decode()
    return ""


def _parent(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])
