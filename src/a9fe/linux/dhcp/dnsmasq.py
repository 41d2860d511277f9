"""The dnsmasq of a network: its files; starting, reloading and observing the process.

It is a daemon as of linux.processes.daemons.
"""

import os
from collections.abc import Callable

from a9fe.linux.dhcp import dhcpv4_leases, dhcpv6_leases, lease_file, leases
from a9fe.linux.kernel import namespace
from a9fe.linux.processes import daemons, process, programs
from a9fe.linux.processes.daemons import Daemon
from a9fe.plan.dhcp.dnsmasq import HOSTS_FILE, NAMES_FILE, OPTIONS_FILE
from a9fe.plan.host import Dnsmasq

DAEMON = Daemon(program="dnsmasq", pid_option="--pid-file=")
INTERFACE = "--interface="


def observe(space: str, network_id: str, directory: str) -> Dnsmasq | None:
    """Return the network's dnsmasq in the namespace with its loaded files.

    If none runs, return its files alone, which have no arguments; None if there are none.
    """
    pid = DAEMON.running_in(space, directory)
    if pid is None:
        return _files_alone(network_id, directory) if os.path.isdir(directory) else None
    arguments = process.command_line(pid)[1:]
    interface = next((a.removeprefix(INTERFACE) for a in arguments if a.startswith(INTERFACE)), "")
    files = {
        name: daemons.read_text(directory, name) for name in (HOSTS_FILE, NAMES_FILE, OPTIONS_FILE)
    }
    loaded = daemons.is_loaded(directory, files)
    return Dnsmasq(
        network_id=network_id,
        interface=interface,
        arguments=arguments,
        directory=directory,
        hosts=files[HOSTS_FILE] if loaded else daemons.NOT_LOADED,
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
        hosts=daemons.NOT_LOADED,
        options="",
    )


def start(space: str, wanted: Dnsmasq) -> None:
    """Write its files and start it in the namespace; first end any other with its directory.

    If dnsmasq refuses the arguments, one that runs is left running.
    """
    begin(space, wanted)()


def begin(space: str, wanted: Dnsmasq) -> Callable[[], None]:
    """As `start`, but do not wait until it serves: the result does, and must be called.

    Of about 20 ms dnsmasq waits three quarters, so that several may be begun before one is ended.
    """
    is_new = not os.path.isdir(wanted.directory)  # then none runs: no process is looked at
    daemons.make_directory(wanted.directory, DAEMON.program)
    argv = ["dnsmasq", *wanted.arguments]
    if DAEMON.pid_of(wanted.directory) is not None:
        programs.run(["dnsmasq", "--test", *wanted.arguments])
    if not is_new:
        DAEMON.stop(wanted.directory)
    before = daemons.read_text(wanted.directory, HOSTS_FILE)
    files = _write(wanted)
    begun = namespace.call_inside(space, lambda: programs.begin(argv))

    def rest() -> None:
        begun.end()
        _release(space, wanted, before)
        _mark_loaded(wanted, files)

    return rest


def reload(space: str, wanted: Dnsmasq) -> None:
    """Write its files and let it read them again; start it if it does not run."""
    if DAEMON.pid_of(wanted.directory) is None:
        start(space, wanted)
        return
    before = daemons.read_text(wanted.directory, HOSTS_FILE)
    files = _write(wanted)
    _release(space, wanted, before)
    if DAEMON.reload(wanted.directory):
        _mark_loaded(wanted, files)


def _release(space: str, wanted: Dnsmasq, before: str) -> None:
    """Release the leases of addresses that went to another MAC, or to none."""
    moved = lease_file.moved(before, wanted.hosts)
    if moved:
        for leases_of in (dhcpv4_leases, dhcpv6_leases):
            leases_of.release(space, wanted.interface, wanted.directory, moved)


def _write(wanted: Dnsmasq) -> dict[str, str]:
    leases.begin(wanted.directory, wanted.next_hops, wanted.lease)
    files = {
        HOSTS_FILE: wanted.hosts,
        NAMES_FILE: wanted.names,
        OPTIONS_FILE: wanted.options,
    }
    for name, text in files.items():
        daemons.write_text(wanted.directory, name, text)
    return files


def _mark_loaded(wanted: Dnsmasq, files: dict[str, str]) -> None:
    leases.end(wanted.directory, wanted.next_hops, wanted.lease)
    daemons.mark_loaded(wanted.directory, files)
