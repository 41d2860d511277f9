"""The codec: every kind survives encoding and decoding."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.model.codec import CodecError, decode, decode_kind, encode
from a9fe.model.resources import KIND_OF, KINDS, Agent, Instance, Port, Resource

resources = st.one_of(*(st.builds(cls) for cls in KINDS.values()))


@given(resources)
def test_every_resource_survives_the_round_trip(resource: Resource):
    document = json.loads(json.dumps(encode(resource)))
    assert decode_kind(KIND_OF[type(resource)], document) == resource


@given(st.builds(Instance, user_data=st.binary()))
def test_user_data_is_any_bytes(instance: Instance):
    assert decode(Instance, encode(instance)).user_data == instance.user_data


def test_the_strategies_cover_every_kind():
    assert set(KIND_OF.values()) == set(KINDS)


def test_what_a_newer_server_adds_is_ignored():
    agent = Agent(id="a", agent_type="t", binary="b", host="h")
    assert decode(Agent, {**encode(agent), "tomorrow": {"x": 1}}) == agent


PORT = {"id": "p", "network_id": "n", "mac_address": "m"}


@pytest.mark.parametrize(
    ("kind", "document", "names"),
    [
        ("tap", {}, "tap"),
        ("port", [], "object"),
        ("port", {"id": "p"}, "network_id"),
        ("port", {**PORT, "admin_state_up": "yes"}, "admin_state_up"),
        ("port", {**PORT, "fixed_ips": {"ip": 1}}, "fixed_ips"),
        ("port", {**PORT, "fixed_ips": ["10.0.0.1"]}, "FixedIp"),
        ("instance", {"id": "i", "name": "n", "user_data": "text"}, "user_data"),
        ("instance", {"id": "i", "name": "n", "user_data": {"base64": "*"}}, "user_data"),
        ("instance", {"id": "i", "name": "n", "metadata": []}, "metadata"),
    ],
)
def test_a_malformed_document_is_refused_with_the_field_name(
    kind: str, document: object, names: str
):
    with pytest.raises(CodecError, match=names):
        decode_kind(kind, document)


def test_defaults_fill_what_is_absent():
    assert decode(Port, PORT) == Port(id="p", network_id="n", mac_address="m")
