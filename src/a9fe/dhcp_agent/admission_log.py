"""Logs the devices on our bridges that are refused, and values that dnsmasq is not given."""

from collections.abc import Iterable
from typing import TypeVar

import structlog

from a9fe.host_agent.converge import Outcome
from a9fe.plan.filters.admission import Refused

T = TypeVar("T")
log = structlog.get_logger()

DEVICES_LOGGED = 100  # devices logged in one pass; a bridge has at most 1,023


class AdmissionLog:
    """Logs a refused device when it appears, changes its reason, or disappears.

    Also logs once each value of the model that cannot be written into dnsmasq's files.
    """

    def __init__(self) -> None:
        """Nothing is logged yet."""
        self._devices: dict[str, frozenset[Refused]] = {}  # refused ones, by bridge
        self._left_out: dict[str, frozenset[str]] = {}  # values left out, by namespace

    def passed(self, refused: Iterable[Refused], outcome: Outcome) -> None:
        """Log what a pass over some parts changed, which found these refused devices."""
        by_bridge: dict[str, set[Refused]] = {part.bridge: set() for part in outcome.plans}
        for one in refused:
            by_bridge.setdefault(one.bridge, set()).add(one)
        before = {one for bridge in by_bridge for one in self._devices.get(bridge, ())}
        now = {one for found in by_bridge.values() for one in found}
        _log_devices(before, now)
        _replace(self._devices, by_bridge)
        self._log_left_out(outcome)

    def _log_left_out(self, outcome: Outcome) -> None:
        by_space: dict[str, set[str]] = {part.namespace("dhcp"): set() for part in outcome.plans}
        for name, plan in outcome.desired.namespaces.items():
            by_space[name] = set(plan.dnsmasq.left_out) if plan.dnsmasq else set()
        new = {
            reason
            for space, reasons in by_space.items()
            for reason in reasons - self._left_out.get(space, frozenset())
        }
        for reason in sorted(new)[:DEVICES_LOGGED]:
            log.warning("value left out of dnsmasq's files", reason=reason)
        _replace(self._left_out, by_space)


def _replace(known: dict[str, frozenset[T]], by_name: dict[str, set[T]]) -> None:
    for name, found in by_name.items():
        known.pop(name, None)
        if found:
            known[name] = frozenset(found)


def _log_devices(before: set[Refused], now: set[Refused]) -> None:
    new = sorted(now - before)
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
    still = {one.device for one in now}
    for one in sorted(before - now)[:DEVICES_LOGGED]:
        if one.device not in still:
            log.info("device no longer refused", device=one.device, bridge=one.bridge)
