"""The transport of an accepted connection: asyncio's interface over a socket and a Poller.

It reads and writes at once, and asks the poller only when the kernel has no data or no room. So a
connection with one request costs few system calls, and none of the event loop's handles.
`connection_lost` is called before `close` or `abort` returns, unless data are unsent.
"""

import asyncio
import os
import socket

from a9fe.http.server.poller import BROKEN, READ, WRITE, Poller

READ_BYTES = 64 * 1024  # at most, at once
NOBODY = asyncio.Protocol()


class Transport(asyncio.Transport):
    """Reads for a protocol, and writes; any unsent byte blocks the protocol."""

    __slots__ = (
        "_closing",
        "_ended",
        "_events",
        "_fd",
        "_poller",
        "_protocol",
        "_reading",
        "_send",
        "_sock",
        "_unsent",
        "_watched",
        "_write_eof",
    )

    def __init__(self, sock: socket.socket, poller: Poller, protocol: asyncio.Protocol) -> None:
        """`sock` becomes ours. Call `start` after the protocol's `connection_made`."""
        self._sock = sock
        self._fd = sock.fileno()
        self._send = sock.send
        self._poller = poller
        self._protocol = protocol
        self._unsent = b""
        self._events = READ
        self._watched = False  # by the poller
        self._reading = True
        self._ended = False  # the client has sent its last byte
        self._closing = False
        self._write_eof = False  # once all is sent

    def start(self) -> None:
        """Read what has arrived already, then watch for more."""
        if self._reading:
            self._read()
        if self._fd >= 0:
            self._watched = True
            self._poller.watch(self._fd, self._events, self._ready)

    # -- the interface of asyncio ------------------------------------------------------------

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return the socket, for its options."""
        return self._sock if name == "socket" else default

    def is_closing(self) -> bool:
        """Return whether it is closed, or closes when all is sent."""
        return self._closing

    def is_reading(self) -> bool:
        """Return whether data are given to the protocol."""
        return self._reading and not self._closing

    def get_write_buffer_size(self) -> int:
        """Return the number of unsent bytes."""
        return len(self._unsent)

    def pause_reading(self) -> None:
        """Give the protocol no data; the kernel buffers them."""
        self._reading = False
        self._watch()

    def resume_reading(self) -> None:
        """Give the protocol data again."""
        self._reading = True
        self._watch()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data now, or as soon as the client takes them."""
        if self._closing or not data:
            return
        if self._unsent:
            self._unsent += data
            return
        sent = self._try_send(data)
        if sent == len(data) or self._fd < 0:
            return
        self._unsent = bytes(data[sent:])
        self._watch()
        self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """Return True: every socket can be half-closed."""
        return True

    def write_eof(self) -> None:
        """Half-close when all is sent."""
        self._write_eof = True
        if not self._unsent:
            self._shut()

    def close(self) -> None:
        """Close when all is sent; read nothing more."""
        self._closing = True
        if self._unsent:
            self._watch()
        else:
            self._close(None)

    def abort(self) -> None:
        """Close now; unsent data are dropped."""
        self._closing = True
        self._close(None)

    # -- called by the poller ----------------------------------------------------------------

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if self._events & READ:
            if events & ~WRITE:
                self._read()  # also tells what is broken
        elif events & BROKEN:
            self._close(None)

    def _read(self) -> None:
        if self._fd < 0:
            return
        try:
            data = self._sock.recv(READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            self._close(error)
            return
        if data:
            self._protocol.data_received(data)
            return
        self._ended = True
        self._watch()
        if not self._protocol.eof_received() and not self._closing:
            self.close()

    def _try_send(self, data: bytes | bytearray | memoryview) -> int:
        """Return the number of bytes sent; a broken connection is closed."""
        try:
            return self._send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        except OSError as error:
            self._close(error)
        return 0

    def _flush(self) -> None:
        if self._unsent:
            self._unsent = self._unsent[self._try_send(self._unsent) :]
        if self._unsent or self._fd < 0:
            return
        if self._closing:
            self._close(None)
            return
        if self._write_eof:
            self._shut()
        self._watch()
        self._protocol.resume_writing()

    def _watch(self) -> None:
        """Have the poller watch for what is needed now."""
        reads = self._reading and not self._ended and not self._closing
        events = (READ if reads else 0) | (WRITE if self._unsent else 0)
        if events != self._events:
            self._events = events
            if self._watched:
                self._poller.change(self._fd, events)

    def _shut(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:  # the client has gone
            self._close(error)

    def _close(self, error: Exception | None) -> None:
        if self._fd < 0:
            return
        if self._watched:
            self._poller.forget(self._fd, is_closing=True)
        self._fd = -1
        self._watched = False
        self._closing = True
        self._unsent = b""
        os.close(self._sock.detach())
        protocol, self._protocol = self._protocol, NOBODY  # no cycle is left to the collector
        protocol.connection_lost(error)
