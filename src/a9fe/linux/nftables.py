"""Port security's table in the host's own namespace, by `nft`; read again only when it changed."""

from a9fe.linux import netlink, programs
from a9fe.plan.host import PortSecurity
from a9fe.plan.port_security import TABLE, marker

FAMILY = "bridge"


class Nftables:
    """Reads and sets the table; remembers what it read."""

    def __init__(self) -> None:
        """Nothing is remembered yet."""
        self._generation: int | None = None
        self._known: PortSecurity | None = None

    def observe(self) -> PortSecurity | None:
        """What is loaded, known by its marker; None for no table."""
        generation = netlink.ruleset_generation()
        if generation != self._generation:
            self._known = _read()
            self._generation = generation
        return self._known

    def apply(self, wanted: PortSecurity | None) -> None:
        """Replace the table in one transaction; None removes it."""
        removal = f"add table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n"
        programs.run(("nft", "-f", "-"), removal + (wanted.ruleset if wanted else ""))


def _read() -> PortSecurity | None:
    try:
        tables = programs.run(("nft", "list", "tables", FAMILY))
    except programs.MissingProgram:
        return None  # setting it will say so
    if f"table {FAMILY} {TABLE}" not in tables.splitlines():
        return None
    return PortSecurity(marker=marker(programs.run(("nft", "list", "table", FAMILY, TABLE))))
