"""Telling the one who started us that we are ready: sd_notify(3)'s datagram, if it is wanted.

`logging` sends it with the event "ready", so that what a person reads and what `a9fe up` or
systemd waits for is one thing.
"""

import os
import socket
from contextlib import suppress

VARIABLE = "NOTIFY_SOCKET"


def tell_ready() -> None:
    """Send READY=1 to $NOTIFY_SOCKET. Nobody there is no error."""
    address = os.environ.get(VARIABLE)
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(address)
        sender.send(b"READY=1\n")
