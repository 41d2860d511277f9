"""When a miss in a replica is certain."""

import pytest

from a9fe.wire.freshness import Freshness, uncertainty
from a9fe.wire.refusals import Refusal

LOST_AFTER = 60
INFINITE = float("inf")
TABLE = {
    "complete": (True, True, 0.0, None),
    "complete, but without contact": (True, True, LOST_AFTER + 1, Refusal.SOURCE_LOST),
    "never complete": (False, False, INFINITE, Refusal.NOT_SYNCED),
    "never complete, and yet followed": (False, True, 0.0, Refusal.NOT_SYNCED),
    "lost just now": (True, False, 0.0, Refusal.NOT_SYNCED),
    "lost, at the limit": (True, False, LOST_AFTER, Refusal.NOT_SYNCED),
    "lost, past the limit": (True, False, LOST_AFTER + 0.1, Refusal.SOURCE_LOST),
}


@pytest.mark.parametrize(("ever", "now", "lost_for", "expected"), TABLE.values(), ids=TABLE.keys())
def test_uncertainty(ever, now, lost_for, expected):
    freshness = Freshness(ever_synced=ever, synced_now=now, lost_for=lost_for)
    assert uncertainty(freshness, LOST_AFTER) is expected
