"""The metrics of this process, in Prometheus text format."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from a9fe.wire.refusals import Refusal

SHORTEST, LONGEST = 4, 25  # buckets end at 2**4 to 2**24 us
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)


class Tally(Collector):
    """A counter for each request: counting is one look-up, a Counter's takes a lock too (0.5 us).

    For one thread. Labels are made text when they are read.
    """

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...]) -> None:
        """Register the counter; `name` without "_total"."""
        self._described = (name, help_text, labels)
        self._labelnames = labels  # as in prometheus_client
        self.counts: defaultdict[tuple[object, ...], int] = defaultdict(int)
        REGISTRY.register(self)

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Return the counts, for prometheus_client."""
        name, help_text, labels = self._described
        family = CounterMetricFamily(name, help_text, labels=labels)
        for values, count in self.counts.items():
            family.add_metric([str(value) for value in values], count)
        return [family]


class Histogram:
    """Durations in buckets of powers of two microseconds: counting one takes 0.2 us."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        """Start with nothing."""
        self.counts = [0] * 64  # one for each number of binary digits
        self.total = 0.0

    def note(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[int(seconds * 1e6).bit_length()] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, int]]:
        """Return upper bounds in seconds and the numbers of durations within them."""
        sums = list(itertools.accumulate(self.counts))
        bounds = [f"{2**power / 1e6:g}" for power in range(SHORTEST, LONGEST)]
        return [*zip(bounds, sums[SHORTEST:LONGEST], strict=True), ("+Inf", sums[-1])]


class Histograms(Collector):
    """Histograms by labels. For one thread."""

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...]) -> None:
        """Register them."""
        self._described = (name, help_text, labels)
        self._labelnames = labels  # as in prometheus_client
        self.of: defaultdict[tuple[str, ...], Histogram] = defaultdict(Histogram)
        REGISTRY.register(self)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Return the buckets, for prometheus_client."""
        name, help_text, labels = self._described
        family = HistogramMetricFamily(name, help_text, labels=labels)
        for values, found in self.of.items():
            family.add_metric(values, found.buckets(), found.total)
        return [family]


REFUSALS = Counter(
    "a9fe_refusals_total",
    "Requests that got no metadata, by reason.",
    ["process", "reason"],
    registry=REGISTRY,
)
REQUESTS = Tally(
    "a9fe_requests", "Requests answered, by process and status.", ("process", "status")
)
IMDS_REQUESTS = Tally(
    "a9fe_imds_requests",
    "Requests of instances without (1) and with (2) an IMDSv2 token.",
    ("version",),
)
IMDS_USAGE_LOST = Counter(
    "a9fe_imds_usage_lost_total",
    "Requests missing in `a9fe imds report`: too many instances while the server was down.",
    registry=REGISTRY,
)
VENDORDATA = Counter(
    "a9fe_vendordata_total",
    "Requests to providers of dynamic vendor data: ok, failed, or answered from the cache.",
    ["provider", "outcome"],
    registry=REGISTRY,
)
IDENTITY_TOKENS = Counter(
    "a9fe_identity_tokens_total", "Signed tokens issued to guests.", registry=REGISTRY
)
IDENTITY_KEY_EXPIRES = Gauge(
    "a9fe_identity_key_expires",
    "UNIX time in seconds at which the identity key expires; 0: no key, nothing is signed.",
    registry=REGISTRY,
)
GUEST_WRITES = Counter(
    "a9fe_guest_writes_total",
    "Writes of guests that the server stored: password, attribute, acknowledgement.",
    ["what"],
    registry=REGISTRY,
)
CONNECTIONS_CLOSED = Counter(
    "a9fe_api_connections_closed_total",
    "Connections that the API server closed, by reason.",
    ["reason"],
    registry=REGISTRY,
)
RESTARTS = Counter(
    "a9fe_task_restarts_total",
    "Supervised tasks started again after a failure.",
    ["task"],
    registry=REGISTRY,
)
REVISION = Gauge(
    "a9fe_replica_revision", "Revision of the model that the replica has.", registry=REGISTRY
)
SYNCED = Gauge(
    "a9fe_replica_synced", "1 while the change feed is followed and complete.", registry=REGISTRY
)

ON_DISK = Gauge(
    "a9fe_replica_on_disk",
    "1 while the replica is stored on disk; at 0 a restart needs the server (see the log).",
    registry=REGISTRY,
)
STORE_REFUSED = Gauge(
    "a9fe_replica_store_refused",
    "1 while the server is not followed because it has another database (see the log), else 0.",
    registry=REGISTRY,
)
CONFIRMATIONS = Counter(
    "a9fe_replica_confirmations_total",
    "Fetches that confirm a 404 with the server, by outcome: certain, unsure.",
    ["outcome"],
    registry=REGISTRY,
)
UPSTREAM_UP = Gauge(
    "a9fe_upstream_up",
    "1 while requests are sent to this address of the next hop, 0 while it is down.",
    ["upstream"],
    registry=REGISTRY,
)
UPSTREAM_FAILURES = Counter(
    "a9fe_upstream_failures_total",
    "Failed connections and unanswered requests, by address of the next hop and reason.",
    ["upstream", "reason"],
    registry=REGISTRY,
)
DURATIONS = Histograms(
    "a9fe_request_seconds",
    "Time from the whole request to its answer, by process. part: whole, or a step of the requests"
    " in the access log: queue, identify (finding the port), render.",
    ("process", "part"),
)
CONNECTIONS = Gauge(
    "a9fe_connections", "Open connections of clients.", ["process"], registry=REGISTRY
)
LISTENERS = Gauge(
    "a9fe_listeners", "Sockets that are listened on.", ["process"], registry=REGISTRY
)
LAG_SECONDS = Gauge(
    "a9fe_replica_lag_seconds",
    "Seconds since the replica was last known to be complete; 0 while it follows the change feed,"
    " +Inf if it never was.",
    registry=REGISTRY,
)
LAG_REVISIONS = Gauge(
    "a9fe_replica_lag_revisions",
    "Revisions that the server has announced and the replica does not have.",
    registry=REGISTRY,
)
WAITERS = Gauge("a9fe_waiters", "Guests' requests that wait for a change.", registry=REGISTRY)


_ALL = tuple(
    value
    for value in dict(globals()).values()
    if isinstance(value, Tally | Histograms | MetricWrapperBase)
)


def refused(process: str, refusal: Refusal) -> None:
    """Count a refusal by its label in the table of refusals."""
    REFUSALS.labels(process, refusal.label).inc()


def connection_closed(reason: str) -> None:
    """Count a connection that the API server closed."""
    CONNECTIONS_CLOSED.labels(reason).inc()


def answered(process: str, status: int) -> None:
    """Count an answered request by its status."""
    REQUESTS.counts[process, status] += 1


def duration(process: str, part: str) -> Callable[[float], None]:
    """Return the counter of durations of a part of a process's requests."""
    return DURATIONS.of[process, part].note


def imds_asked(version: int) -> None:
    """Count a request of an instance. `version` is 1 or 2, of IMDS."""
    IMDS_REQUESTS.counts[(version,)] += 1


def described() -> list[tuple[str, str, tuple[str, ...], str]]:
    """Return name, type, labels and help of each metric of ours."""
    found = []
    for one in _ALL:
        (family,) = one.collect()
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = one._labelnames  # noqa: SLF001 - prometheus_client has no other way
        found.append((name, family.type, tuple(labels), family.documentation))
    return found


def exposition() -> bytes:
    """Return all metrics in Prometheus text format (CONTENT_TYPE)."""
    return generate_latest(REGISTRY)
