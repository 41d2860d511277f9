"""Lines of iptables-save that plans may have: a strategy for them, by IP version."""

import socket
from ipaddress import ip_network

from hypothesis import strategies as st

CHAINS = {
    "mangle": ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING", "a9fe-own"],
    "nat": ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING", "a9fe-own"],
    "filter": ["INPUT", "FORWARD", "OUTPUT", "a9fe-own"],
}
NAT_TARGETS = {
    "DNAT": ["PREROUTING", "OUTPUT"],
    "REDIRECT": ["PREROUTING", "OUTPUT"],
    "SNAT": ["POSTROUTING", "INPUT"],
    "MASQUERADE": ["POSTROUTING"],
}
PORT = st.integers(1, 65535)
MARKS = st.integers(0, 0xFFFFFFFF)
STATES = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"]
BITS = {4: 32, 6: 128}


def blocks(ip_version: int):
    """CIDRs, but not the one of all addresses."""
    bits = BITS[ip_version]
    kind = st.tuples(st.integers(0, 2**bits - 1), st.integers(1, bits))

    def block(drawn):
        number, length = drawn
        raw = number.to_bytes(bits // 8, "big")
        found = ip_network((raw, length), strict=False)
        family = socket.AF_INET if ip_version == 4 else socket.AF_INET6
        return f"{socket.inet_ntop(family, found.network_address.packed)}/{length}"

    return kind.map(block)


def interfaces(*, inner: bool):
    """Names of devices, also as prefixes."""
    names = st.from_regex(r"[a-z][a-z0-9.-]{0,12}[a-z0-9]", fullmatch=True)
    return st.tuples(names, st.sampled_from(["", "+"])).map("".join)


def ports():
    """A port or a range."""
    pair = st.tuples(PORT, PORT).filter(lambda p: p[0] < p[1]).map(lambda p: f"{p[0]}:{p[1]}")
    return st.one_of(PORT.map(str), pair)


def negatable(option: str, values):
    """An option with a value, or with "!"."""
    return st.tuples(st.sampled_from(["", "! "]), values).map(lambda d: f"{d[0]}{option} {d[1]}")


def maybe(strategy):
    return st.one_of(st.just(""), strategy)


@st.composite
def packet_tests(draw, ip_version: int, chain: str):
    """The tests of the packet, with the protocol."""
    incoming = chain not in ("OUTPUT", "POSTROUTING")
    outgoing = chain not in ("PREROUTING", "INPUT")
    parts = [
        draw(maybe(negatable("-s", blocks(ip_version)))),
        draw(maybe(negatable("-d", blocks(ip_version)))),
        draw(maybe(negatable("-i", interfaces(inner=True)))) if incoming else "",
        draw(maybe(negatable("-o", interfaces(inner=False)))) if outgoing else "",
    ]
    icmp = "icmp" if ip_version == 4 else "ipv6-icmp"
    protocol = draw(st.sampled_from(["", "tcp", "udp", icmp]))
    return [*parts, f"-p {protocol}" if protocol else ""], protocol


@st.composite
def modules(draw, ip_version: int, protocol: str):
    """Matches, at most one of each module."""
    mark = st.tuples(MARKS, MARKS).map(
        lambda m: f"{m[0] & m[1]:#x}" + ("" if m[1] == 0xFFFFFFFF else f"/{m[1]:#x}")
    )
    chosen = st.sets(st.sampled_from(STATES), min_size=1).map(
        lambda found: ",".join(state for state in STATES if state in found)
    )
    parts = [
        draw(maybe(negatable("--mark", mark).map("-m mark ".__add__))),
        draw(maybe(negatable("--ctstate", chosen).map("-m conntrack ".__add__))),
    ]
    if protocol in ("tcp", "udp"):
        source = draw(maybe(negatable("--sport", ports())))
        destination = draw(maybe(negatable("--dport", ports())))
        if source.startswith("!") and destination.startswith("!"):
            source = ""  # iptables 1.8.9 makes another rule of two negated ports
        both = " ".join(part for part in (source, destination) if part)
        parts.append(f"-m {protocol} {both}" if both else "")
    if protocol == "ipv6-icmp":
        kind = st.tuples(st.integers(0, 255), maybe(st.integers(0, 254).map(lambda c: f"/{c}")))
        value = kind.map(lambda k: f"{k[0]}{k[1]}")
        parts.append(draw(maybe(negatable("--icmpv6-type", value).map("-m icmp6 ".__add__))))
    return parts


def nat_target(name: str, ip_version: int, *, has_ports: bool):
    """A target that changes addresses or ports."""
    port = (
        st.tuples(PORT, PORT)
        .map(sorted)
        .map(lambda p: str(p[0]) if p[0] == p[1] else f"{p[0]}-{p[1]}")
    )
    address = blocks(ip_version).map(lambda block: block.partition("/")[0])
    if name == "MASQUERADE" or (name == "REDIRECT" and not has_ports):
        return st.just("MASQUERADE" if name == "MASQUERADE" else "ACCEPT")
    if name == "REDIRECT":
        return port.map("REDIRECT --to-ports ".__add__)
    form = "{}:{}" if ip_version == 4 else "[{}]:{}"
    with_port = st.tuples(address, port).map(lambda d: form.format(*d))
    option = "--to-source" if name == "SNAT" else "--to-destination"
    shown = st.one_of(address, with_port) if has_ports else address
    return shown.map(f"{name} {option} ".__add__)


@st.composite
def targets(draw, ip_version: int, table: str, chain: str, protocol: str):
    """A target that the table and chain allow."""
    plain = ["ACCEPT", "DROP", "RETURN"] if table != "nat" else ["ACCEPT", "RETURN"]
    choices = [st.sampled_from(plain)]
    if chain != "a9fe-own":
        choices.append(st.just("a9fe-own"))
    if table == "mangle":
        choices.append(
            st.tuples(MARKS, MARKS).map(lambda m: f"MARK --set-xmark {m[0]:#x}/{m[1]:#x}")
        )
    if table == "nat":
        allowed = [name for name, chains in NAT_TARGETS.items() if chain in chains]
        has_ports = protocol in ("tcp", "udp")
        choices += [nat_target(name, ip_version, has_ports=has_ports) for name in allowed]
    return draw(st.one_of(choices))


@st.composite
def lines(draw, ip_version: int, table: str):
    """A line of a table."""
    chain = draw(st.sampled_from(CHAINS[table]))
    tests, protocol = draw(packet_tests(ip_version, chain))
    matches = draw(modules(ip_version, protocol))
    target = draw(targets(ip_version, table, chain, protocol))
    return " ".join(part for part in (f"-A {chain}", *tests, *matches, f"-j {target}") if part)
