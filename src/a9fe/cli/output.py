"""Tables and JSON on stdout, in the form of Neutron's client."""

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

TIMED_OUT = 124  # exit status, as of timeout(1)
UNLIMITED = 10_000  # columns when stdout is not a terminal, so that lines are not folded


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, default=list))


def print_fields(document: Mapping[str, Any]) -> None:
    """Print one resource as a table of fields and values."""
    print_table(("Field", "Value"), [(name, document[name]) for name in sorted(document)])


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table, at most as wide as the terminal."""
    table = Table(*headers, box=ASCII2, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell(value), overflow="fold") for value in row))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED
    Console(file=sys.stdout, width=width, highlight=False).print(table, crop=False)


def cell(value: object) -> str:
    """Return a value as text, with control characters escaped."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, (list, tuple)):
        return "\n".join(cell(item) for item in value)
    text = str(value)
    return text if text.isprintable() else json.dumps(text)[1:-1]
