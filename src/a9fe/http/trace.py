"""The steps of a request whose times go to the access log.

`current` is the trace of the request that is handled right now, None if it has none: the access
log sets it around the call of a handler, and whatever does a step notes its end.
"""

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Trace:
    """Times of one request, CLOCK_MONOTONIC in seconds; 0.0: the step was not reached.

    `began`: the whole request was read. `started`: it left the fair queue. `identified`: the
    look-up of its port ended. `id`: the request id that this hop gave it. `owner`: the port and
    instance that it found (see Answer), if its answer may lack them.
    """

    began: float
    started: float = 0.0
    identified: float = 0.0
    id: bytes = b""
    owner: bytes = b""


current: Trace | None = None


def started() -> None:
    """The request has left the queue."""
    if current is not None:
        current.started = time.monotonic()


def identified() -> None:
    """The look-up of its port has ended."""
    if current is not None:
        current.identified = time.monotonic()
