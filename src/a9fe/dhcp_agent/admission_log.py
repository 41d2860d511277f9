"""Log which devices on our bridges are refused, which values dnsmasq cannot be given, and why."""

import structlog

from a9fe.host_agent.converge import Outcome
from a9fe.plan.filters.admission import Refused, refused
from a9fe.plan.model_view import ModelView

log = structlog.get_logger()

MOST = 100  # devices that one pass names; a bridge takes 1,023


class AdmissionLog:
    """Logs a refused device when it appears, changes its reason, or disappears, and once each
    value of the model that cannot be written for dnsmasq.
    """

    def __init__(self, host: str) -> None:
        """`host` is this host's name."""
        self._host = host
        self._told: frozenset[Refused] = frozenset()
        self._left_out: frozenset[str] = frozenset()

    def look(self, model: ModelView, outcome: Outcome) -> None:
        """Log what changed in a pass of the agent."""
        self._devices(model, outcome)
        plans = outcome.desired.namespaces.values()
        left_out = frozenset(r for plan in plans if plan.dnsmasq for r in plan.dnsmasq.left_out)
        for reason in sorted(left_out - self._left_out)[:MOST]:
            log.warning("value left out of dnsmasq's files", reason=reason)
        self._left_out = left_out

    def _devices(self, model: ModelView, outcome: Outcome) -> None:
        found = refused(model, self._host, outcome.desired, outcome.observed)
        new = sorted(found - self._told)
        for one in new[:MOST]:
            log.warning(
                "device refused",
                device=one.device,
                bridge=one.bridge,
                network=one.network,
                reason=one.reason,
            )
        if len(new) > MOST:
            log.warning("more devices refused", count=len(new) - MOST)
        still = {one.device for one in found}
        for one in sorted(self._told - found)[:MOST]:
            if one.device not in still:
                log.info("device no longer refused", device=one.device, bridge=one.bridge)
        self._told = found
