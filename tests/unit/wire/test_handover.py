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
    Refused,
    decode_reply,
    decode_request,
    encode,
)
from a9fe.wire.message import Listener

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
WIRE = {
    "hello": (Hello(owner="l3_agent"), {"op": "hello", "owner": "l3_agent"}),
    "give": (Give(listener=LISTENER), {"op": "give", "listener": DOCUMENT}),
    "drop": (Drop(key="k"), {"op": "drop", "key": "k"}),
    "clear": (Clear(), {"op": "clear"}),
    "held": (
        Held(listeners=(LISTENER,), last=True),
        {"op": "held", "listeners": [DOCUMENT], "last": True},
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
REQUESTS = st.one_of(
    st.builds(Hello, owner=TEXT),
    st.builds(Give, listener=LISTENERS),
    st.builds(Drop, key=TEXT),
    st.just(Clear()),
)
REPLIES = st.one_of(
    st.builds(Held, listeners=st.lists(LISTENERS, max_size=3).map(tuple), last=st.booleans()),
    st.just(Done()),
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
    "a request": ({"op": "hello", "owner": "a"}, "op: 'hello', expected held, ok or error"),
    "no op": ({}, "op: None"),
    "an op of another type": ({"op": []}, r"op: \[\]"),
    "no listeners": ({"op": "held", "last": True}, "held: expected listeners"),
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
