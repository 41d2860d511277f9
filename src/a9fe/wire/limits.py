"""The limits of HTTP on the metadata path, each with its reason. Pure values.

A guest is not trusted: whatever it sends has an end in bytes, in number and in time. A limit is
inclusive: exactly at it is served, one past it is refused.
"""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

MAX_HEAD_BYTES = 16 * KIB  # twice nginx's and Apache's 8 KiB a line; real clients send < 1 KiB
MAX_HEADERS = 100  # as Apache; cloud-init sends 5
MAX_BODY_BYTES = 1 * MIB  # guests only POST a password (Nova: 255 bytes); room for what follows
MAX_CHUNK_LINE_BYTES = 256  # a chunk's size is 8 digits at most; the rest is for extensions
MAX_PIPELINED_BYTES = 64 * KIB  # read ahead while an answer is awaited; then the kernel waits
MAX_CONNECTIONS = 8192  # of one process; with as many upstream well below 20,000 descriptors
MAX_CONNECTIONS_PER_PEER = 1024  # one guest cannot take all of them; benchmarks open 600
HARD_CONNECTIONS = 2  # times the limits: from there on not even a 503 is said
HEAD_TIMEOUT = 30.0  # seconds from first byte to end of head (haproxy's timeout http-request)
BODY_TIMEOUT = 30.0  # seconds from end of head to end of body
IDLE_TIMEOUT = 30.0  # seconds a silent keep-alive connection stays (haproxy's, in Neutron)
WRITE_TIMEOUT = 30.0  # seconds a guest may leave an answer unread
HALF_CLOSED_TIMEOUT = 2.0  # seconds: `nc` half-closes and still reads, a dead client never does
LINGER_TIMEOUT = 2.0  # seconds to read on after a refusal, so that a reset does not eat it
DRAIN_TIMEOUT = 10.0  # seconds that requests in flight have at SIGTERM

MAX_WAITERS = 10_240  # guests of one service that wait for a change; some 10 KiB each
MAX_WAITERS_PER_INSTANCE = 16  # a guest's few daemons; it cannot take the places of others
MAX_WAITING_UPSTREAM = 4096  # at once from one hop to the next, beside all that do not wait
MAX_UPSTREAM_CONNECTIONS = 256  # to one upstream, idle ones included; more requests wait in line
MAX_UPSTREAM_LINE = 4096  # requests; one more is refused
MAX_ANSWER_BYTES = 16 * MIB  # of one body from upstream; metadata is far below 1 MiB
MAX_ANSWERS_BYTES = 64 * MIB  # of all bodies that are being received from one upstream
LISTEN_BACKLOG = 4096  # connections the kernel queues (metadata_backlog's default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server grants its clients. Sizes in bytes, times in seconds."""

    head_bytes: int = MAX_HEAD_BYTES
    headers: int = MAX_HEADERS
    body_bytes: int = MAX_BODY_BYTES
    pipelined_bytes: int = MAX_PIPELINED_BYTES
    connections: int = MAX_CONNECTIONS
    connections_per_peer: int = MAX_CONNECTIONS_PER_PEER
    head_timeout: float = HEAD_TIMEOUT
    body_timeout: float = BODY_TIMEOUT
    idle_timeout: float = IDLE_TIMEOUT
    write_timeout: float = WRITE_TIMEOUT
    half_closed_timeout: float = HALF_CLOSED_TIMEOUT
    linger_timeout: float = LINGER_TIMEOUT


LIMITS = Limits()
# The service's clients are hops, many requests each; below 20,000 descriptors in all.
SERVICE_LIMITS = Limits(
    connections=MAX_CONNECTIONS + MAX_WAITERS,
    connections_per_peer=MAX_CONNECTIONS + MAX_WAITERS,
)
