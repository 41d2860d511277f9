"""The agent gets the guest's request with our trusted headers; the guest gets none of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.metadata_proxy.relay import answer_for_guest, request_for_agent
from a9fe.wire.message import Answer, Listener, Request
from a9fe.wire.trusted import (
    CLOSE,
    CONNECTED_AT,
    FORWARDED_FOR,
    GUEST_FORWARDED,
    GUEST_MAC,
    HOP_LIMIT,
    INTERFACE_PORT,
    LOCAL_ADDRESS,
    NETWORK_ID,
    OUR_HOP,
    OUR_PREFIX,
    OWNER,
    REQUEST_ID,
    ROUTER_ID,
    TRUSTED,
    WIRED_NETWORK,
)
from tests.kit.strategies import disguise, disguised

NETWORK = Listener(kind="network", id="n1", namespace="qdhcp-n1", address="1.2.3.4", port=80)
ROUTER = replace(NETWORK, kind="router", id="r1")


def sent_on(
    *headers: tuple[bytes, bytes], listener: Listener = NETWORK, guest_address: str = "10.0.0.5"
):
    request = Request(
        method=b"PUT",
        target=b"/a?b",
        headers=((b"host", b"169.254.169.254"), *headers),
        body=b"\0\xff",
        client_address=guest_address,
        listener=listener,
    )
    return request_for_agent(request, listener, b"id42")


def test_network():
    request = sent_on((b"accept", b"*/*"))
    assert request.headers == (
        (b"host", b"169.254.169.254"),
        (b"accept", b"*/*"),
        (FORWARDED_FOR, b"10.0.0.5"),
        (NETWORK_ID, b"n1"),
        (OUR_HOP, b"1"),
        (REQUEST_ID, b"id42"),
    )
    assert (request.method, request.target, request.body) == (b"PUT", b"/a?b", b"\0\xff")


WIRED = replace(ROUTER, device="qr-p1", port_id="p1", network_id="n1")
OF_THE_WIRE = (INTERFACE_PORT, WIRED_NETWORK, LOCAL_ADDRESS, GUEST_MAC, CONNECTED_AT)


@pytest.mark.parametrize(
    ("listener", "facts", "said"),
    [
        (ROUTER, {}, {}),
        (
            WIRED,
            {
                "local_address": "::ffff:10.0.0.1",
                "client_mac": "fa:16:3e:00:00:01",
                "connected_at": 12.3456,
            },
            {
                INTERFACE_PORT: b"p1",
                WIRED_NETWORK: b"n1",
                LOCAL_ADDRESS: b"10.0.0.1",
                GUEST_MAC: b"fa:16:3e:00:00:01",
                CONNECTED_AT: b"12345",
            },
        ),
        (
            NETWORK,
            {"local_address": "169.254.169.254", "connected_at": 1.0},
            {CONNECTED_AT: b"1000"},
        ),
    ],
)
def test_the_agent_gets_the_router_interface_of_a_request(listener, facts, said):
    evil = tuple((name, b"evil") for name in OF_THE_WIRE)
    request = Request(
        method=b"GET",
        target=b"/",
        headers=evil,
        client_address="10.0.0.5",
        listener=listener,
        **facts,
    )
    sent = request_for_agent(request, listener, b"id42").headers
    assert {name: value for name, value in sent if name in OF_THE_WIRE} == said


def test_router():
    request = sent_on(listener=ROUTER)
    assert request.values(ROUTER_ID) == [b"r1"]
    assert request.values(NETWORK_ID) == []


@pytest.mark.parametrize(
    ("guest_address", "said"),
    [("10.0.0.5", b"10.0.0.5"), ("::ffff:10.0.0.5", b"10.0.0.5"), ("fe80::1", b"fe80::1")],
)
def test_x_forwarded_for_is_the_address_that_the_kernel_reports(guest_address, said):
    assert sent_on(guest_address=guest_address).values(FORWARDED_FOR) == [said]


@pytest.mark.parametrize("name", [b"x-forwarded-for", b"x_forwarded_for", b"x-forwarded_for"])
def test_the_agent_is_told_that_the_guest_sent_x_forwarded_for(name):
    request = sent_on((name, b"10.9.9.9"))
    assert request.values(FORWARDED_FOR) == [b"10.0.0.5"]
    assert request.values(GUEST_FORWARDED) == [b"1"]


def test_a_guests_connection_header_cannot_remove_ours():
    listed = b"close, X-Forwarded-For, X-Neutron-Network-ID, X-Own, X-A9fe-Request-ID"
    request = sent_on((b"connection", listed), (b"x-own", b"1"), (b"te", b"trailers"))
    assert [name for name, _ in request.headers] == [
        b"host",
        FORWARDED_FOR,
        NETWORK_ID,
        OUR_HOP,
        REQUEST_ID,
    ]


NAMES = st.one_of(
    disguised().map(bytes.lower),
    st.text("abcx-_9", min_size=1, max_size=10).map(str.encode),
)


def ours_alone(name: bytes) -> bool:
    """Return whether a CGI-like upstream could take this name for a trusted one."""
    seen = name.decode().upper().replace("-", "_")
    return seen in {n.decode().upper().replace("-", "_") for n in TRUSTED} or seen[:7] == "X_A9FE_"


@given(st.lists(st.tuples(NAMES, st.sampled_from([b"evil", b"close, x-forwarded-for"]))))
def test_no_header_of_a_guest_is_taken_for_ours(headers):
    request = sent_on(*headers)
    trusted = [pair for pair in request.headers if ours_alone(pair[0])]
    assert b"evil" not in dict(trusted).values()
    ours = [FORWARDED_FOR, NETWORK_ID, OUR_HOP, REQUEST_ID]
    assert [name for name, _ in trusted if name != GUEST_FORWARDED] == ours
    others = [pair for pair in headers if not ours_alone(pair[0])]
    assert [pair for pair in request.headers[1:] if not ours_alone(pair[0])] == others


def test_the_table_of_trusted_headers_is_neutrons():
    assert {
        b"x-forwarded-for",
        b"x-neutron-router-id",
        b"x-neutron-network-id",
        b"x-ovn-network-id",
        b"x-instance-id",
        b"x-tenant-id",
        b"x-instance-id-signature",
        b"x-metadata-provider",
        b"x-metadata-provider-signature",
    } == TRUSTED
    assert OUR_PREFIX == b"x-a9fe-"


# -- The way back --------------------------------------------------------------------------


def home(*headers: tuple[bytes, bytes]) -> Answer:
    return answer_for_guest(Answer(status=200, headers=headers, body=b"token"))


def test_an_answer_without_hop_headers_passes_unchanged():
    answer = Answer(status=200, headers=((b"content-type", b"text/plain"), (REQUEST_ID, b"id42")))
    assert answer_for_guest(answer) is answer


@pytest.mark.parametrize(
    ("value", "hops"),
    [(b"1", 1), (b"2", 2), (b"64", 64), (b"0", 1), (b"", 1), (b"-1", 1), (b"x", 1), (b"640", 1)],
)
def test_the_hop_limit_header_becomes_the_answers_hop_limit(value: bytes, hops: int):
    answer = home((b"content-type", b"text/plain"), (HOP_LIMIT, value))
    assert answer.headers == ((b"content-type", b"text/plain"),)
    assert (answer.owner, answer.close) == (b"", False)
    assert (answer.hop_limit, answer.status, answer.body) == (hops, 200, b"token")


def test_the_owner_and_close_headers_become_fields_of_the_answer():
    answer = home((OWNER, b"port-1"), (CLOSE, b"1"))
    assert (answer.headers, answer.owner, answer.close) == ((), b"port-1", True)


@given(
    st.builds(
        disguise,
        st.sampled_from(["x-a9fe-internal", "x-a9fe-hop-limit", "x-a9fe-port-id"]),
        st.integers(0, 2**32 - 1),
    )
)
def test_headers_between_hops_do_not_reach_the_guest(name: bytes):
    assert home((name, b"1"), (REQUEST_ID, b"id42")).headers == ((REQUEST_ID, b"id42"),)
