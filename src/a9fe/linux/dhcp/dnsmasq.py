"""The dnsmasq of a network: its files; starting, reloading, ending and recognising the process.

dnsmasq daemonises itself and outlives our processes. It is recognised by its pid file, its
command line, which names its directory, and its namespace. It runs as user nobody and reads its
files again at SIGHUP, so all directories above them must be searchable by all users.

The file `loaded` has the digest of the files that dnsmasq read last. It is written after SIGHUP.
So an observation shows when an agent was killed after it wrote the files and before it sent the
signal.
"""

import hashlib
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from a9fe.linux.dhcp import leases
from a9fe.linux.kernel import namespace
from a9fe.linux.processes import process, programs
from a9fe.model.errors import A9feError
from a9fe.plan.dhcp.dnsmasq import HOSTS_FILE, NAMES_FILE, OPTIONS_FILE, PID_FILE
from a9fe.plan.host import Dnsmasq
from a9fe.runtime import failpoints, whole_files

LOADED_FILE = "loaded"
NOT_LOADED = "not loaded"  # equals no planned text, because those end with a newline
INTERFACE = "--interface="


class DnsmasqError(A9feError):
    """dnsmasq cannot be started; the message says why."""


def observe(space: str, network_id: str, directory: str) -> Dnsmasq | None:
    """Return the network's dnsmasq in the namespace with its loaded files.

    If none runs, return its files alone, which have no arguments; None if there are none.
    """
    pid = pid_of(directory)
    where = (
        namespace.inode(space),
        process.HIDDEN,
    )  # a hidden process is recognised by its directory
    if pid is None or process.network_namespace(pid) not in where:
        return _files_alone(network_id, directory) if os.path.isdir(directory) else None
    arguments = process.command_line(pid)[1:]
    interface = next((a.removeprefix(INTERFACE) for a in arguments if a.startswith(INTERFACE)), "")
    files = _read(directory)
    loaded = _read_text(directory, LOADED_FILE) == _digest(files)
    return Dnsmasq(
        network_id=network_id,
        interface=interface,
        arguments=arguments,
        directory=directory,
        hosts=files[HOSTS_FILE] if loaded else NOT_LOADED,
        names=files[NAMES_FILE],
        options=files[OPTIONS_FILE],
    )


def _files_alone(network_id: str, directory: str) -> Dnsmasq:
    """What a process that was killed while it stopped or started dnsmasq left."""
    return Dnsmasq(
        network_id=network_id,
        interface="",
        arguments=(),
        directory=directory,
        hosts=NOT_LOADED,
        options="",
    )


def start(space: str, wanted: Dnsmasq) -> None:
    """Write its files and start it in the namespace; first end any other with its directory.

    If dnsmasq refuses the arguments, one that runs is left running.
    """
    is_new = not os.path.isdir(wanted.directory)  # then none runs: no process is looked at
    _make_directory(wanted.directory)
    argv = ["dnsmasq", *wanted.arguments]
    if pid_of(wanted.directory) is not None:
        programs.run(["dnsmasq", "--test", *wanted.arguments])
    if not is_new:
        stop(wanted.directory)
    files = _write(wanted)
    namespace.call_inside(space, lambda: programs.run(argv))
    _mark_loaded(wanted, files)


def reload(space: str, wanted: Dnsmasq) -> None:
    """Write its files and let it read them again; start it if it does not run."""
    pid = pid_of(wanted.directory)
    if pid is None:
        start(space, wanted)
        return
    files = _write(wanted)
    if process.signal_if(pid, signal.SIGHUP, lambda found: is_ours(found, wanted.directory)):
        _mark_loaded(wanted, files)


def stop(directory: str) -> list[int]:
    """End every dnsmasq with this directory; return their pids."""
    pid = pid_of(directory)
    candidates = [pid] if pid is not None else process.all_pids()
    ended = [p for p in candidates if is_ours(p, directory) and _end(p, directory)]
    failpoints.reached("unlink")
    with suppress(FileNotFoundError):
        os.unlink(f"{directory}/{PID_FILE}")
    return ended


def remove(directory: str) -> None:
    """End the dnsmasq with this directory, and remove the directory with the leases."""
    if os.path.isdir(directory):
        stop(directory)
        remove_files(directory)


def remove_files(directory: str) -> None:
    """Remove the directory of a dnsmasq that has ended, with the leases."""
    failpoints.reached("rmtree")
    shutil.rmtree(directory, ignore_errors=True)


def end_in(space: str, confs: str) -> list[int]:
    """End every dnsmasq with a directory below `confs` in a namespace; return their pids.

    O(processes) if the namespace has a UDP socket, as a running dnsmasq has; else O(1).
    """
    try:
        with namespace.inside(space):
            if not _has_udp_sockets():
                return []
    except namespace.NoSuchNamespace:
        return []
    inode = namespace.inode(space)
    here = [pid for pid in process.all_pids() if process.network_namespace(pid) == inode]
    return [
        pid
        for pid in here
        if (directory := directory_of(pid)).startswith(f"{confs}/") and _end(pid, directory)
    ]


def _has_udp_sockets() -> bool:
    """Whether the calling thread's namespace has a UDP socket."""
    for name in ("udp", "udp6"):
        with suppress(FileNotFoundError), open(f"/proc/thread-self/net/{name}") as file:
            next(file)  # the header
            if next(file, ""):
                return True
    return False


def directory_of(pid: int) -> str:
    """The directory in the command line of our dnsmasq; "" for any other process."""
    argv = process.command_line(pid)
    if not argv or os.path.basename(argv[0]) != "dnsmasq":
        return ""
    ending = f"/{PID_FILE}"
    given = (a.removeprefix("--pid-file=") for a in argv if a.startswith("--pid-file="))
    return next((path.removesuffix(ending) for path in given if path.endswith(ending)), "")


def is_ours(pid: int, directory: str) -> bool:
    """Whether the process is a running dnsmasq with this directory."""
    return directory_of(pid) == directory and process.alive(pid)


def _end(pid: int, directory: str) -> bool:
    return process.end(pid, lambda found: is_ours(found, directory))


def pid_of(directory: str) -> int | None:
    """The pid of the running dnsmasq with this directory, from its pid file; None if none runs."""
    text = _read_text(directory, PID_FILE).strip()
    if not text.isdigit() or not is_ours(int(text), directory):
        return None
    return int(text)


def _make_directory(directory: str) -> None:
    os.makedirs(directory, mode=0o755, exist_ok=True)
    for path in (Path(directory), *Path(directory).parents):
        if not path.stat().st_mode & 0o001:
            raise DnsmasqError(
                f"{path}: mode {path.stat().st_mode & 0o777:03o} keeps dnsmasq (user nobody) from"
                f" its files below, expected one searchable by all (chmod a+x {path})"
            )


def _texts(wanted: Dnsmasq) -> dict[str, str]:
    return {
        HOSTS_FILE: wanted.hosts,
        NAMES_FILE: wanted.names,
        OPTIONS_FILE: wanted.options,
    }


def _write(wanted: Dnsmasq) -> dict[str, str]:
    leases.begin(wanted.directory, wanted.next_hops, wanted.lease)
    files = _texts(wanted)
    for name, text in files.items():
        _write_text(wanted.directory, name, text)
    return files


def _read(directory: str) -> dict[str, str]:
    return {name: _read_text(directory, name) for name in (HOSTS_FILE, NAMES_FILE, OPTIONS_FILE)}


def _mark_loaded(wanted: Dnsmasq, files: dict[str, str]) -> None:
    leases.end(wanted.directory, wanted.next_hops, wanted.lease)
    _write_text(wanted.directory, LOADED_FILE, _digest(files))


def _digest(files: dict[str, str]) -> str:
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()


def _read_text(directory: str, name: str) -> str:
    try:
        return Path(directory, name).read_text(errors="replace")
    except OSError:  # also a damaged disk: it is written again, which fails for this network only
        return ""


def _write_text(directory: str, name: str, text: str) -> None:
    """Not durable: a power cut also ends dnsmasq, and a start writes the files again."""
    failpoints.reached("write")
    whole_files.replace(Path(directory, name), text.encode(), mode=0o644, durable=False)
