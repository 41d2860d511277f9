"""What a pass could not build, as problems of networks, routers, ports and the agent. Pure.

| scope of a failure (plan.operations.scope)              | resource     |
|---------------------------------------------------------|--------------|
| a DHCP namespace, with " dnsmasq", " listener", ...     | its network  |
| a router namespace, with " listener", ...               | its router   |
| a bridge, or its " uplink"                              | its network  |
| a VM's device                                           | its network  |
| any other: the filters, or the whole pass ("host")      | the agent    |
| a value left out of dnsmasq's files (Dnsmasq.left_out)  | its port, or the network |
| a tap that the filters refuse (filters.admission)       | its port     |
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from a9fe.model.problems import AGENT, NETWORK, PORT, REASON_MAX, ROUTER, Problem
from a9fe.plan import names, parts
from a9fe.plan.filters.admission import Refused
from a9fe.plan.host import HostPlan
from a9fe.plan.parts import Part

ByPart = Mapping[Part | None, frozenset[Problem]]
"""Problems by the part of the host that they concern; None: the agent as a whole."""
_PORT_SUBJECT = re.compile(r"port ([0-9a-f-]{36})(?=[:,])")
_Found = tuple[Part | None, str, str, str]  # part, kind, id, reason


def problems(
    failures: Mapping[str, str], desired: HostPlan, passed: Iterable[Part] = ()
) -> ByPart:
    """The problems after a pass over the parts `passed`, from its failures: reasons by scope.

    O(failures + namespaces of `desired`), and O(parts) if a scope is a bridge or a device.
    """
    bridges = {part.bridge: part for part in passed} if _names_bridge(failures) else {}
    found: dict[tuple[Part | None, str, str], list[str]] = defaultdict(list)
    for part, kind, id, reason in (*_failed(failures, desired, bridges), *_left_out(desired)):
        found[part, kind, id].append(reason)
    by_part: dict[Part | None, set[Problem]] = defaultdict(set)
    for (part, kind, id), reasons in found.items():
        text = _shown("; ".join(dict.fromkeys(reasons)))
        by_part[part].add(Problem(kind=kind, id=id, reason=text))
    return {part: frozenset(some) for part, some in by_part.items()}


def of_refused_taps(found: Iterable[Refused], passed: Iterable[Part]) -> ByPart:
    """The problems of ports whose taps are refused on the bridges of the parts `passed`."""
    bridges = {part.bridge: part for part in passed if part.kind == "network"}
    by_part: dict[Part | None, set[Problem]] = defaultdict(set)
    for one in found:
        if one.port and one.bridge in bridges:
            reason = _shown(f"{one.device} on {one.bridge} is refused: {one.reason}")
            by_part[bridges[one.bridge]].add(Problem(kind=PORT, id=one.port, reason=reason))
    return {part: frozenset(some) for part, some in by_part.items()}


def joined(some: ByPart, others: ByPart) -> ByPart:
    """Both. A resource has one problem in a part: that of `some`. O(both)."""
    found: dict[Part | None, frozenset[Problem]] = dict(some)
    for part, problems_of_it in others.items():
        first = found.get(part, frozenset())
        known = {(one.kind, one.id) for one in first}
        found[part] = first | {p for p in problems_of_it if (p.kind, p.id) not in known}
    return found


def ports_left_out(desired: HostPlan) -> frozenset[str]:
    """Ids of the ports without their entry in dnsmasq's files."""
    found = (m for line in _lines(desired) if (m := _PORT_SUBJECT.match(line)))
    return frozenset(m[1] for m in found if m.string[m.end()] == ":")


def _names_bridge(failures: Iterable[str]) -> bool:
    patterns = (names.BRIDGE, names.OUTER_DEVICE)
    devices = [scope.partition(" ")[0] for scope in failures]
    return any(pattern.fullmatch(device) for device in devices for pattern in patterns)


def _failed(
    failures: Mapping[str, str], desired: HostPlan, bridges: Mapping[str, Part]
) -> Iterator[_Found]:
    for scope, reason in failures.items():
        part = _part_of(scope, desired, bridges)
        if part is None:
            yield None, AGENT, "", f"{scope}: {reason}"
        else:
            yield part, NETWORK if part.kind == "network" else ROUTER, part.id, reason


def _part_of(scope: str, desired: HostPlan, bridges: Mapping[str, Part]) -> Part | None:
    first = scope.partition(" ")[0]
    if match := names.DHCP_NAMESPACE.fullmatch(first):
        return parts.network(match[1])
    if match := names.ROUTER_NAMESPACE.fullmatch(first):
        return parts.router(match[1])
    part = bridges.get(desired.taps.get(first, first))
    return part if part is not None and part.kind == "network" else None


def _lines(desired: HostPlan) -> Iterator[str]:
    for plan in desired.namespaces.values():
        if plan.dnsmasq is not None:
            yield from plan.dnsmasq.left_out


def _left_out(desired: HostPlan) -> Iterator[_Found]:
    for plan in desired.namespaces.values():
        if plan.dnsmasq is None:
            continue
        part = parts.network(plan.dnsmasq.network_id)
        for line in plan.dnsmasq.left_out:
            match = _PORT_SUBJECT.match(line)
            kind, id = (PORT, match[1]) if match else (NETWORK, part.id)
            yield part, kind, id, f"left out of DHCP: {line}"


def _shown(reason: str) -> str:
    """One printable line of at most REASON_MAX characters."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(reason.split()))
    return text if len(text) <= REASON_MAX else f"{text[: REASON_MAX - 3]}..."
