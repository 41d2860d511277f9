"""The types of option values. Pure.

Each reads a string (of a variable or a flag) or a TOML value.
"""

import importlib
import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from a9fe.runtime.hosts import parse_hosts

Value = str | int | bool | tuple[str, ...]

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?")
HTTP_URL = re.compile(r"https?://[^\s/]+(/\S*)?")


@dataclass(frozen=True, slots=True)
class ValueType:
    """`read` returns the value or raises ValueError; `expected` is the end of "expected ..."."""

    read: Callable[[object], Value]
    expected: str


def _text(raw: object) -> str:
    if not isinstance(raw, str) or not raw.isprintable():
        raise ValueError
    return raw


def _integer(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, (int, str)):
        raise ValueError  # noqa: TRY004 - readers raise one kind of error
    return int(raw)


def _boolean(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = _text(raw).lower()
    if word not in TRUE | FALSE:
        raise ValueError
    return word in TRUE


def _addresses(raw: object) -> tuple[str, ...]:
    items = raw if isinstance(raw, list) else [s.strip() for s in _text(raw).split(",")]
    return tuple(str(ipaddress.ip_address(_text(item))) for item in items if item != "")


def _address(raw: object) -> str:
    return str(ipaddress.ip_address(_text(raw)))


def _path(raw: object) -> str:
    path = _text(raw)
    return os.path.abspath(os.path.expanduser(path)) if path else ""


def _mark(raw: object) -> str:
    mark = raw if isinstance(raw, int) else int(_text(raw), 0)
    if not 0 < mark <= 0xFFFFFFFF:
        raise ValueError
    return hex(mark)


def matching(pattern: re.Pattern[str], expected: str, *, optional: bool = False) -> ValueType:
    """Text that `pattern` matches in full, or "" with `optional`."""

    def read(raw: object) -> str:
        text = _text(raw)
        if not (pattern.fullmatch(text) or (optional and text == "")):
            raise ValueError
        return text

    return ValueType(read, expected)


def whole(low: int, high: int, unit: str = "") -> ValueType:
    """An integer from `low` to `high`, inclusive."""

    def read(raw: object) -> int:
        number = _integer(raw)
        if not low <= number <= high:
            raise ValueError
        return number

    return ValueType(read, f"a whole number{unit and ' of ' + unit} from {low} to {high}")


def one_of(*words: str) -> ValueType:
    """One of these words."""

    def read(raw: object) -> str:
        if raw not in words:
            raise ValueError
        return _text(raw)

    return ValueType(read, " or ".join(repr(word) for word in words))


def one_of_or_derived(*words: str) -> ValueType:
    """One of these words; "" if the value is derived from other options."""
    named = one_of(*words)
    return ValueType(lambda raw: "" if raw == "" else named.read(raw), named.expected)


def _urls(raw: object) -> str:
    urls = [part.strip() for part in _text(raw).split(",") if part.strip()]
    if not all(HTTP_URL.fullmatch(url) for url in urls):
        raise ValueError
    return ",".join(urls)


def _hosts(raw: object) -> str:
    text = _text(raw)
    parse_hosts(text, 1)
    return text


def _words(raw: object) -> tuple[str, ...]:
    items = raw if isinstance(raw, list) else _text(raw).split(",")
    return tuple(word for item in items if (word := _text(item).strip()))


def some_of(*words: str) -> ValueType:
    """A list of any of these words, in any order."""

    def read(raw: object) -> tuple[str, ...]:
        found = _words(raw)
        if not set(found) <= set(words):
            raise ValueError
        return found

    return ValueType(read, "any of " + ", ".join(words))


# Every command reads the options, few hosts set these two: their parsers are imported for a value.


def _targets(raw: object) -> tuple[str, ...]:
    found = _words(raw)
    importlib.import_module("a9fe.metadata.openstack.vendordata").parse_targets(found)
    return found


def _mappings(raw: object) -> tuple[str, ...]:
    found = _words(raw)
    importlib.import_module("a9fe.plan.uplinks").mappings(found)
    return found


TEXT = ValueType(_text, "text without control characters")
BOOLEAN = ValueType(_boolean, "true or false")
ADDRESS = ValueType(_address, "an IP address such as 127.0.0.1")
ADDRESSES = ValueType(_addresses, "a list of IP addresses such as 192.0.2.53, 192.0.2.54")
TARGETS = ValueType(_targets, "a list of name@url such as site@http://127.0.0.1:9090/")
MAPPINGS = ValueType(
    _mappings,
    "physical networks, each with an interface or bridge of its own, such as"
    " physnet1:br-ex, physnet2:eth1",
)
PATH = ValueType(_path, "a path such as /var/lib/a9fe")
MARK = ValueType(_mark, "a packet mark from 0x1 to 0xffffffff")
PORT = whole(1, 65535)
USER_NAME = matching(USER, "a user name such as a9fe-proxy")
GROUP_NAME = matching(USER, "a group name such as a9fe-proxy, or nothing", optional=True)
MAC_ADDRESS = matching(MAC, "a MAC address such as fa:16:3e:00:00:00")
HOSTS = ValueType(
    _hosts,
    "host names or addresses such as 127.0.0.1, with ports if they differ, such as node1:8775,"
    " [fd00::1]:8775",
)
OWN_HOST = matching(HOST, "a host name such as node1, or nothing", optional=True)
URL = matching(HTTP_URL, "a URL such as http://127.0.0.1:9696, or nothing", optional=True)
URLS = ValueType(_urls, "URLs such as http://node1:9696, http://node2:9696, or nothing")
SECONDS = whole(1, 366 * 86400, "seconds")
COUNT = whole(0, 2**31 - 1)
AT_LEAST_ONE = whole(1, 2**31 - 1)
