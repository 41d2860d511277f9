"""Writes dnsmasq's files so that no value can become another field or line.

Lines are comma-separated fields; dnsmasq interprets quotes, backslashes and "#" (dnsmasq 2.90,
read_file). So every field has a checked alphabet without them, and other values raise UnsafeValue:
the API refuses them, and the plan leaves them out.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from a9fe.model.errors import A9feError

LINE_MAX = 1000  # characters; dnsmasq reads lines into a buffer of 1,025
_NAMES = """
    netmask=1 time-offset=2 router=3 dns-server=6 log-server=7 lpr-server=9
    boot-file-size=13 domain-name=15 swap-server=16 root-path=17 extension-path=18
    ip-forward-enable=19 non-local-source-routing=20 policy-filter=21
    max-datagram-reassembly=22 default-ttl=23 mtu=26 all-subnets-local=27
    router-discovery=31 router-solicitation=32 static-route=33 trailer-encapsulation=34
    arp-timeout=35 ethernet-encap=36 tcp-ttl=37 tcp-keepalive=38 nis-domain=40 nis-server=41
    ntp-server=42 netbios-ns=44 netbios-dd=45 netbios-nodetype=46 netbios-scope=47
    x-windows-fs=48 x-windows-dm=49 T1=58 T2=59 vendor-class=60 nis+-domain=64
    nis+-server=65 tftp-server=66 bootfile-name=67 mobile-ip-home=68 smtp-server=69
    pop3-server=70 nntp-server=71 irc-server=74 user-class=77 rapid-commit=80 client-arch=93
    client-interface-id=94 client-machine-id=97 posix-timezone=100 tzdb-timezone=101
    ipv6-only=108 domain-search=119 sip-server=120 classless-static-route=121
    vendor-id-encap=125 tftp-server-address=150 server-ip-address=255
"""
OPTION_NUMBERS = {  # of dnsmasq's names (`dnsmasq --help dhcp`)
    name: int(number) for name, number in (word.split("=") for word in _NAMES.split())
}
_OF_ADDRESSES = {  # options whose value is a list of IPv4 addresses
    *(1, 3, 6, 7, 9, 16, 21, 32, 33, 41, 42, 44, 45, 48, 49, 65, 68, 69, 70, 71, 74, 150, 255),
}

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+-]{0,63}")
NAME_EXPECTED = "letters, digits, '-' and '+', beginning with a letter or digit"
# May contain commas, for lists of addresses: the value is the last field of its line.
_PLAIN = r"[A-Za-z0-9!$%&'()*+,./:;<=>?@\[\]^_{|}~-]"
VALUE = re.compile(rf"({_PLAIN}(({_PLAIN}| ){{0,253}}{_PLAIN})?)?")
VALUE_EXPECTED = (
    "at most 255 printable ASCII characters without quotation marks, backslash, '#', backquote,"
    " leading or trailing space"
)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DOMAIN = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_-]{1,63})*")
_OPTIONS = range(1, 255)  # 0 is padding, 255 the end
_OPTIONS6 = range(1, 1 << 16)
OPTION6_NAMES = frozenset(  # of dnsmasq 2.90
    {
        *("sip-server-domain", "sip-server", "dns-server", "domain-search", "nis-server"),
        *("nis+-server", "nis-domain", "nis+-domain", "sntp-server", "ntp-server"),
        *("information-refresh-time", "posix-timezone", "tzdb-timezone"),
        *("bootfile-url", "bootfile-param"),
    }
)


Maker = Callable[[], str]
"""Makes a line, or raises UnsafeValue."""


class UnsafeValue(A9feError, ValueError):
    """A value that cannot be written into dnsmasq's files; the message names it."""


class Writer:
    """Collects the lines of a file, and the reason for each line left out."""

    def __init__(self) -> None:
        """Nothing is left out yet."""
        self.left_out: list[str] = []

    def text(self, lines: Iterable[tuple[str, Maker]]) -> str:
        """Return the file of (subject, function that makes the line) pairs."""
        return "".join(
            f"{found}\n" for subject, make in lines for found in self._try(subject, make)
        )

    def _try(self, subject: str, make: Callable[[], str]) -> Iterator[str]:
        try:
            yield make()
        except UnsafeValue as error:
            self.left_out.append(f"{subject}: {error}")


def line(*fields: str) -> str:
    """A line of fields made by the functions below, without the newline."""
    text = ",".join(fields)
    if len(text) > LINE_MAX:
        raise UnsafeValue(f"a line of {len(text)} characters, expected at most {LINE_MAX}")
    return text


def mac(text: str) -> str:
    """A MAC address."""
    return _matching(_MAC, text, "a MAC address in lower case")


@lru_cache(maxsize=16_384)  # parsing takes 10 us, and each plan of a network has all its ports
def address(text: str) -> str:
    """An IPv4 address in canonical form."""
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise UnsafeValue(f"{text!r}, expected an IPv4 address") from None


def address6(text: str) -> str:
    """An IPv6 address in canonical form."""
    try:
        return str(IPv6Address(text.partition("%")[0]))
    except ValueError:
        raise UnsafeValue(f"{text!r}, expected an IPv6 address") from None


def prefix(text: str) -> str:
    """An IPv4 prefix in canonical form."""
    try:
        return str(IPv4Network(text, strict=False))
    except ValueError:
        raise UnsafeValue(f"{text!r}, expected an IPv4 prefix") from None


def tag(kind: str, id: str) -> str:
    """The tag of a subnet or port."""
    return f"{kind}-{_matching(_ID, id, 'a UUID')}"


def domain(text: str) -> str:
    """A domain name."""
    return _matching(_DOMAIN, text, "a domain name")


def option(name: str, text: str) -> tuple[str, str]:
    """The last two fields of an option's line: its number or dnsmasq's name, and its value.

    dnsmasq ignores lines with other names, and lists of addresses with anything else.
    """
    _matching(NAME, name, NAME_EXPECTED)
    number = int(name) if name.isdecimal() else OPTION_NUMBERS.get(name)
    if number is None:
        raise UnsafeValue(f"{name!r}, expected a number or one of `dnsmasq --help dhcp`")
    if name.isdecimal() and number not in _OPTIONS:
        raise UnsafeValue(f"{name!r}, expected a number of an option, 1 to 254")
    _matching(VALUE, text, VALUE_EXPECTED)
    if number in _OF_ADDRESSES and text:
        text = ",".join(address(part) for part in text.split(","))
    return (str(number) if name.isdecimal() else f"option:{name}"), text


def option6(name: str, text: str) -> tuple[str, str]:
    """The same for DHCPv6. Addresses in the value are in brackets."""
    _matching(NAME, name, NAME_EXPECTED)
    if name.isdecimal() and int(name) not in _OPTIONS6:
        raise UnsafeValue(f"{name!r}, expected a number of an option, 1 to 65535")
    if not name.isdecimal() and name not in OPTION6_NAMES:
        raise UnsafeValue(f"{name!r}, expected a number or one of `dnsmasq --help dhcp6`")
    shown = int(name) if name.isdecimal() else name
    return f"option6:{shown}", _matching(VALUE, text, VALUE_EXPECTED)


def _matching(form: re.Pattern[str], text: str, expected: str) -> str:
    if form.fullmatch(text) is None:
        raise UnsafeValue(f"{text[:80]!r}, expected {expected}")
    return text
