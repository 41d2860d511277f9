"""The pure decisions of the change feed: who is sent a change, and with which revision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.model.resources import KINDS, Port
from a9fe.server.feed.deliveries import Deliveries, Former, former
from a9fe.server.feed.roles import ROLES, Follower, PortRelation
from a9fe.store import Change
from a9fe.store.change_log import Before

FOLLOWERS = [Follower(host, agent) for host in ("h1", "h2") for agent in ROLES]
PORT = Port(id="p", network_id="n", mac_address="m")


def test_each_role_is_sent_only_its_kinds():
    out = Deliveries(FOLLOWERS)
    for kind in KINDS:
        out.send(FOLLOWERS, 1, kind, "id")
    sent = {follower: {c.kind for c in changes} for follower, changes in out.sorted().items()}
    assert sent == {follower: set(ROLES[follower.agent].kinds) for follower in FOLLOWERS}


def test_only_followers_of_the_batch_are_sent_anything():
    out = Deliveries([Follower("h1", "dhcp")])
    out.send(FOLLOWERS, 1, "port", PORT)
    assert list(out.sorted()) == [Follower("h1", "dhcp")]
    assert out.on(["h1", "h2"]) == [Follower("h1", "dhcp")]


@pytest.mark.parametrize(
    ("relation", "agents"),
    [
        (None, set(ROLES)),
        (PortRelation.SERVED, set(ROLES)),
        (PortRelation.UNBOUND, {"dhcp"}),
        (PortRelation.INSTANCE_SERVED, {"service"}),
    ],
)
def test_followers_on_a_host_by_relation(relation: PortRelation | None, agents: set[str]):
    found = Deliveries(FOLLOWERS).on(["h1"], relation)
    assert set(found) == {Follower("h1", agent) for agent in agents}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(FOLLOWERS),
            st.integers(1, 9),
            st.sampled_from(["network", "port"]),
            st.sampled_from(["a", "b"]),
            st.booleans(),
        )
    )
)
def test_the_last_content_is_sent_with_the_highest_revision(sent):
    out, expected = Deliveries(FOLLOWERS), {}
    for follower, revision, kind, id, is_deleted in sent:
        resource = None if is_deleted else KINDS[kind](**{**_FIELDS[kind], "id": id})
        out.send([follower], revision, kind, resource or id)
        before = expected.get((follower, kind, id), (0, None))
        expected[follower, kind, id] = (max(before[0], revision), resource)
    found = out.sorted()
    assert {
        (follower, c.kind, c.id): (c.revision, c.resource)
        for follower, changes in found.items()
        for c in changes
    } == expected
    for changes in found.values():
        assert [c.revision for c in changes] == sorted(c.revision for c in changes)


_FIELDS = {"network": {}, "port": {"network_id": "n", "mac_address": "m"}}


def change(kind: str, *before: Before) -> Change:
    return Change(revision=1, kind=kind, id="x", resource=None, before=before)


FORMER = {
    "a port": (
        change("port", Before(network_id="n", host="h1", device_id="i", device_owner="compute:")),
        Former(serving={}, with_port={"n": frozenset({"h1"})}, networks={"i": frozenset({"n"})}),
    ),
    "a router interface": (
        change("port", Before(network_id="n", host="h1", device_owner="network:router_interface")),
        Former(serving={"n": frozenset({"h1"})}, with_port={"n": frozenset({"h1"})}, networks={}),
    ),
    "a binding": (
        change("binding", Before(network_id="n", host="h1", device_owner="dhcp")),
        Former(serving={"n": frozenset({"h1"})}, with_port={"n": frozenset({"h1"})}, networks={}),
    ),
    "a port that moved twice": (
        change("port", Before(network_id="n", host="h1"), Before(network_id="n", host="h2")),
        Former(serving={}, with_port={"n": frozenset({"h1", "h2"})}, networks={}),
    ),
    "nothing that moved": (
        change("port"),
        Former(serving={}, with_port={}, networks={}),
    ),
}


@pytest.mark.parametrize(("moved", "expected"), FORMER.values(), ids=FORMER.keys())
def test_where_things_were_before(moved: Change, expected: Former):
    assert former([moved]) == expected
