"""Tables and JSON on stdout, as Neutron's command prints them."""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich.box import ASCII2
from rich.console import Console
from rich.table import Table
from rich.text import Text

UNLIMITED = 10_000  # columns, where no terminal folds lines: what reads them wants whole ones


def print_json(value: object) -> None:
    """As indented JSON."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, default=list))


def print_fields(document: Mapping[str, Any]) -> None:
    """One resource: Field, Value."""
    print_table(("Field", "Value"), [(name, document[name]) for name in sorted(document)])


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table as wide as its content, or as the terminal."""
    table = Table(*headers, box=ASCII2, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell(value), overflow="fold") for value in row))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED
    Console(file=sys.stdout, width=width, highlight=False).print(table, crop=False)


def cell(value: object) -> str:
    """A value as text that no terminal takes for a command."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, (list, tuple)):
        return "\n".join(cell(item) for item in value)
    text = str(value)
    return text if text.isprintable() else json.dumps(text)[1:-1]
