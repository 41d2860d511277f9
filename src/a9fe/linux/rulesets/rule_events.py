"""Whether others changed our nftables tables: from the kernel's events about rules.

The kernel numbers transactions (generations). It sends an event for each object that a transaction
changed, then one with the transaction's number.
"""

import socket
import struct
import weakref

from a9fe.linux.kernel import netlink, nfnetlink

RECEIVE_BUFFER = 1 << 20
PATIENCE = 0.1  # s: the kernel sends the events just after it has counted the transaction


class RuleEvents:
    """The changes of the tables with one name, in the namespace where it was started."""

    def __init__(self, table: str) -> None:
        """Not started: knows nothing."""
        self._table = table.encode() + b"\0"
        self._socket: socket.socket | None = None
        self._is_touched = False  # by the transaction whose events are being read
        self._seen = self._touched = 0  # the last generation, and the last that changed ours

    def start(self) -> None:
        """Listen from now on; forget earlier events."""
        self.stop()
        self._socket = netlink.listening(
            nfnetlink.NETLINK_NETFILTER, (nfnetlink.RULES_GROUP,), RECEIVE_BUFFER
        )
        self._socket.settimeout(PATIENCE)
        weakref.finalize(self, self._socket.close)
        self._is_touched, self._seen, self._touched = False, 0, 0

    def stop(self) -> None:
        """Listen no longer."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def is_touched(self, after: int, until: int) -> bool | None:
        """Whether a transaction later than `after`, up to `until`, changed the tables.

        None if that is not known: events were lost, or it is not started. Reads all events; call
        it after each transaction, so that none are lost.
        """
        try:
            while self._socket is not None and self._seen < until:
                self._read(self._socket)
        except (OSError, struct.error, KeyError):  # events are lost, late or unreadable
            self.stop()
        return None if self._socket is None else self._touched > after

    def _read(self, sock: socket.socket) -> None:
        """Read one datagram. Raises TimeoutError."""
        for kind, _, body in netlink.messages(sock.recv(netlink.RECEIVE_SIZE)):
            has = netlink.attributes(body[nfnetlink.HEADER.size :])
            if kind & 0xFF != nfnetlink.NEW_GENERATION:
                self._is_touched = self._is_touched or has.get(nfnetlink.ANY_TABLE) == self._table
                continue
            self._seen = nfnetlink.generation_of(has)
            self._touched = self._seen if self._is_touched else self._touched
            self._is_touched = False
