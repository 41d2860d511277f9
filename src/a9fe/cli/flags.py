"""Command line flags of the options in `runtime.options`, and the resulting configuration.

A flag may stand before or after the command's name. Secrets have no flag: `ps` would show them.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from a9fe.runtime import option_types
from a9fe.runtime.config import Config, load
from a9fe.runtime.options import BY_NAME, OPTIONS, Option

F = TypeVar("F", bound=Callable[..., Any])

GIVEN = "a9fe.flags"  # key in the root context's meta: given flags by option name
FILE = "config_file"


def settings(context: click.Context | None = None) -> Config:
    """Load the configuration, with the given flags. Raises ConfigError."""
    return settings_of(given_flags(context or click.get_current_context()))


def settings_of(given: Mapping[str, str]) -> Config:
    """Load the configuration, with flags as of `given_flags`. Raises ConfigError."""
    flags = dict(given)
    path = flags.pop(FILE, None)
    return load(flags, os.environ, path)


def given_flags(context: click.Context) -> dict[str, str]:
    """Return the given flags by option, to start a process with the same configuration."""
    given = dict(context.find_root().meta.get(GIVEN, {}))
    if FILE in given:
        given[FILE] = os.path.abspath(given[FILE])
    return given


def as_arguments(given: Mapping[str, str]) -> list[str]:
    """Return flags as arguments of a command."""
    arguments: list[str] = []
    for name, value in given.items():
        if name == FILE:
            arguments += ["--config-file", value]
        elif _is_switch(BY_NAME[name]):
            arguments.append(_switch(BY_NAME[name], on=value == "true"))
        else:
            arguments += [BY_NAME[name].flag, value]
    return arguments


def settings_flags(function: F) -> F:
    """Add --config-file and a flag for every option (decorator); --help shows the main ones."""
    for option in reversed(OPTIONS):
        if not option.secret:
            function = _flag(option)(function)
    return _file_flag(function)


def client_flags(function: F) -> F:
    """Add the flags that a client of the API needs (decorator)."""
    for name in ("debug", "server_url"):
        function = _flag(BY_NAME[name], shown=name == "server_url")(function)
    return _file_flag(function, hidden=True)


def _file_flag(function: F, *, hidden: bool = False) -> F:
    return click.option(
        "--config-file",
        metavar="FILE",
        expose_value=False,
        callback=_record,
        hidden=hidden,
        help="Configuration file in TOML.  [/etc/a9fe/a9fe.toml]",
    )(function)


def _is_switch(option: Option) -> bool:
    return option.type is option_types.BOOLEAN


def _switch(option: Option, *, on: bool) -> str:
    return option.flag if on else "--no-" + option.flag.removeprefix("--")


def _flag(option: Option, *, shown: bool | None = None) -> Callable[[F], F]:
    switch = _is_switch(option)
    names = f"{_switch(option, on=True)}/{_switch(option, on=False)}" if switch else option.flag
    default = f"  [{option.default}]" if option.default not in ("", True, False, ()) else ""
    return click.option(
        names,
        option.name,
        default=None,
        expose_value=False,
        callback=_record,
        hidden=not (option.main if shown is None else shown),
        metavar=None if switch else option.name.rpartition("_")[2].upper(),
        help=option.help[0].upper() + option.help[1:] + "." + default,
    )


def _record(context: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401 - text, or a switch's bool
    if value is None or parameter.name is None:
        return
    text = str(value).lower() if isinstance(value, bool) else value
    context.find_root().meta.setdefault(GIVEN, {})[parameter.name] = text
