"""A fork server for tests: its processes report what they have, and wait or fail as told."""

import sys

SERVE = """
import json, os, signal, sys
from pathlib import Path
from a9fe.linux.processes import fork_server, privileges
start = fork_server.serve(int(sys.argv[1]), ahead=["json.tool"])
if start is not None:
    privileges.die_with_parent()
    seen = {"env": dict(os.environ), "argv": sys.argv[1:], "flags": start.flags,
        "sid": os.getsid(0), "ppid": os.getppid(), "tool": "json.tool" in sys.modules,
        "calendar": "calendar" in sys.modules,
        "fds": {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{fd}")}}
    Path(os.environ["OUT"] + ".part").write_text(json.dumps(seen))
    os.rename(os.environ["OUT"] + ".part", os.environ["OUT"])
    if "wait" in start.command:
        signal.pause()
    if "fail" in start.command:
        sys.exit(7)
"""


def serve(fd: int) -> tuple[str, ...]:
    """Return the command line of the fork server with the socket `fd`."""
    return (sys.executable, "-c", SERVE, str(fd), "." * 200)
