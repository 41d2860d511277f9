"""The slow round over all parts of a host, for damage of which no event came. Pure.

Some parts at a time are observed again. A round takes RESYNC, and on a large host PART for each
part, so that an idle agent's cost does not grow with the host.
"""

from collections.abc import Iterator, Sequence

from a9fe.plan.parts import Part

RESYNC = 30.0  # s of the shortest round
PARTS = 50  # a round with more parts takes longer in proportion
AT_ONCE = 4  # parts


def rounds(parts: Sequence[Part], resync: float) -> Iterator[tuple[float, tuple[Part, ...]]]:
    """The steps of one round: the pause before each in s, and its parts."""
    length = resync * max(1.0, len(parts) / PARTS)
    if not parts:
        yield length, ()
    for first in range(0, len(parts), AT_ONCE):
        some = tuple(parts[first : first + AT_ONCE])
        yield length * len(some) / len(parts), some
