"""Lists of hosts, as an option gives them. Pure."""

import ipaddress
import re

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?")
_WITH_PORT = re.compile(r"(?P<host>\[[^\]]+\]|[^:\[\]]+)(:(?P<port>[0-9]{1,5}))?")
MAX_PORT = 65535


def parse_hosts(text: str, port: int) -> list[tuple[str, int]]:
    """Return the hosts of a comma-separated list, each with its port or `port`.

    A host is a name, an IPv4 address, or an IPv6 address; before its port the latter is in
    brackets, which are removed. Each is returned once. Raises ValueError.
    """
    return list(dict.fromkeys(_parse(one.strip(), port) for one in text.split(",")))


def _parse(text: str, port: int) -> tuple[str, int]:
    if _is_ipv6(text):
        return text, port
    found = _WITH_PORT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    host = found["host"].strip("[]")
    if not (_is_ipv6(host) if text.startswith("[") else _NAME.fullmatch(host)):
        raise ValueError(text)
    stated = port if found["port"] is None else int(found["port"])
    if not 0 < stated <= MAX_PORT:
        raise ValueError(text)
    return host, stated


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
