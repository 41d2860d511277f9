"""The slow round over all parts."""

import pytest

from a9fe.host_agent.scrub import PARTS, RESYNC, rounds
from a9fe.plan.parts import network


@pytest.mark.parametrize(
    ("count", "length"), [(0, RESYNC), (1, RESYNC), (PARTS, RESYNC), (20 * PARTS, 20 * RESYNC)]
)
def test_a_round_has_each_part_once_and_its_rate_is_bounded(count: int, length: float):
    parts = [network(str(number)) for number in range(count)]
    steps = list(rounds(parts, RESYNC))
    assert [part for _, some in steps for part in some] == parts
    assert sum(pause for pause, _ in steps) == pytest.approx(length)
