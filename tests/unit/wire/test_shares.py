"""Shares of clients, and the client that must release some."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.wire.message import Listener
from a9fe.wire.shares import Bounds, Over, Shares, client_of

A1, A2, B1 = ("a", "1"), ("a", "2"), ("b", "1")
BOUNDS = Bounds(client=4, listener=6, total=8)


def held(**amounts: int) -> Shares:
    """Return shares; {"a1": 3}: client ("a", "1") holds 3."""
    shares = Shares(BOUNDS)
    for name, amount in amounts.items():
        shares.change((name[0], name[1:]), amount)
    return shares


@pytest.mark.parametrize(
    ("amounts", "over"),
    [
        ({"a1": 4}, None),
        ({"a1": 5}, Over.CLIENT),
        ({"a1": 3, "a2": 3}, None),
        ({"a1": 3, "a2": 4}, Over.LISTENER),
        ({"a1": 1, "b1": 4, "c1": 3}, None),
        ({"a1": 1, "b1": 4, "c1": 4}, Over.TOTAL),
        ({"a1": 5, "a2": 4}, Over.CLIENT),
    ],
)
def test_a_bound_is_inclusive(amounts, over):
    assert held(**amounts).over(A1) is over


@pytest.mark.parametrize(
    ("amounts", "over", "largest"),
    [
        ({"a1": 5, "b1": 9}, Over.CLIENT, A1),
        ({"a1": 1, "a2": 2, "b1": 9}, Over.LISTENER, A2),
        ({"a1": 1, "a2": 2, "b1": 2}, Over.TOTAL, A2),
        ({"a1": 1, "a2": 1, "b1": 4}, Over.TOTAL, B1),
    ],
)
def test_the_largest_client_of_the_largest_listener_must_release(amounts, over, largest):
    assert held(**amounts).largest(A1, over) == largest


def test_a_client_is_a_mac_on_a_listener():
    one, two = (
        Listener(
            kind="network", id=id, namespace=f"qdhcp-{id}", address="169.254.169.254", port=80
        )
        for id in "12"
    )
    assert client_of(one, "", "10.0.0.5") != client_of(two, "", "10.0.0.5")
    assert client_of(one, "fa:16:3e:00:00:01", "10.0.0.5") == client_of(
        one, "fa:16:3e:00:00:01", "10.0.0.6"
    )
    assert client_of(one, "fa:16:3e:00:00:01", "10.0.0.5") != client_of(one, "", "10.0.0.5")
    assert client_of(None, "", "") == ("", "")


CHANGES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("123"), st.integers(-5, 5)), max_size=60
)


@given(CHANGES)
def test_the_shares_equal_a_plain_sum(changes):
    shares = Shares(BOUNDS)
    plain = {(listener, guest): 0 for listener in "abc" for guest in "123"}
    for listener, guest, wanted in changes:
        amount = max(wanted, -plain[listener, guest])
        plain[listener, guest] += amount
        shares.change((listener, guest), amount)
        sums = {key: sum(n for (k, _), n in plain.items() if k == key) for key in "abc"}
        assert shares.total == sum(plain.values())
        assert {client: shares.of(client) for client in plain} == plain
        assert {key: shares.of_listener(key) for key in "abc"} == sums
        if shares.total:
            largest = shares.largest((listener, guest), Over.TOTAL)
            assert sums[largest[0]] == max(sums.values())
            assert plain[largest] == max(plain[largest[0], g] for g in "123")
    for client, amount in plain.items():
        shares.change(client, -amount)
    assert not shares._of
    assert not shares._of_listener
