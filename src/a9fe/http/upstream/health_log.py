"""Log lines and metrics of upstream health."""

import structlog

from a9fe.http.upstream.addresses import Health
from a9fe.http.upstream.target import Target
from a9fe.runtime import metrics
from a9fe.wire.refusals import Refusal

log = structlog.get_logger("a9fe.http")


class HealthLog:
    """A watcher of addresses: one log line for each change, and the metrics."""

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self._reasons: dict[str, set[str]] = {}  # by address, of its counters

    def failed(self, target: Target, refusal: Refusal) -> None:
        """Count a failure."""
        self._reasons.setdefault(str(target), set()).add(refusal.label)
        metrics.UPSTREAM_FAILURES.labels(str(target), refusal.label).inc()

    def changed(self, target: Target, health: Health, why: str) -> None:
        """Log the new health, and set the metric; forget an address that is gone."""
        upstream = str(target)
        if health is Health.GONE:
            self._forget(upstream)
        else:
            metrics.UPSTREAM_UP.labels(upstream).set(health is not Health.DOWN)
        if health is Health.DOWN:
            log.warning("upstream down", upstream=upstream, name=target.name, reason=why)
        elif why:
            log.info("upstream " + health.value, upstream=upstream, name=target.name, reason=why)

    def _forget(self, upstream: str) -> None:
        metrics.UPSTREAM_UP.remove(upstream)
        for reason in self._reasons.pop(upstream, ()):
            metrics.UPSTREAM_FAILURES.remove(upstream, reason)
