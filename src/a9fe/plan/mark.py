"""The mark of one installation of a9fe on the kernel objects that it makes.

Names on a host are Neutron's, so a name gives no right to change or remove an object. Only an
object with this installation's mark is ours:

| object            | where the mark is                                                       |
|-------------------|-------------------------------------------------------------------------|
| link              | device group, set by the message that makes the link; then its alias     |
| tap               | alias and group, set before the tap is made persistent                   |
| uplink            | device group; an interface of the host keeps its alias                   |
| namespace         | alias of its loopback, set before the namespace gets its name            |
| namespace's file  | its text, there before the namespace is mounted on it                    |
| nftables table    | its comment, in the transaction that makes it; the id is in its name too |
| dnsmasq           | its directory below our state_path, in its command line                  |

iptables rules, addresses and routes are in namespaces of ours.
"""

import re
from dataclasses import dataclass

ALIAS_PREFIX = "a9fe:"
ID = re.compile(r"[0-9a-f]{32}")
GROUP_BITS = 0x1FFFFFFF
GROUP_BASE = 0x40000000  # far from the small numbers that people give to groups of devices
VM_GROUP_BASE = 0x60000000
UPLINK_GROUP_BASE = 0x20000000
LEAVING_GROUP_BASE = 0x80000000


@dataclass(frozen=True, slots=True)
class Mark:
    """`installation` is the id of an installation: 32 lower-case hexadecimal digits."""

    installation: str

    @property
    def text(self) -> str:
        """The text of an alias, a table's comment or a namespace's file."""
        return f"{ALIAS_PREFIX}{self.installation}"

    @property
    def group(self) -> int:
        """The device group of our bridges and pairs, trusted by the filters: 29 bits of the id."""
        return GROUP_BASE | self._bits

    @property
    def vm_group(self) -> int:
        """The device group of VMs' devices that we make; filters know those by name."""
        return VM_GROUP_BASE | self._bits

    @property
    def uplink_group(self) -> int:
        """The device group of uplinks: the filters let them exchange frames with our devices.

        It gives no right to remove a device: an interface of the host has it while we use it.
        """
        return UPLINK_GROUP_BASE | self._bits

    @property
    def leaving_group(self) -> int:
        """The device group into which links of ours are put to be removed at once."""
        return LEAVING_GROUP_BASE | self._bits

    @property
    def _bits(self) -> int:
        return int(self.installation[:8], 16) & GROUP_BITS

    @property
    def table(self) -> str:
        """The name of our nftables table: another installation's has another name."""
        return f"a9fe_{self.installation[:8]}"

    def owns(self, alias: str, group: int = 0) -> bool:
        """Whether a link is ours.

        By alias, or by group: a process killed before it sets the alias leaves only the group,
        and an operator may have set another alias.
        """
        grouped = group in {self.group, self.vm_group, self.leaving_group}
        return alias == self.text or (grouped and not alias.startswith(ALIAS_PREFIX))

    def whole(self, alias: str, group: int) -> bool:
        """Whether a bridge or pair of ours has both parts of the mark."""
        return alias == self.text and group == self.group


def read(text: str) -> Mark | None:
    """The mark in an alias or a comment; None if there is none."""
    id = text.removeprefix(ALIAS_PREFIX)
    return Mark(id) if text.startswith(ALIAS_PREFIX) and ID.fullmatch(id) else None


def owner_of(text: str) -> str:
    """Return the owner of an object with this mark, to end a message "it is ..."."""
    if text.startswith(ALIAS_PREFIX):
        return f"marked by another a9fe installation, {text.removeprefix(ALIAS_PREFIX)}"
    return "not marked by a9fe: made by a Neutron agent, other software, or an older a9fe"
