"""Namespace guests: a network namespace in place of a VM, with a real DHCP client.

The guest's first process holds a network, mount, UTS and PID namespace; all its processes end with
it. /etc, /var and /run are private, so that DHCP clients can write there. cloud-init in a
container reads the VM's product name (DMI) from that process's environment.

A guest has no state file: it is found by its namespace in /run/netns and the processes in it.
"""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from signal import SIGKILL
from typing import NoReturn

from a9fe.linux.kernel import namespace, rtnetlink
from a9fe.linux.processes import process, programs
from a9fe.linux.vms import taps
from a9fe.linux.vms.qemu import PRODUCT
from a9fe.model.errors import A9feError, InvalidInput
from a9fe.plan import mark as marks
from a9fe.plan.mark import Mark
from a9fe.plan.names import GUEST_PREFIX, guest_namespace

DEVICE = "eth0"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
BRIDGE_DEADLINE = 10.0  # s; agents make a network's bridge within a second
END_DEADLINE = 10.0  # s from SIGKILL until the guest's processes have ended
POLL = 0.02  # s
LOG = "/run/dhcp.log"  # in the guest

LEASE_DEADLINE = 25  # s

# Each takes a lease and keeps running to renew it.
CLIENTS: dict[str, tuple[str, ...]] = {
    "dhclient": (
        *("dhclient", "-4", "-1", "-v"),
        *("-pf", "/run/dhclient.pid", "-lf", "/run/dhclient.leases", DEVICE),
    ),
    "udhcpc": (
        *("busybox", "udhcpc", "-i", DEVICE, "-t", "60", "-T", "1"),
        *("-O", "staticroutes", "-O", "msstaticroutes", "-O", "mtu"),
        *("-p", "/run/udhcpc.pid", "-s", "/run/udhcpc_event.sh"),
    ),
    "dhcpcd": ("dhcpcd", "-4", "-w", DEVICE),
    "none": (),
}
DEFAULT_CLIENT = "dhclient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A guest to start. `mac` and `tap` are its port's, `client` is a key of CLIENTS.

    `wait` is the time limit for the lease, in s.
    """

    name: str
    mac: str
    tap: taps.Tap
    client: str = DEFAULT_CLIENT
    wait: int = LEASE_DEADLINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An existing guest. `pid` is 0 if its first process ended; `device`: its outer end or ""."""

    name: str
    pid: int
    device: str
    addresses: tuple[str, ...]


def start(guest: Guest) -> Running:
    """Make the guest and take its lease. Raises A9feError, and then removes the guest."""
    _check(guest)
    _await_bridge(guest.tap)
    mark = taps.claim(guest.tap)
    try:
        _make(guest, mark)
        _lease(guest)
    except BaseException:
        stop(guest.name)
        raise
    return find(guest.name)


def _check(guest: Guest) -> None:
    if not NAME.fullmatch(guest.name):
        raise InvalidInput("name", guest.name, "letters, digits, '.', '_' and '-', at most 63")
    if guest.client not in CLIENTS:
        raise InvalidInput("--client", guest.client, f"one of {', '.join(CLIENTS)}")
    require_programs(guest.client)
    if guest.name in names():
        if find(guest.name).pid:
            raise A9feError(
                f"guest {guest.name}: is running already; a9fe guest stop {guest.name}"
            )
        stop(guest.name)
    space = guest_namespace(guest.name)
    if space in namespace.handles():
        raise namespace.NotOurs(f"namespace {space}", "")


def require_programs(client: str) -> None:
    """Raise MissingProgram if a program that this client needs is not installed."""
    for program in ("ip", "nsenter", "unshare", *CLIENTS[client][:1]):
        programs.find(program)


def _await_bridge(tap: taps.Tap) -> None:
    end = time.monotonic() + BRIDGE_DEADLINE
    while (bridge := rtnetlink.find(tap.bridge)) is None or not bridge.alias:
        if time.monotonic() > end:
            return  # taps.claim reports what is wrong
        time.sleep(POLL)


def _make(guest: Guest, mark: Mark) -> None:
    space = guest_namespace(guest.name)
    namespace.create(space, mark)
    group = ["group", str(mark.vm_group)]
    inner = ["peer", "name", DEVICE, "address", guest.mac, *group, "netns", space]
    programs.run(["ip", "link", "add", guest.tap.name, *group, "type", "veth", *inner])
    taps.plug(guest.tap, mark)
    for change in (["mtu", str(guest.tap.mtu)], ["up"]):
        _ip(space, ["link", "set", "dev", DEVICE, *change])
    _start_holder(guest.name)


def _start_holder(name: str) -> None:
    files = resources.files("a9fe.linux.vms")
    unshare = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
    holder = subprocess.Popen(  # noqa: S603 - argv is ours, no shell
        [
            *(programs.find("nsenter"), f"--net={namespace.path(guest_namespace(name))}"),
            *(*unshare, "--propagation", "private"),
            *("/bin/sh", str(files / "guest_init.sh"), name, str(files / "udhcpc_event.sh")),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=_environment(),
    )
    assert holder.stdout is not None
    said = b""
    while not said.endswith(b"ready\n"):
        line = holder.stdout.readline()
        if not line:
            raise A9feError(
                f"guest {name}: cannot be made: {said.decode(errors='replace').strip()}"
            )
        said += line
    holder.stdout.close()
    holder.returncode = 0  # it outlives us: do not wait for it


def _environment() -> dict[str, str]:
    path = ":".join(programs.SYSTEM_PATHS)
    return {"PATH": path, "HOME": "/root", "TERM": "dumb", "product_name": PRODUCT}


def _lease(guest: Guest) -> None:
    client = CLIENTS[guest.client]
    if not client:
        return
    limited = ["timeout", str(guest.wait), *client]
    logged = ["/bin/sh", "-c", f'exec "$@" >{LOG} 2>&1', "sh", *limited]
    try:
        programs.run(command(guest.name, logged))
    except programs.ProgramFailed as error:
        said = programs.run(command(guest.name, ["tail", "-n", "1", LOG])).strip()
        raise A9feError(
            f"guest {guest.name}: {guest.client} got no lease in {guest.wait} s: {said}"
        ) from error


def command(name: str, argv: Sequence[str]) -> list[str]:
    """Return the command line that runs `argv` in the guest. Raises A9feError if it is gone."""
    pid = find(name).pid
    if not pid:
        raise A9feError(f"guest {name}: its first process is gone; a9fe guest stop {name}")
    variables = [f"{key}={value}" for key, value in _environment().items()]
    inside = [programs.find("nsenter"), "-t", str(pid), "-m", "-u", "-n", "-p", "--"]
    return [*inside, "/usr/bin/env", "-i", *variables, *argv]


def execute(name: str, argv: Sequence[str]) -> NoReturn:
    """Replace this process by `argv` in the guest, with our terminal."""
    full = command(name, argv)
    os.execv(full[0], full)  # noqa: S606 - argv is the user's own


def names(of: Mark | None = None) -> list[str]:
    """The names of all guests on this host, or of one installation's, also broken ones.

    A namespace with a guest's name but without a mark of a9fe is no guest.
    """
    found = [name for name in namespace.handles() if name.startswith(GUEST_PREFIX)]
    marked = {name: marks.read(namespace.mark_of(name)) for name in found}
    guests = (name for name, mark in marked.items() if mark is not None and of in (None, mark))
    return [name.removeprefix(GUEST_PREFIX) for name in guests]


def find(name: str) -> Running:
    """Return the guest's current state. Raises A9feError if it does not exist."""
    if name not in names():
        raise A9feError(f"guest {name}: does not exist here; a9fe guest list shows those that do")
    space = guest_namespace(name)
    firsts = [pid for pid in _pids(space) if _is_first(pid)]
    card = _card(space)
    return Running(
        name=name,
        pid=firsts[0] if firsts else 0,
        device=_outer(card),
        addresses=card.addresses if card else (),
    )


def stop(name: str) -> bool:
    """End the guest's processes and remove it. Return False if it did not exist."""
    if name not in names():
        return False
    space = guest_namespace(name)
    mark = marks.read(namespace.mark_of(space))
    outer = _outer(_card(space))
    end = time.monotonic() + END_DEADLINE
    while (pids := _pids(space)) and time.monotonic() < end:
        for pid in pids:
            process.signal_if(pid, SIGKILL, lambda p: p in _pids(space))
        time.sleep(POLL)
    if outer:
        taps.remove(outer)
    return mark is not None and namespace.delete(space, mark)


def _pids(space: str) -> list[int]:
    inode = namespace.inode(space)
    if not inode:
        return []
    alive = filter(process.alive, process.all_pids())
    return [pid for pid in alive if process.network_namespace(pid) == inode]


def _is_first(pid: int) -> bool:
    """Whether it is process 1 of a PID namespace below ours."""
    try:
        with open(f"{process.PROC}/{pid}/status") as file:
            own = next(line.split()[1:] for line in file if line.startswith("NSpid:"))
    except (*process.UNREADABLE, StopIteration):
        return False
    return len(own) > 1 and own[-1] == "1"


def _card(space: str) -> taps.Link | None:
    if not namespace.exists(space):
        return None
    try:
        return taps.parse(_ip(space, ["-json", "address", "show", "dev", DEVICE]))[0]
    except programs.ProgramFailed:
        return None


def _outer(card: taps.Link | None) -> str:
    """The name of the device's other end in the host's namespace, "" for none."""
    shown = programs.run(["ip", "-json", "address", "show", "type", "veth"])
    ends = [link.name for link in taps.parse(shown) if card and link.index == card.peer_index]
    return ends[0] if ends else ""


def _ip(space: str, arguments: Sequence[str]) -> str:
    return programs.run(["nsenter", f"--net={namespace.path(space)}", "ip", *arguments])
