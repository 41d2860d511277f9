"""The radvd of a router: its file; starting, reloading and observing the process.

It is a daemon as of linux.processes.daemons. It keeps a child, which is root and writes the
kernel's settings for it, and which ends with it.
"""

import os

from a9fe.linux.kernel import namespace
from a9fe.linux.processes import daemons, programs
from a9fe.linux.processes.daemons import Daemon
from a9fe.linux.processes.programs import ProgramFailed
from a9fe.plan.host import PID_FILE, Radvd

DAEMON = Daemon(program="radvd", pid_option="--pidfile=")
CONFIG_FILE = "radvd.conf"
LOG_FILE = "log"


def observe(space: str, router_id: str, directory: str) -> Radvd | None:
    """Return the router's radvd in the namespace with its loaded file; None if it has no files."""
    if not os.path.isdir(directory):
        return None
    config = daemons.read_text(directory, CONFIG_FILE)
    loaded = daemons.is_loaded(directory, {CONFIG_FILE: config})
    return Radvd(
        router_id=router_id,
        directory=directory,
        config=config if loaded else daemons.NOT_LOADED,
        running=DAEMON.running_in(space, directory) is not None,
    )


def start(space: str, wanted: Radvd) -> None:
    """Write its file and start it in the namespace; first end any other with its directory.

    Raises ProgramFailed with the last line of its log.
    """
    directory = wanted.directory
    daemons.make_directory(directory, DAEMON.program)
    DAEMON.stop(directory)
    daemons.write_text(directory, LOG_FILE, "")
    files = _write(wanted)
    argv = [
        "radvd",
        f"--config={directory}/{CONFIG_FILE}",
        f"{DAEMON.pid_option}{directory}/{PID_FILE}",
        "--username=nobody",
        "--logmethod=logfile",
        f"--logfile={directory}/{LOG_FILE}",
    ]
    try:
        namespace.call_inside(space, lambda: programs.run(argv))
    except ProgramFailed as error:
        lines = daemons.read_text(directory, LOG_FILE).splitlines()
        raise ProgramFailed(f"{error} / {' / '.join(lines[-2:])}") from error
    daemons.mark_loaded(directory, files)


def reload(space: str, wanted: Radvd) -> None:
    """Write its file and let it read it again; start it if it does not run."""
    if DAEMON.pid_of(wanted.directory) is None:
        start(space, wanted)
        return
    files = _write(wanted)
    if DAEMON.reload(wanted.directory):
        daemons.mark_loaded(wanted.directory, files)


def _write(wanted: Radvd) -> dict[str, str]:
    daemons.write_text(wanted.directory, CONFIG_FILE, wanted.config)
    return {CONFIG_FILE: wanted.config}
