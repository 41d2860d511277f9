"""A fork that keeps our privileges, for work that a process seldom has to do after its start."""

import os
import socket
from collections.abc import Callable

from a9fe.linux.processes import privileges
from a9fe.model.errors import A9feError

DO, DONE, FAILED = b"do", b"+", b"-"
TEXT_MAX = 4096  # bytes of a result or an error


class Standby:
    """Does one work in another process, or nothing: it ends when it is closed.

    The work can import modules, which we no longer can after dropping privileges, and their memory
    is given back. Make it before threads are started.
    """

    def __init__(self, work: Callable[[], str | None]) -> None:
        """Fork. `work` has our privileges as they are now."""
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            self._link.close()
            _stand_by(theirs, work)
        theirs.close()

    def do(self) -> str:
        """Do the work, and return its text. Raises A9feError with the text of its error."""
        self._link.send(DO)
        reply = self._link.recv(TEXT_MAX)
        text = reply[1:].decode(errors="replace")
        if reply[:1] != DONE:
            raise A9feError(text or "a process ended before its work")
        return text

    def close(self) -> None:
        """End it."""
        self._link.close()
        os.waitpid(self._pid, 0)


def _stand_by(link: socket.socket, work: Callable[[], str | None]) -> None:
    """Wait for the request, do the work, and end this process.

    The end of the link ends it, so it needs no signal at the end of our parent's parent.
    """
    os.environ.pop(privileges.PARENT_DEATH, None)
    status = 1
    try:
        if link.recv(TEXT_MAX) == DO:
            link.send(DONE + (work() or "").encode()[: TEXT_MAX - 1])
        status = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, the other process reports it
        link.send(FAILED + str(error).encode()[: TEXT_MAX - 1])
    finally:
        os._exit(status)
