"""Lines of iptables-save become iptables-nft's expressions, and are read back."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a9fe.linux.kernel.netlink import attribute_list, nested
from a9fe.linux.rulesets import expressions, rule_lines
from a9fe.linux.rulesets.expressions import (
    Bitwise,
    Compare,
    Counter,
    Meta,
    Payload,
    Target,
    Verdict,
)
from a9fe.linux.rulesets.rule_lines import UnknownRule, decode, encode
from tests.kit import iptables_lines

ROOT = Path(__file__).parents[3]

WAYS = [(ip, table) for ip in (4, 6) for table in iptables_lines.CHAINS]


@settings(max_examples=50)
@given(st.sampled_from(WAYS).flatmap(lambda w: st.tuples(st.just(w[0]), iptables_lines.lines(*w))))
def test_a_line_is_read_as_written(drawn):
    ip_version, line = drawn
    rule, found = encode(line, ip_version)
    assert decode(rule.chain, found, ip_version) == line
    body = b"".join(nested(1, expressions.write(each)) for each in found)
    assert tuple(expressions.read(raw) for _, raw in attribute_list(body)) == found


def test_a_router_s_redirect_is_what_iptables_sends():
    line = (
        "-A PREROUTING -d 169.254.169.254/32 -i qr-+ -p tcp -m tcp --dport 80"
        " -j REDIRECT --to-ports 9697"
    )
    assert encode(line, 4)[1] == (
        Meta(6),
        Compare(b"qr-"),
        Meta(16),
        Compare(b"\x06"),
        Payload(1, 16, 4),
        Compare(bytes([169, 254, 169, 254])),
        Payload(2, 2, 2),
        Compare(b"\x00\x50"),
        Counter(),
        Target("REDIRECT", 0, bytes.fromhex("0100000002000000000000000000000025e125e100000000")),
    )


ACCEPT = (Counter(), Verdict(1))


@pytest.mark.parametrize(
    "found",
    [
        (),
        (Verdict(1),),  # without a counter
        (*ACCEPT, Verdict(1)),
        (None, *ACCEPT),  # an expression that is not iptables'
        (Meta(6), Compare(b"qr-\x00\x00"), *ACCEPT),
        (Meta(6), Compare(b"a -j DROP"), *ACCEPT),
        (Counter(), Verdict(-3, "own\n-A INPUT")),
        (Meta(6), Bitwise(b"\x01"), *ACCEPT),
        (Payload(1, 16, 3), Compare(b"\x0a\x00"), *ACCEPT),
        (Payload(1, 16, 4), Bitwise(b"\xff\x00\xff\x00"), Compare(bytes(4)), *ACCEPT),
        (Payload(2, 2, 2), Compare(b"\x00\x50"), *ACCEPT),  # of no protocol
        (Counter(), Target("MARK", 1, bytes(8))),
        (Counter(), Target("SNAT", 0, bytes(8))),
        (Counter(), Target("TTL", 0, bytes(8))),
        (Counter(), Verdict(3)),
    ],
)
def test_what_is_not_understood_is_no_line(found):
    assert decode("INPUT", found, 4) is None


@pytest.mark.parametrize(
    "line",
    [
        "-A INPUT",
        "-A INPUT -j ACCEPT -m mark --mark 0x1",
        "-A INPUT -s 10.0.0.1 -j ACCEPT",  # iptables-save prints 10.0.0.1/32
        "-A INPUT -s 10.0.0.1/24 -j ACCEPT",
        "-A INPUT -s 0.0.0.0/0 -j ACCEPT",
        "-A INPUT -s fd00::/64 -j ACCEPT",
        "-A INPUT -p TCP -j ACCEPT",
        "-A INPUT -i eth0 -s 10.0.0.0/8 -j ACCEPT",  # not in its order
        "-A INPUT -i abcdefghijklmnopq -j ACCEPT",
        "-A INPUT -p tcp --dport 80 -j ACCEPT",
        "-A INPUT -p tcp -m tcp --dport 65536 -j ACCEPT",
        "-A INPUT -p tcp -m tcp --dport 080 -j ACCEPT",
        "-A INPUT -p tcp -m udp --dport 80 -j ACCEPT",
        "-A INPUT -m mark --mark 1 -j ACCEPT",
        "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        "-A INPUT -m comment --comment x -j ACCEPT",
        "-A INPUT -j REDIRECT",
        "-A INPUT -j ACCEPT --to-ports 80",
        "-A INPUT -j SNAT --to-source 10.0.0.1:",
        "-I INPUT -j ACCEPT",
    ],
)
def test_other_lines_are_refused(line):
    with pytest.raises(UnknownRule, match="iptables rule"):
        rule_lines.encode(line, 4)


def test_a_register_or_operation_of_another_program_is_not_understood():
    for changed in (
        expressions.write(Meta(3)).replace(
            b"\x08\x00\x01\x00\x00\x00\x00\x01", b"\x08\x00\x01\x00\x00\x00\x00\x02"
        ),
        expressions.write(Compare(b"ab")).replace(
            b"\x08\x00\x02\x00\x00\x00\x00\x00", b"\x08\x00\x02\x00\x00\x00\x00\x02"
        ),
    ):
        assert expressions.read(changed) is None


PLANNED = sorted(
    {
        (4 if kind == "iptables" else 6, line)
        for path in (ROOT / "tests/golden/plan").glob("*-l3.txt")
        for kind, bar, line in (
            raw.strip().partition(" | ") for raw in path.read_text().splitlines()
        )
        if kind in ("iptables", "ip6tables") and line.startswith("-A ")
    }
)


def test_every_planned_rule_is_supported():
    assert len(PLANNED) > 4
    for ip_version, line in PLANNED:
        encode(line, ip_version)
