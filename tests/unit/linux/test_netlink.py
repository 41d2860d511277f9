"""The form of netlink messages, and the text of a refusal."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.linux.kernel import netlink

VALUES = st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=9)), max_size=6)


@given(VALUES)
def test_attributes_are_read_as_written(values):
    data = b"".join(netlink.attribute(kind, raw) for kind, raw in values)
    assert len(data) % 4 == 0
    assert list(netlink.attribute_list(data)) == values


@given(st.lists(st.tuples(st.integers(16, 100), st.integers(0, 0xFFFF), st.binary(max_size=9))))
def test_messages_are_read_as_written(wanted):
    data = b"".join(netlink.message(kind, flags, body) for kind, flags, body in wanted)
    assert list(netlink.messages(data)) == wanted


def test_a_damaged_attribute_ends_the_list():
    assert len(list(netlink.attribute_list(struct.pack("=HHHH", 0, 1, 0, 2)))) == 2


SAID = netlink.attribute(netlink.NLMSGERR_ATTR_MSG, "Device is not up")
ECHO = netlink.message(16, 0, b"abcde")


@pytest.mark.parametrize(
    ("flags", "rest", "reason"),
    [
        (0, ECHO, "Network is down"),
        (netlink.NLM_F_CAPPED, ECHO[:16], "Network is down"),
        (netlink.NLM_F_ACK_TLVS, ECHO + SAID, "Network is down (Device is not up)"),
        (
            netlink.NLM_F_ACK_TLVS | netlink.NLM_F_CAPPED,
            ECHO[:16] + SAID,
            "Network is down (Device is not up)",
        ),
    ],
)
def test_a_refusal_has_the_kernels_own_reason(flags, rest, reason):
    body = struct.pack("=i", -errno.ENETDOWN) + rest
    with pytest.raises(netlink.Refused) as caught:
        netlink.raise_if_refused(flags, body)
    assert (caught.value.errno, caught.value.strerror) == (errno.ENETDOWN, reason)


def test_an_acknowledgement_is_no_refusal():
    netlink.raise_if_refused(0, struct.pack("=i", 0) + ECHO)
