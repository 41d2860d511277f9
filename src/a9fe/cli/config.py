"""`a9fe config`: every option with its value and source."""

import dataclasses

import click

from a9fe.cli.api.resource import json_flag
from a9fe.cli.flags import settings, settings_flags
from a9fe.cli.output import print_json, print_table
from a9fe.runtime.config import Config
from a9fe.runtime.option_types import Value
from a9fe.runtime.options import OPTIONS, Option
from a9fe.runtime.state import installation
from a9fe.runtime.state.shared_secret import path_of

MASK = "***"


@click.command()
@json_flag
@settings_flags
def config(*, as_json: bool) -> None:
    """Print every option with its value and its source.

    Sources, each overriding the ones before: default, /etc/a9fe/a9fe.toml, A9FE_* variables,
    flags. Secrets are masked.

    \b
    a9fe config
    A9FE_FORCE_METADATA=yes a9fe config --json
    """
    found = settings()
    rows = [(o, *_shown(o, found)) for o in OPTIONS]
    id = installation.read(found)
    made = str(installation.path_of(found)) if id else "created by the first `a9fe up`"
    if as_json:
        shown = {o.name: {"value": value, "source": source} for o, value, source in rows}
        print_json({**shown, "installation": {"value": id, "source": made}})
        return
    cells = [(o.section, o.name, _text(value), source, o.help) for o, value, source in rows]
    meaning = "id in the mark of this installation's kernel objects (not an option)"
    cells.insert(0, ("", "installation", id, made, meaning))
    print_table(("Section", "Option", "Value", "Source", "Meaning"), cells)


def _shown(option: Option, found: Config) -> tuple[Value, str]:
    value = dataclasses.asdict(found)[option.name]
    source = found.sources[option.name]
    if option.name == "metadata_proxy_shared_secret" and not value:
        return MASK, str(path_of(found))
    return (MASK if option.secret and source != "derived" else value), source


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else str(value)
