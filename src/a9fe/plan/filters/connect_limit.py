"""The rate at which a VM may connect to the metadata addresses, as rules of nftables.

The proxy must accept a connection to find its client, and connections queue behind each
other. So the bridge drops a VM's SYNs above the rate; its kernel sends them again later.
"""

from typing import NamedTuple


class ConnectLimit(NamedTuple):
    """So many at once, then `rate` a second. What is not surely a packet of a TCP connection
    counts, fragments too.
    """

    rate: int
    burst: int

    @property
    def rule(self) -> str:
        """The rule for `nft`. The kernel adds elements to the set, and removes unused ones."""
        limit = f"limit rate over {self.rate}/second burst {self.burst} packets"
        return f"update @connecting {{ iifname {limit} }} counter name refused_rate drop"
