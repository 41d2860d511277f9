"""The packets of the hand-over: their JSON is the contract's, and nothing else is understood."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.wire.handover import (
    OPS,
    BadPacket,
    Clear,
    Done,
    Drop,
    Give,
    Held,
    Hello,
    Keep,
    Kept,
    Refused,
    Take,
    decode_reply,
    decode_request,
    encode,
)
from a9fe.wire.message import IdleConnection, Listener

LISTENER = Listener(kind="network", id="n1", namespace="qdhcp-n1", address="::", port=80)
DOCUMENT = {
    "kind": "network",
    "id": "n1",
    "namespace": "qdhcp-n1",
    "address": "::",
    "port": 80,
    "device": "",
    "port_id": "",
    "network_id": "",
}
IDLE = IdleConnection(
    listener=LISTENER, client_mac="m", connected_at=1.5, owner="p/i", hop_limit=1
)
IDLE_DOCUMENT = {
    "listener": DOCUMENT,
    "client_mac": "m",
    "connected_at": 1.5,
    "owner": "p/i",
    "hop_limit": 1,
}
WIRE = {
    "hello": (Hello(owner="l3_agent"), {"op": "hello", "owner": "l3_agent"}),
    "give": (Give(listener=LISTENER), {"op": "give", "listener": DOCUMENT}),
    "drop": (Drop(key="k"), {"op": "drop", "key": "k"}),
    "clear": (Clear(), {"op": "clear"}),
    "held": (
        Held(listeners=(LISTENER,), last=True),
        {"op": "held", "listeners": [DOCUMENT], "last": True},
    ),
    "keep": (Keep(connections=(IDLE,)), {"op": "keep", "connections": [IDLE_DOCUMENT]}),
    "take": (Take(), {"op": "take"}),
    "kept": (
        Kept(connections=(IDLE,), last=False),
        {"op": "kept", "connections": [IDLE_DOCUMENT], "last": False},
    ),
    "ok": (Done(), {"op": "ok"}),
    "error": (Refused(message="no"), {"op": "error", "message": "no"}),
}
TEXT = st.text(min_size=1, max_size=8)
LISTENERS = st.builds(
    Listener,
    **dict.fromkeys(("kind", "id", "namespace", "address", "device", "port_id"), TEXT),
    port=st.integers(1, 65535),
)
CONNECTIONS = st.builds(
    IdleConnection,
    listener=LISTENERS,
    client_mac=TEXT,
    connected_at=st.floats(0, 1e6),
    owner=TEXT,
    hop_limit=st.integers(0, 255),
)
REQUESTS = st.one_of(
    st.builds(Hello, owner=TEXT),
    st.builds(Give, listener=LISTENERS),
    st.builds(Drop, key=TEXT),
    st.just(Clear()),
    st.builds(Keep, connections=st.lists(CONNECTIONS, max_size=3).map(tuple)),
    st.just(Take()),
)
REPLIES = st.one_of(
    st.builds(Held, listeners=st.lists(LISTENERS, max_size=3).map(tuple), last=st.booleans()),
    st.just(Done()),
    st.builds(Kept, connections=st.lists(CONNECTIONS, max_size=3).map(tuple), last=st.booleans()),
    st.builds(Refused, message=TEXT),
)


@pytest.mark.parametrize(("packet", "document"), WIRE.values(), ids=WIRE)
def test_the_json_of_each_packet(packet, document):
    assert json.loads(encode(packet)) == document


def test_every_packet_has_its_json_here():
    assert set(WIRE) == set(OPS.values())


@given(REQUESTS)
def test_what_an_agent_encodes_is_decoded(request_):
    assert decode_request(encode(request_)) == request_


@given(REPLIES)
def test_what_a_receiver_encodes_is_decoded(reply):
    assert decode_reply(encode(reply)) == reply


@pytest.mark.parametrize("data", [b"", b"no json", b"[]", b"\xff", b"1"])
def test_what_is_no_json_object_is_a_value_error(data):
    for decode in (decode_request, decode_reply):
        with pytest.raises(ValueError, match=r"."):
            decode(data)


BAD_REPLIES = {
    "a request": ({"op": "hello", "owner": "a"}, "op: 'hello', expected held, kept, ok or error"),
    "no op": ({}, "op: None"),
    "an op of another type": ({"op": []}, r"op: \[\]"),
    "no listeners": ({"op": "held", "last": True}, "held: expected listeners"),
    "no connections": ({"op": "kept", "last": True}, "expected a list of connections"),
    "a connection without a field": (
        {"op": "kept", "connections": [{"listener": DOCUMENT}], "last": True},
        "connection: expected an object with listener",
    ),
    "a connection with another type": (
        {"op": "kept", "connections": [IDLE_DOCUMENT | {"hop_limit": "1"}], "last": True},
        "connection.hop_limit: '1' is not valid",
    ),
    "an unknown field": (
        {"op": "held", "listeners": [DOCUMENT | {"x": 1}], "last": True},
        "listener: expected an object with kind",
    ),
}


@pytest.mark.parametrize(("document", "why"), BAD_REPLIES.values(), ids=BAD_REPLIES)
def test_replies_that_are_not_understood(document, why):
    with pytest.raises(BadPacket, match=why):
        decode_reply(json.dumps(document).encode())


def test_a_drop_without_a_key_is_not_understood():
    with pytest.raises(BadPacket, match="expected the listener's key"):
        decode_request(b'{"op": "drop"}')
