"""Notify the supervisor, `a9fe up` or systemd, that this process is ready, as sd_notify(3) does.

`logging` sends the notification with the event "ready", so that log and supervisor agree.
"""

import os
import socket
from contextlib import suppress

VARIABLE = "NOTIFY_SOCKET"


def notify() -> None:
    """Send READY=1 to $NOTIFY_SOCKET, if it is set. A missing receiver is no error."""
    address = os.environ.get(VARIABLE)
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(address)
        sender.send(b"READY=1\n")
