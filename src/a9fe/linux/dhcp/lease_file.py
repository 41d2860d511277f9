"""What dnsmasq's files of hosts and of leases say about leases."""

from collections.abc import Iterator
from pathlib import Path

from a9fe.plan.dhcp.dnsmasq import LEASES_FILE


def moved(before: str, after: str) -> dict[str, str]:
    """The addresses that have another MAC, or none, in the second of two hosts files: to that MAC,
    "" for none.
    """
    old, new = _macs(before), _macs(after)
    return {address: new.get(address, "") for address in old if new.get(address) != old[address]}


def _macs(hosts: str) -> dict[str, str]:
    """The MAC of each address; one of IPv6 is in brackets in the file."""
    fields = (line.split(",") for line in hosts.splitlines())
    return {words[2].strip("[]"): words[0] for words in fields if len(words) > 2}


def rows(directory: str) -> Iterator[list[str]]:
    """The words of each line of the file of leases; none if it cannot be read."""
    try:
        text = Path(directory, LEASES_FILE).read_text(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        yield line.split()
