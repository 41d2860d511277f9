"""nfnetlink: nftables' requests and transactions. Source: linux/netfilter/nf_tables.h."""

import socket
import struct
from collections.abc import Sequence

from a9fe.linux.kernel import netlink

NETLINK_NETFILTER = 12
SUBSYSTEM = 10  # nftables
RULES_GROUP = 7  # NFNLGRP_NFTABLES: events about rules
BATCH_BEGIN = 16
BATCH_END = 17
NEW_GENERATION, GENERATION = 15, 16  # NFT_MSG_NEWGEN, NFT_MSG_GETGEN
BATCH_GENERATION = 1  # NFNL_BATCH_GENID
NFTA_GEN_ID = 1
# NFT_MSG_*
NEW_TABLE, GET_TABLE, DELETE_TABLE = 0, 1, 2
NEW_CHAIN, GET_CHAIN, DELETE_CHAIN = 3, 4, 5
NEW_RULE, GET_RULE = 6, 7
ANY_TABLE = 1  # NFTA_*_TABLE: the table's name, in messages about objects of every kind
# NFTA_TABLE_*, NFTA_CHAIN_*, NFTA_RULE_*
TABLE_NAME, TABLE_FLAGS, TABLE_USERDATA = 1, 2, 6
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_POLICY, CHAIN_TYPE = 1, 3, 4, 5, 7
RULE_TABLE, RULE_CHAIN, RULE_EXPRESSIONS, RULE_COMPAT, RULE_USERDATA = 1, 2, 4, 5, 7
BRIDGE = 7  # NFPROTO_BRIDGE
HEADER = struct.Struct("!BBH")  # family, version, resource

Request = tuple[int, int, bytes]  # kind (NFT_MSG_*), flags, attributes


def opened() -> socket.socket:
    """A socket to keep for `ruleset_generation` and `transaction`.

    To close a socket takes 10 ms after a transaction that deletes: the kernel finishes that first.
    """
    return netlink.opened(NETLINK_NETFILTER)


def ruleset_generation(kept: socket.socket | None = None) -> int:
    """The generation of this namespace's nftables rules: each change increments it."""
    request = HEADER.pack(0, 0, 0)
    body = netlink.get(NETLINK_NETFILTER, SUBSYSTEM << 8 | GENERATION, request, kept)
    return generation_of(netlink.attributes(body[HEADER.size :]))


def generation_of(has: netlink.Attributes) -> int:
    """The number in a message about a generation."""
    return int.from_bytes(has[NFTA_GEN_ID], "big")


def dump(family: int, kind: int, body: bytes = b"") -> list[netlink.Attributes]:
    """All objects of a kind (NFT_MSG_GET*) of an address family in this namespace."""
    request = HEADER.pack(family, 0, 0) + body
    found = netlink.dump(NETLINK_NETFILTER, SUBSYSTEM << 8 | kind, request)
    return [netlink.attributes(each[HEADER.size :]) for each in found]


def transaction(
    family: int,
    requests: Sequence[Request],
    generation: int | None = None,
    kept: socket.socket | None = None,
) -> None:
    """Apply all requests or none. Raises netlink.Refused.

    With `generation`: ERESTART if the rules have another one. Afterwards they have the next one.
    """
    if not requests:
        return
    last = len(requests)
    edge = HEADER.pack(socket.AF_UNSPEC, 0, SUBSYSTEM)
    request = netlink.NLM_F_REQUEST
    begin = edge
    if generation is not None:
        begin += netlink.attribute(BATCH_GENERATION, struct.pack(">I", generation))
    whole = [netlink.message(BATCH_BEGIN, request, begin, 0)]
    for number, (kind, flags, body) in enumerate(requests, 1):
        # The kernel answers each refused message, and the last one in any case.
        answered = netlink.NLM_F_ACK if number == last else 0
        whole_body = HEADER.pack(family, 0, 0) + body
        message = netlink.message(
            SUBSYSTEM << 8 | kind, flags | request | answered, whole_body, number
        )
        whole.append(message)
    whole.append(netlink.message(BATCH_END, request, edge, last + 1))
    netlink.batch(NETLINK_NETFILTER, whole, last, kept)
