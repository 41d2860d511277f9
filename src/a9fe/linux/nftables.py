"""Port security's table in the host's own namespace, by `nft`; read again only when it changed."""

import re

from a9fe.linux import netlink, programs
from a9fe.linux.namespace import NotOurs
from a9fe.plan.host import PortSecurity
from a9fe.plan.mark import Mark
from a9fe.plan.port_security import TABLE, marker

FAMILY = "bridge"


class Nftables:
    """Reads and sets the table; remembers what it read."""

    def __init__(self, mark: Mark) -> None:
        """Nothing is remembered yet. The table's name and comment are those of the mark."""
        self._mark = mark
        self._generation: int | None = None
        self._known: PortSecurity | None = None

    def observe(self) -> PortSecurity | None:
        """What is loaded, known by its marker; None for no table of ours."""
        generation = netlink.ruleset_generation()
        if generation != self._generation:
            self._known = self._read()
            self._generation = generation
        return self._known

    def apply(self, wanted: PortSecurity | None) -> None:
        """Replace the table in one transaction; None removes it. Raises NotOurs.

        The plan's ruleset has a table called TABLE: here it has the mark's name and comment.
        """
        table = f"{FAMILY} {self._mark.table}"
        if self._known is None and (shown := self._shown()) and not self._owns(shown):
            raise NotOurs(f"nftables table {table}", comment(shown))
        removal = f"add table {table}\ndelete table {table}\n"
        programs.run(("nft", "-f", "-"), removal + (self._marked(wanted) if wanted else ""))

    def _marked(self, wanted: PortSecurity) -> str:
        head = f'table {FAMILY} {self._mark.table} {{\n  comment "{self._mark.text}"'
        return wanted.ruleset.replace(f"table {FAMILY} {TABLE} {{", head)

    def _owns(self, shown: str) -> bool:
        return comment(shown) == self._mark.text

    def _read(self) -> PortSecurity | None:
        try:
            shown = self._shown()
        except programs.MissingProgram:
            return None  # setting it will say so
        if not self._owns(shown):
            return None
        return PortSecurity(marker=marker(shown))

    def _shown(self) -> str:
        return _shown(self._mark.table)


def tables() -> list[str]:
    """The names of all tables of the bridge family here, whoever made them."""
    shown = programs.run(("nft", "list", "tables", FAMILY))
    return [line.removeprefix(f"table {FAMILY} ") for line in shown.splitlines()]


def remove(table: str) -> None:
    """Remove a table of the bridge family."""
    programs.run(("nft", "delete", "table", FAMILY, table))


def comment_of(table: str) -> str:
    """The comment of a table; "" for none, or no such table."""
    return comment(_shown(table))


def _shown(table: str) -> str:
    """The table as `nft` prints it; "" if there is none of its name."""
    if table not in tables():
        return ""
    return programs.run(("nft", "list", "table", FAMILY, table))


def comment(shown: str) -> str:
    """The comment of a table as `nft` printed it; "" for none."""
    found = re.search(r'\A\s*table [^{]*\{\s*comment "([^"]*)"', shown)
    return found.group(1) if found else ""
