"""Reading the configuration: defaults, then the file, then A9FE_* variables, then flags.

An unknown key or a wrong value is refused with its source. The options are in runtime.options.
"""

import difflib
import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from a9fe.runtime.errors import InvalidOption, UnknownOption
from a9fe.runtime.option_types import Value
from a9fe.runtime.options import BY_NAME, HOST, OPTIONS, SPLIT, Config, Option

__all__ = ["Config", "load"]

DEFAULT_FILE = "/etc/a9fe/a9fe.toml"
VARIABLE_PREFIX = "A9FE_"
# A9FE_* variables that are no options: the file's path, and two that `a9fe up` sets for children.
OTHER_VARIABLES = frozenset(
    {"A9FE_CONFIG_FILE", "A9FE_FAILPOINT", "A9FE_PARENT_DEATH", "A9FE_PARENT_PID"}
)
# A Unix socket's path has at most 107 bytes (sun_path); this is our longest name below run_path.
RUN_PATH_MAX = 107 - len("/metadata-service.metrics.sock")


def load(
    flags: Mapping[str, str | None] | None = None,
    environ: Mapping[str, str] | None = None,
    path: str | None = None,
) -> Config:
    """Return the configuration of a process. Raises ConfigError.

    `flags` maps option names to values, None if not given. Without `environ` no variable is read,
    so that tests do not depend on their environment. The file is `path`, or A9FE_CONFIG_FILE,
    which must exist, or the default file, which may be missing.
    """
    environ = environ or {}
    values: dict[str, Any] = {option.name: option.default for option in OPTIONS}
    sources = {option.name: "default" for option in OPTIONS}
    given = [
        *_from_file(path or environ.get("A9FE_CONFIG_FILE")),
        *_from_environ(environ),
        *_from_flags(flags or {}),
    ]
    for option, raw, source in given:
        values[option.name] = _read(option, raw, source)
        sources[option.name] = source
    _check(values, sources)
    _derive(values, sources)
    return Config(**values, sources=sources)


Given = tuple[Option, object, str]


def _read(option: Option, raw: object, source: str) -> Value:
    try:
        return option.type.read(raw)
    except ValueError:
        shown = "***" if option.secret else raw
        raise InvalidOption(option.name, shown, option.type.expected, source) from None


def _from_file(path: str | None) -> list[Given]:
    name = path or DEFAULT_FILE
    try:
        document = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if path is None:
            return []
        raise InvalidOption("config_file", name, "a file that exists", "--config-file") from None
    except OSError as error:
        raise InvalidOption(
            "config_file", name, f"a readable file ({error.strerror})", "--config-file"
        ) from error
    except ValueError as error:  # not UTF-8 or not TOML; the text has line and column
        raise InvalidOption("config_file", name, f"a TOML file ({error})", name) from error
    return [(_known(key, key, raw, name), raw, name) for key, raw in document.items()]


def _from_environ(environ: Mapping[str, str]) -> list[Given]:
    return [
        (_known(name.removeprefix(VARIABLE_PREFIX).lower(), name, raw, "environment"), raw, name)
        for name, raw in sorted(environ.items())
        if name.startswith(VARIABLE_PREFIX) and name not in OTHER_VARIABLES
    ]


def _from_flags(flags: Mapping[str, str | None]) -> list[Given]:
    return [
        (option := _known(name, name, raw, "flags"), raw, option.flag)
        for name, raw in flags.items()
        if raw is not None
    ]


def _known(name: str, written: str, raw: object, source: str) -> Option:
    if name in BY_NAME:
        return BY_NAME[name]
    if isinstance(raw, dict):
        expected = "options at the top level, without [sections]"
        raise InvalidOption(written, f"[{written}]", expected, source)
    near = difflib.get_close_matches(name, BY_NAME, n=1)
    raise UnknownOption(written, source, near[0] if near else "")


def _check(values: Mapping[str, Any], sources: Mapping[str, str]) -> None:
    for name in ("state_path", "run_path"):
        if not values[name]:
            raise InvalidOption(name, "", BY_NAME[name].type.expected, sources[name])
    run_path = values["run_path"]
    if len(run_path.encode()) > RUN_PATH_MAX:
        expected = f"at most {RUN_PATH_MAX} bytes, since a socket's path holds 107"
        raise InvalidOption("run_path", run_path, expected, sources["run_path"])


def _derive(values: dict[str, Any], sources: dict[str, str]) -> None:
    """Derive unset values from other options; the shared secret stays as it is."""
    derived = {
        "server_url": f"http://{_in_url(values['bind_host'])}:{values['bind_port']}",
        "database_connection": f"sqlite:///{values['state_path']}/server/a9fe.db",
        "host": socket.gethostname(),
        "metadata_proxy_socket": os.path.join(values["run_path"], "metadata_proxy"),
    }
    for name, value in derived.items():
        if not values[name]:
            values[name], sources[name] = value, "derived"
    if not values["identity_issuer"]:
        first = values["server_url"].partition(",")[0]
        values["identity_issuer"], sources["identity_issuer"] = first, "derived"
    _derive_service_address(values, sources)
    _derive_shape(values, sources)


def _derive_service_address(values: dict[str, Any], sources: dict[str, str]) -> None:
    """Point the metadata agent at our own service, unless its options name another one."""
    if {sources["nova_metadata_host"], sources["nova_metadata_port"]} != {"default"}:
        return
    for name, of, value in (
        ("nova_metadata_host", "metadata_listen", _in_url(values["metadata_listen"]).strip("[]")),
        ("nova_metadata_port", "metadata_listen_port", values["metadata_listen_port"]),
    ):
        if sources[of] != "default":
            values[name], sources[name] = value, "derived"


def _derive_shape(values: dict[str, Any], sources: dict[str, str]) -> None:
    """Choose split if options name a service that is not this host's own, else host.

    Raises InvalidOption if they name one and the shape is given as host.
    """
    other = _other_service(values)
    if not values["metadata_shape"]:
        values["metadata_shape"], sources["metadata_shape"] = (SPLIT if other else HOST), "derived"
    elif values["metadata_shape"] == HOST and other:
        expected = f"split or drop-in, because {other} names a metadata service of its own"
        raise InvalidOption("metadata_shape", HOST, expected, sources["metadata_shape"])


def _other_service(values: Mapping[str, Any]) -> str:
    """Return the option by which requests go to, or come from, another host; "" for none."""
    if values["metadata_service_hosts"] != "own":
        return "metadata_service_hosts"
    if values["nova_metadata_protocol"] != "http":
        return "nova_metadata_protocol"
    own = {"127.0.0.1", "::1", "localhost", _in_url(values["metadata_listen"]).strip("[]")}
    if values["nova_metadata_host"] not in own:
        return "nova_metadata_host"
    if values["nova_metadata_port"] != values["metadata_listen_port"]:
        return "nova_metadata_port"
    return ""


def _in_url(address: str) -> str:
    """The host part of a URL for a listening address: brackets for IPv6, loopback for "any"."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared
    return f"[{host}]" if ":" in host else host
