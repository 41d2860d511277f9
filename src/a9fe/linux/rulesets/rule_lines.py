"""Lines of iptables-save and the expressions that iptables-nft makes of them, both ways.

The lines that plans use are supported, in the order in which iptables-save prints their parts:

    -A CHAIN [!] -s -d -i -o -p, -m tcp|udp [!] --sport --dport, -m icmp6 --icmpv6-type,
    -m mark [!] --mark, -m conntrack [!] --ctstate,
    -j ACCEPT|DROP|RETURN|a chain|MARK --set-xmark|REDIRECT --to-ports|SNAT --to-source|
       DNAT --to-destination|MASQUERADE

`encode(decode(expressions))` is `expressions` for each line that `decode` returns, so a rule is
never read as another rule. Source: iptables 1.8.9.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TypeVar

from a9fe.linux.rulesets import xtables
from a9fe.linux.rulesets.expressions import (
    ACCEPT,
    DROP,
    INPUT,
    JUMP,
    MARK,
    NETWORK,
    OUTPUT,
    PROTOCOL,
    RETURN,
    TRANSPORT,
    Bitwise,
    Compare,
    Counter,
    Expression,
    Match,
    Meta,
    Payload,
    Range,
    Target,
    Verdict,
)
from a9fe.model.errors import A9feError

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
VERDICTS = {"ACCEPT": ACCEPT, "DROP": DROP, "RETURN": RETURN}
VERDICT_NAMES = {code: name for name, code in VERDICTS.items()}
PLACES = {4: (12, 16), 6: (8, 24)}  # of source and destination in the IP header, by IP version
WIDTHS = {4: 4, 6: 16}
INTERFACE_LENGTH = 15
ALL = 0xFFFFFFFF

T = TypeVar("T")


class UnknownRule(A9feError):
    """A line that is not supported, or not as iptables-save prints it."""


@dataclass(frozen=True, slots=True)
class Test:
    """An option with its value, negated by "!"."""

    option: str
    value: str
    negated: bool = False

    def words(self) -> Iterator[str]:
        """As in a line."""
        if self.negated:
            yield "!"
        yield from (self.option, self.value)


@dataclass(frozen=True, slots=True)
class Rule:
    """A line in parts: tests of the packet, then of each module, then the target."""

    chain: str
    tests: tuple[Test, ...]
    modules: tuple[tuple[str, tuple[Test, ...]], ...]
    target: str
    argument: Test | None = None

    def line(self) -> str:
        """The line as iptables-save prints it."""
        words = ["-A", self.chain]
        for test in self.tests:
            words += test.words()
        for name, tests in self.modules:
            words += ["-m", name]
            for test in tests:
                words += test.words()
        words += ["-j", self.target]
        words += self.argument.words() if self.argument else ()
        return " ".join(words)

    def test(self, option: str) -> Test | None:
        """The packet's test with that option."""
        return next((test for test in self.tests if test.option == option), None)

    @property
    def protocol(self) -> int:
        """The number of the protocol; 0 for any."""
        test = self.test("-p")
        return PROTOCOLS[test.value] if test and not test.negated else 0


def encode(line: str, ip_version: int) -> tuple[Rule, tuple[Expression, ...]]:
    """The rule of a line, and its expressions. Raises UnknownRule."""
    try:
        rule = _parsed(line)
        expressions = tuple(_expressions(rule, ip_version))
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        raise UnknownRule(f"iptables rule {line!r}: not supported") from error
    if decode(rule.chain, expressions, ip_version) != line:
        raise UnknownRule(f"iptables rule {line!r}: not as iptables-save prints it")
    return rule, expressions


def decode(chain: str, expressions: Sequence[Expression | None], ip_version: int) -> str | None:
    """The line of a rule with these expressions; None if they are not understood."""
    try:
        rule = _Reader(expressions, ip_version).rule(chain)
        line = rule.line()
        same = tuple(_expressions(rule, ip_version)) == tuple(expressions)
        whole = line.isprintable() and _parsed(line) == rule  # names may have any bytes
    except (KeyError, ValueError, IndexError, OverflowError):
        return None
    return line if same and whole else None


def _parsed(line: str) -> Rule:
    words = line.split()
    end = words.index("-j")
    if words[0] != "-A" or len(words) not in (end + 2, end + 4):
        raise ValueError(line)
    tests: list[Test] = []
    modules: list[tuple[str, tuple[Test, ...]]] = []
    position = 2
    while position < end:
        negated = words[position] == "!"
        option, value = words[position + negated], words[position + negated + 1]
        position += 2 + negated
        if option == "-m":
            modules.append((value, ()))
        elif option.startswith("--"):
            name, found = modules[-1]
            modules[-1] = name, (*found, Test(option, value, negated))
        else:
            tests.append(Test(option, value, negated))
    argument = Test(words[end + 2], words[end + 3]) if len(words) == end + 4 else None
    return Rule(words[1], tuple(tests), tuple(modules), words[end + 1], argument)


def _expressions(rule: Rule, ip_version: int) -> Iterator[Expression]:
    """In iptables-nft's order."""
    for option, key in (("-i", INPUT), ("-o", OUTPUT)):
        if test := rule.test(option):
            yield from (Meta(key), Compare(_interface(test.value), test.negated))
    if test := rule.test("-p"):
        yield from (Meta(PROTOCOL), Compare(bytes([PROTOCOLS[test.value]]), test.negated))
    for option, place in zip(("-s", "-d"), PLACES[ip_version], strict=True):
        if test := rule.test(option):
            yield from _address(test, place, ip_version)
    for name, tests in rule.modules:
        yield from _MODULES[name](tests)
    yield Counter()
    yield _target(rule, ip_version)


def _interface(name: str) -> bytes:
    whole = name.encode()
    if len(whole) > INTERFACE_LENGTH or name == "+":
        raise ValueError(name)
    return whole[:-1] if name.endswith("+") else whole + b"\0"


def _address(test: Test, place: int, ip_version: int) -> Iterator[Expression]:
    """Whole bytes of a prefix are compared alone."""
    block = ip_network(test.value)
    if block.version != ip_version or not block.prefixlen:
        raise ValueError(test.value)
    whole, rest = divmod(block.prefixlen, 8)
    length = WIDTHS[ip_version] if rest else whole
    yield Payload(NETWORK, place, length)
    if rest:
        yield Bitwise(block.netmask.packed)
    yield Compare(block.network_address.packed[:length], test.negated)


def _ports(tests: Sequence[Test]) -> Iterator[Expression]:
    """Two single ports are compared at once."""
    options = [test.option for test in tests]
    if options not in (["--sport"], ["--dport"], ["--sport", "--dport"]):
        raise ValueError(options)
    ranges = [_range(test.value) for test in tests]
    if len(tests) == 2 and all(
        low == high and not test.negated for test, (low, high) in zip(tests, ranges, strict=True)
    ):
        yield Payload(TRANSPORT, 0, 4)
        yield Compare(ranges[0][0] + ranges[1][0])
        return
    for test, (low, high) in zip(tests, ranges, strict=True):
        yield Payload(TRANSPORT, 0 if test.option == "--sport" else 2, 2)
        same = low == high
        yield Compare(low, test.negated) if same else Range(low, high, test.negated)


def _range(value: str) -> tuple[bytes, bytes]:
    low, _, high = value.partition(":")
    return xtables.port(low), xtables.port(high or low)


def _mark(tests: Sequence[Test]) -> Iterator[Expression]:
    (test,) = tests
    if test.option != "--mark":
        raise ValueError(test.option)
    value, mask = xtables.mark(test.value)
    yield Meta(MARK)
    if mask != ALL:
        yield Bitwise(xtables.NUMBER.pack(mask))
    yield Compare(xtables.NUMBER.pack(value), test.negated)


def _conntrack(tests: Sequence[Test]) -> Iterator[Expression]:
    (test,) = tests
    if test.option != "--ctstate":
        raise ValueError(test.option)
    yield Match("conntrack", 3, xtables.states(test.value, negated=test.negated))


def _icmp6(tests: Sequence[Test]) -> Iterator[Expression]:
    (test,) = tests
    if test.option != "--icmpv6-type":
        raise ValueError(test.option)
    yield Match("icmp6", 0, xtables.icmp6(test.value, negated=test.negated))


_MODULES = {"tcp": _ports, "udp": _ports, "mark": _mark, "conntrack": _conntrack, "icmp6": _icmp6}


def _target(rule: Rule, ip_version: int) -> Expression:
    found = xtables.TARGETS.get(rule.target)
    if found is None:
        if rule.argument is not None:
            raise ValueError(rule.target)
        if rule.target in VERDICTS:
            return Verdict(VERDICTS[rule.target])
        return Verdict(JUMP, rule.target)
    option, value = (rule.argument.option, rule.argument.value) if rule.argument else ("", "")
    if option != found.option:
        raise ValueError(option)
    return Target(rule.target, found.revisions[ip_version], found.write(value, ip_version))


class _Reader:
    """Reads a rule from expressions in order. Raises KeyError, ValueError or IndexError."""

    def __init__(self, expressions: Sequence[Expression | None], ip_version: int) -> None:
        self._rest = list(expressions)
        self._version = ip_version

    def rule(self, chain: str) -> Rule:
        """The whole rule."""
        tests = {test.option: test for test in self._packet()}
        ordered = tuple(tests[o] for o in ("-s", "-d", "-i", "-o", "-p") if o in tests)
        modules = tuple(self._modules(tests.get("-p")))
        self._take(Counter)
        target, argument = self._target()
        if self._rest:
            raise ValueError(self._rest)
        return Rule(chain, ordered, modules, target, argument)

    def _packet(self) -> Iterator[Test]:
        for key, option in ((INPUT, "-i"), (OUTPUT, "-o")):
            if self._next(Meta(key)):
                found = self._take(Compare)
                raw = found.data
                name = raw[:-1].decode() if raw.endswith(b"\0") else f"{raw.decode()}+"
                yield Test(option, name, found.negated)
        if self._next(Meta(PROTOCOL)):
            found = self._take(Compare)
            yield Test("-p", PROTOCOL_NAMES[found.data[0]], found.negated)
        for option, place in zip(("-s", "-d"), PLACES[self._version], strict=True):
            load = self._rest[0]
            if isinstance(load, Payload) and (load.base, load.offset) == (NETWORK, place):
                yield self._address(option)

    def _address(self, option: str) -> Test:
        length = self._take(Payload).length
        bits = 8 * length
        if isinstance(self._rest[0], Bitwise):
            bits = int.from_bytes(self._take(Bitwise).mask, "big").bit_count()
        found = self._take(Compare)
        width = WIDTHS[self._version]
        raw = found.data.ljust(width, b"\0")
        return Test(option, f"{xtables.address(raw)}/{bits}", found.negated)

    def _modules(self, protocol: Test | None) -> Iterator[tuple[str, tuple[Test, ...]]]:
        while not isinstance(self._rest[0], Counter):
            first = self._rest.pop(0)
            match first:
                case Payload(base=base) if base == TRANSPORT and protocol is not None:
                    yield protocol.value, tuple(self._ports(first))
                case Meta(key=key) if key == MARK:
                    yield "mark", (self._mark(),)
                case Match(name="conntrack", info=info):
                    value, negated = xtables.read_states(info)
                    yield "conntrack", (Test("--ctstate", value, negated),)
                case Match(name="icmp6", info=info):
                    value, negated = xtables.read_icmp6(info)
                    yield "icmp6", (Test("--icmpv6-type", value, negated),)
                case _:
                    raise ValueError(first)

    def _ports(self, load: Payload) -> Iterator[Test]:
        if load.length == 4:
            both = self._take(Compare).data
            yield Test("--sport", xtables.read_port(both[:2]))
            yield Test("--dport", xtables.read_port(both[2:]))
            return
        yield self._port(load)
        second = self._rest[0]
        if load.offset == 0 and isinstance(second, Payload) and second.base == TRANSPORT:
            yield self._port(self._take(Payload))

    def _port(self, load: Payload) -> Test:
        found: Compare | Range
        if isinstance(self._rest[0], Range):
            found = self._take(Range)
            value = f"{xtables.read_port(found.low)}:{xtables.read_port(found.high)}"
        else:
            found = self._take(Compare)
            value = xtables.read_port(found.data)
        return Test("--sport" if load.offset == 0 else "--dport", value, found.negated)

    def _mark(self) -> Test:
        mask = ALL
        if isinstance(self._rest[0], Bitwise):
            (mask,) = xtables.NUMBER.unpack(self._take(Bitwise).mask)
        found = self._take(Compare)
        (value,) = xtables.NUMBER.unpack(found.data)
        shown = f"{value:#x}" if mask == ALL else f"{value:#x}/{mask:#x}"
        return Test("--mark", shown, found.negated)

    def _target(self) -> tuple[str, Test | None]:
        found = self._rest.pop(0)
        match found:
            case Verdict(code=code, chain=chain):
                return (chain if code == JUMP else VERDICT_NAMES[code]), None
            case Target(name=name, info=info):
                known = xtables.TARGETS[name]
                value = known.read(info, self._version)
                return name, Test(known.option, value) if known.option else None
            case _:
                raise ValueError(found)

    def _next(self, wanted: Expression) -> bool:
        if self._rest[0] != wanted:
            return False
        self._rest.pop(0)
        return True

    def _take(self, kind: type[T]) -> T:
        found = self._rest.pop(0)
        if not isinstance(found, kind):
            raise ValueError(found)  # noqa: TRY004 - an order that is not understood
        return found
