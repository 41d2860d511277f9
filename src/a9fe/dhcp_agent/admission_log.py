"""Logs the devices on our bridges that are refused, and values that dnsmasq is not given."""

import structlog

from a9fe.host_agent.converge import Outcome
from a9fe.plan.filters.admission import Refused, refused
from a9fe.plan.model_view import ModelView

log = structlog.get_logger()

DEVICES_LOGGED = 100  # devices logged in one pass; a bridge has at most 1,023


class AdmissionLog:
    """Logs a refused device when it appears, changes its reason, or disappears.

    Also logs once each value of the model that cannot be written into dnsmasq's files.
    """

    def __init__(self, host: str) -> None:
        """`host` is this host's name."""
        self._host = host
        self._logged: frozenset[Refused] = frozenset()
        self._left_out: frozenset[str] = frozenset()

    def passed(self, model: ModelView, outcome: Outcome) -> None:
        """Log what a pass of the agent changed."""
        self._devices(model, outcome)
        plans = outcome.desired.namespaces.values()
        left_out = frozenset(r for plan in plans if plan.dnsmasq for r in plan.dnsmasq.left_out)
        for reason in sorted(left_out - self._left_out)[:DEVICES_LOGGED]:
            log.warning("value left out of dnsmasq's files", reason=reason)
        self._left_out = left_out

    def _devices(self, model: ModelView, outcome: Outcome) -> None:
        found = refused(model, self._host, outcome.desired, outcome.observed)
        new = sorted(found - self._logged)
        for one in new[:DEVICES_LOGGED]:
            log.warning(
                "device refused",
                device=one.device,
                bridge=one.bridge,
                network=one.network,
                reason=one.reason,
            )
        if len(new) > DEVICES_LOGGED:
            log.warning("more devices refused", count=len(new) - DEVICES_LOGGED)
        still = {one.device for one in found}
        for one in sorted(self._logged - found)[:DEVICES_LOGGED]:
            if one.device not in still:
                log.info("device no longer refused", device=one.device, bridge=one.bridge)
        self._logged = found
