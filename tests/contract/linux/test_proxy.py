"""Listeners at a proxy: what FakeProxy and the hand-over to the real proxy both do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from a9fe.linux.host import Proxy
from a9fe.linux.kernel import namespace
from a9fe.wire.message import Listener
from tests.kit.host_plans import QROUTER, ROUTER, FakeProxy
from tests.lab.command import inside_sandbox
from tests.lab.places import MARK
from tests.lab.proxy import proxy_link

LISTENER = Listener(kind="router", id=ROUTER, namespace=QROUTER, address="0.0.0.0", port=9697)


@pytest.fixture(params=["fake", "proxy"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Proxy]:
    assert inside_sandbox(), "contract tests run in the sandbox of `./run test contract`"
    namespace.create(QROUTER, MARK)
    if request.param == "fake":
        yield FakeProxy()
    else:
        with proxy_link(tmp_path) as link:
            yield link
    namespace.delete(QROUTER, MARK)


def observed(proxy: Proxy) -> frozenset[Listener]:
    return proxy.observed({QROUTER: namespace.cookie(QROUTER)}).get(QROUTER, frozenset())


def test_a_listener_is_observed_from_open_to_close(proxy: Proxy) -> None:
    assert observed(proxy) == frozenset()
    for _ in range(2):
        proxy.open(LISTENER)
        assert observed(proxy) == {LISTENER}
    for _ in range(2):
        proxy.close(LISTENER)
        assert observed(proxy) == frozenset()


def test_a_namespace_made_again_has_none(proxy: Proxy) -> None:
    proxy.open(LISTENER)
    namespace.delete(QROUTER, MARK)
    namespace.create(QROUTER, MARK)
    assert observed(proxy) == frozenset()
    proxy.open(LISTENER)
    assert observed(proxy) == {LISTENER}


def test_a_namespace_that_is_not_asked_for_is_left_out(proxy: Proxy) -> None:
    proxy.open(LISTENER)
    assert proxy.observed({}).get(QROUTER, frozenset()) == frozenset()
