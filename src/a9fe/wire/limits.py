"""The limits of HTTP on the metadata path, each with its reason. Pure values.

A guest is not trusted: what it sends is bounded in bytes, in number and in time. A limit is
inclusive: a value at the limit is served, one above it is refused.
"""

from dataclasses import dataclass, replace

from a9fe.wire.fair_queue import QueueLimits
from a9fe.wire.rate_limit import Window

KIB = 1024
MIB = 1024 * KIB

MAX_HEAD_BYTES = 16 * KIB  # twice nginx's and Apache's 8 KiB a line; real clients send < 1 KiB
MAX_HEADERS = 100  # as Apache; cloud-init sends 5
MAX_BODY_BYTES = 8 * KIB  # a guest's password has at most 1020 bytes, an attribute's value 1024
MAX_CHUNK_LINES = 128  # size lines and trailers of one body; clients send few chunks
MAX_CHUNK_LINE_BYTES = 256  # a chunk's size has at most 8 digits; the rest is for extensions
MAX_PIPELINED_BYTES = 16 * KIB  # read ahead while an answer is awaited; then the kernel buffers
MAX_CONNECTIONS = 8192  # of one process; as many again upstream are below 20,000 descriptors
MAX_CONNECTIONS_PER_LISTENER = 4096  # one network or router cannot take all of them
MAX_CONNECTIONS_PER_CLIENT = 1024  # nor can one guest; benchmarks open 600
MAX_ARRIVING_PER_CLIENT = 64  # incomplete requests of one guest that are read at a time
MAX_HELD_BYTES = 64 * MIB  # requests and unsent answers in the buffers of one process
MAX_HELD_BYTES_PER_LISTENER = 32 * MIB
MAX_HELD_BYTES_PER_CLIENT = 8 * MIB  # ten of the largest documents, unsent
SEND_BUFFER_BYTES = 128 * KIB  # of one connection, in the kernel, which we do not count
HARD_CONNECTIONS = 2  # times the limits: further connections are closed without a 503
HEAD_TIMEOUT = 30.0  # seconds from first byte to end of head (haproxy's timeout http-request)
BODY_TIMEOUT = 30.0  # seconds from end of head to end of body
IDLE_TIMEOUT = 30.0  # seconds that an idle connection stays open (haproxy's, in Neutron)
WRITE_TIMEOUT = 30.0  # seconds in which a guest must read its answer
HALF_CLOSED_TIMEOUT = 2.0  # seconds: `nc` half-closes and reads on; a dead client looks alike
LINGER_TIMEOUT = 2.0  # seconds to read on after a refusal, which a reset could overtake
DRAIN_TIMEOUT = 10.0  # seconds in which requests in flight must finish at SIGTERM

MAX_WAITERS = 10_240  # requests of one service that wait for a change; some 10 KiB each
MAX_WAITERS_PER_INSTANCE = 16  # a guest runs few daemons that wait
MAX_WAITING_UPSTREAM = 4096  # waiting requests from one hop to the next, counted apart from others
MAX_UPSTREAM_CONNECTIONS = 256  # to one upstream, idle ones included; further requests are queued
MAX_UPSTREAM_QUEUE = 4096  # queued requests; one more is refused
MAX_ANSWER_BYTES = 16 * MIB  # of one body from upstream; metadata is far below 1 MiB
MAX_ANSWERS_BYTES = 64 * MIB  # of all bodies being received from one upstream

# The rate of one guest's requests (the options' defaults) and of one instance's costly ones.
GUEST_REQUEST_BURST = 2000  # a boot sends 30 to 100, a crawl of every version some hundreds
GUEST_REQUEST_RATE = 100  # a second after the burst: one guest uses some percent of a core
WRITES = Window(limit=10, duration=10.0)  # a guest writes a few at boot
IDENTITY_TOKENS = Window(limit=40, duration=10.0)  # a token costs ten plain answers
LISTEN_BACKLOG = 4096  # connections the kernel queues (metadata_backlog's default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one server. Sizes in bytes, times in seconds."""

    head_bytes: int = MAX_HEAD_BYTES
    headers: int = MAX_HEADERS
    body_bytes: int = MAX_BODY_BYTES
    chunk_lines: int = MAX_CHUNK_LINES
    pipelined_bytes: int = MAX_PIPELINED_BYTES
    connections: int = MAX_CONNECTIONS
    connections_per_listener: int = MAX_CONNECTIONS_PER_LISTENER
    connections_per_client: int = MAX_CONNECTIONS_PER_CLIENT
    arriving_per_client: int = MAX_ARRIVING_PER_CLIENT
    held_bytes: int = MAX_HELD_BYTES
    held_bytes_per_listener: int = MAX_HELD_BYTES_PER_LISTENER
    held_bytes_per_client: int = MAX_HELD_BYTES_PER_CLIENT
    head_timeout: float = HEAD_TIMEOUT
    body_timeout: float = BODY_TIMEOUT
    idle_timeout: float = IDLE_TIMEOUT
    write_timeout: float = WRITE_TIMEOUT
    half_closed_timeout: float = HALF_CLOSED_TIMEOUT
    linger_timeout: float = LINGER_TIMEOUT


LIMITS = Limits()


def for_hops(connections: int) -> Limits:
    """Return the limits of a server whose clients are hops: each may use all connections."""
    return Limits(
        connections=connections,
        connections_per_listener=connections,
        connections_per_client=connections,
        arriving_per_client=connections,
        held_bytes_per_listener=MAX_HELD_BYTES,
        held_bytes_per_client=MAX_HELD_BYTES,
    )


AGENT_LIMITS = for_hops(MAX_CONNECTIONS)
SERVICE_LIMITS = for_hops(MAX_CONNECTIONS + MAX_WAITERS)  # below 20,000 descriptors in all


def fitting(limits: Limits, descriptors: int) -> Limits:
    """Return the limits with at most half as many connections as file descriptors.

    The other half is for connections to the next hop and for listeners.
    """
    most = max(1, descriptors // 2)
    return replace(
        limits,
        connections=min(limits.connections, most),
        connections_per_listener=min(limits.connections_per_listener, most),
        connections_per_client=min(limits.connections_per_client, most),
    )


# How many requests are answered at once, and how many are queued.
AT_ONCE_PER_CLIENT = 4  # keeps three hops busy; the client's other requests are queued
BYTE_RATE = 4 * MIB  # of answers to one client, a second; above it requests are queued
BURST_BYTES = 1 * MIB  # the largest document
QUEUE_WAIT = 10.0  # seconds in the queue until a request is refused
FULL_PAUSE = 1.0  # seconds until a request is refused if the queue is full
REFUSED_PAUSE = 0.02  # seconds for which a refused request keeps its place

AT_ONCE = QueueLimits(
    at_once=MAX_UPSTREAM_CONNECTIONS,
    at_once_per_client=AT_ONCE_PER_CLIENT,
    queue=MAX_CONNECTIONS,
    queue_per_client=MAX_CONNECTIONS_PER_CLIENT,
    wait=QUEUE_WAIT,
    byte_rate=BYTE_RATE,
    burst_bytes=BURST_BYTES,
)
WAITING = replace(
    AT_ONCE,
    at_once=MAX_WAITING_UPSTREAM,
    at_once_per_client=MAX_WAITERS_PER_INSTANCE,
    queue=0,
    queue_per_client=0,
)
SERVICE_AT_ONCE = replace(AT_ONCE, at_once=MAX_CONNECTIONS)  # it serves the agents of many hosts
SERVICE_WAITING = replace(WAITING, at_once=MAX_WAITERS)
