"""Add an address that only one device of a network may have (plan.ipv6): fe80::a9fe:a9fe.

The kernel looks for a duplicate for 1 to 2 s (RFC 4862 section 5.4), in which an agent must not
wait. So an operation adds the address, fails while it is not usable, and is repeated. If the
kernel has found a duplicate, a repetition removes the address and adds it again.

The device also gets the way to guests with translated addresses (kernel.way_back), without which
the address is not usable either.
"""

from a9fe.linux.kernel import links, rtnetlink, way_back
from a9fe.linux.kernel.links import LinkError
from a9fe.plan.host import Address


class SharedAddresses:
    """Adds shared addresses, and remembers which ones another device had."""

    def __init__(self) -> None:
        """No address is known to be taken."""
        self._taken: set[tuple[str, Address]] = set()

    def add(self, space: str, address: Address) -> None:
        """Add the address; does nothing if it is usable. Raises LinkError if it is not usable yet.

        No error after the first call: the kernel has just begun to look.
        """
        with links.about(address.cidr, space):
            link = links.existing(address.device)
            way_back.add(link)
            found = _found(link.index, address.cidr)
        if found is not None and found.usable:
            self._taken.discard((space, address))
            return
        if found is not None and found.duplicate:
            self._taken.add((space, address))
            links.delete_address(space, address)
        if found is None or found.duplicate:
            links.add_address(space, address)
        if (space, address) in self._taken:
            raise LinkError(
                f"{address.cidr} on {address.device}: not used, another device on the network has"
                " it (a router or DHCP port of another agent?); VMs reach metadata there"
            )
        if found is not None:
            raise LinkError(f"{address.cidr} on {address.device}: looking for duplicates")


def _found(index: int, cidr: str) -> rtnetlink.DeviceAddress | None:
    return next((a for a in rtnetlink.addresses() if (a.index, a.cidr) == (index, cidr)), None)
