"""The fingerprint of the taps' elements, which names an empty chain of the loaded table.

It is a sum of one number for each tap, so one tap's change costs that tap's elements, and the
order of changes does not matter. An agent without memory computes it from its model and compares.
"""

import hashlib
from collections.abc import Iterable, Mapping

from a9fe.plan.host import PortSecurity, TapElements

PREFIX = "plan-"
BITS = 256  # so long because sums of chosen numbers collide sooner than digests


def security(taps: Mapping[str, TapElements]) -> PortSecurity:
    """These taps with their marker. O(elements)."""
    return PortSecurity(marker=_marker(_sum(taps)), taps=taps)


def changed(marker: str, old: Mapping[str, TapElements], new: Mapping[str, TapElements]) -> str:
    """The marker after the taps `old` have become the taps `new`. O(their elements)."""
    return _marker(_number(marker) - _sum(old) + _sum(new))


def union(parts: Iterable[PortSecurity]) -> PortSecurity:
    """All taps of these parts. No tap may be in two of them. O(taps)."""
    taps: dict[str, TapElements] = {}
    total = 0
    for part in parts:
        taps |= part.taps
        total += _number(part.marker)
    return PortSecurity(marker=_marker(total), taps=taps)


def _sum(taps: Mapping[str, TapElements]) -> int:
    return sum(_of_tap(device, elements) for device, elements in taps.items())


def _of_tap(device: str, elements: TapElements) -> int:
    digest = hashlib.sha256(repr((device, sorted(elements))).encode()).digest()
    return int.from_bytes(digest, "big")


def _marker(total: int) -> str:
    return f"{PREFIX}{total % (1 << BITS):0{BITS // 4}x}"


def _number(marker: str) -> int:
    return int(marker.removeprefix(PREFIX), 16)


NOTHING = security({})  # tables without elements: no tap is known
