"""The rate limit of a guest's requests: by guest, on by default, as the options say."""

from dataclasses import replace

import pytest

from a9fe.http.report import Report
from a9fe.http.server.rate_gate import RateGate, rate_limited, windows_of
from a9fe.metadata_proxy.hop import build_hop
from a9fe.runtime.config import load
from a9fe.wire.message import Answer, Request
from a9fe.wire.rate_limit import RateLimiter, Window
from a9fe.wire.refusals import Refusal
from tests.kit.http_world import NETWORK, Tally, run

BOOT = 100  # requests of a whole boot of cloud-init, at most
REQUEST = Request(
    method=b"GET",
    target=b"/",
    headers=(),
    client_address="10.0.0.5",
    client_mac="fa:16:3e:00:00:05",
    listener=NETWORK,
)


def ok(_: Request) -> Answer:
    return Answer(status=200)


def test_the_rate_is_limited_by_guest():
    tally = Tally()
    limiter = RateLimiter((Window(limit=2, duration=1000),))
    gate = RateGate(ok, limiter, Report("metadata-proxy", tally))
    also_its = replace(REQUEST, client_address="10.0.0.55")
    assert [gate(r).status for r in (REQUEST, also_its, also_its)] == [200, 200, 429]
    denied = gate(REQUEST)
    assert 0 < int(dict(denied.headers)[b"retry-after"]) <= 500
    assert gate(replace(REQUEST, client_mac="fa:16:3e:00:00:06")).status == 200
    assert tally.refusals == [Refusal.RATE_LIMITED] * 2


def test_by_default_a_boot_passes_at_once_and_a_flood_does_not():
    limiter = RateLimiter(windows_of(load()))
    client = ("listener", "fa:16:3e:00:00:05")
    assert [limiter.wait(client, 0.0) for _ in range(BOOT * 20)] == [0] * BOOT * 20
    assert limiter.wait(client, 0.0) == 1
    assert [limiter.wait(client, 1.0) for _ in range(BOOT)] == [0] * BOOT
    assert limiter.wait(client, 1.0) == 1


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({}, [2000]),
        ({"guest_request_rate": "0"}, []),
        ({"guest_request_burst": "60", "guest_request_rate": "20"}, [60]),
        ({"rate_limit_enabled": "true"}, [2000, 10, 10]),
        ({"rate_limit_enabled": "true", "guest_request_rate": "0"}, [10, 10]),
    ],
)
def test_the_options_say_which_windows_there_are(options, limits):
    config = load(options)
    assert [window.limit for window in windows_of(config)] == limits
    assert (rate_limited(ok, config, Report("metadata-proxy", Tally())) is ok) == (not limits)


def test_hop_1_limits_the_rate():
    async def main():
        config = load({"guest_request_burst": "3", "guest_request_rate": "1"})
        hop = build_hop(config, Report("metadata-proxy", Tally()), upstream=ok)
        statuses = [hop.handler(REQUEST).status for _ in range(4)]
        await hop.close()
        return statuses

    assert run(main) == [200, 200, 200, 429]
