"""Configuration: defaults, then the file, then A9FE_* variables, then flags.

A key that no option has, or a value of the wrong kind, is refused with its source.
"""

import difflib
import os
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a9fe.runtime.errors import InvalidOption, UnknownOption
from a9fe.runtime.option_types import Value
from a9fe.runtime.options import BY_NAME, OPTIONS, Option

DEFAULT_FILE = "/etc/a9fe/a9fe.toml"
VARIABLE_PREFIX = "A9FE_"
# Variables of ours that are no options: the file's own path, and what `a9fe up` tells children.
OTHER_VARIABLES = frozenset({"A9FE_CONFIG_FILE", "A9FE_PARENT_DEATH", "A9FE_PARENT_PID"})
# sun_path holds 107 bytes; the longest name below run_path is a metrics socket's.
RUN_PATH_MAX = 107 - len("/metadata-service.metrics.sock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every option with its value; one field an option, in the order of `options.OPTIONS`.

    `sources` says for each where its value came from: "default", "derived", a file's path, a
    variable ("A9FE_X") or a flag ("--x").
    """

    state_path: str
    run_path: str
    bind_host: str
    bind_port: int
    server_url: str
    database_connection: str
    host: str
    server_user: str
    dhcp_agents_per_network: int
    agent_down_time: int
    report_interval: int
    base_mac: str
    global_physnet_mtu: int
    max_dns_nameservers: int
    max_subnet_host_routes: int
    pagination_max_limit: int
    quota_network: int
    quota_subnet: int
    quota_port: int
    quota_router: int
    quota_security_group: int
    quota_security_group_rule: int
    quota_instances: int
    quota_key_pairs: int
    quota_image_count_total: int
    max_allowed_address_pair: int
    quota_floatingip: int
    quota_subnetpool: int
    quota_rbac_policy: int
    dns_domain: str
    default_availability_zone: str
    auth_strategy: str
    auth_token: str
    keystone_auth_url: str
    keystone_username: str
    keystone_password: str
    keystone_project_name: str
    keystone_user_domain_name: str
    keystone_project_domain_name: str
    token_cache_time: int
    metadata_proxy_shared_secret: str
    metadata_proxy_socket: str
    metadata_proxy_user: str
    metadata_proxy_group: str
    metadata_agent_user: str
    metadata_service_user: str
    nova_metadata_host: str
    nova_metadata_port: int
    nova_metadata_protocol: str
    metadata_listen: str
    metadata_listen_port: int
    metadata_service_hosts: str
    metadata_port: int
    metadata_access_mark: str
    enable_metadata_proxy: bool
    metadata_backlog: int
    dhcp_domain: str
    enable_guest_attributes: bool
    enable_identity: bool
    identity_issuer: str
    identity_key_lifetime: int
    identity_token_lifetime: int
    metadata_wait_max: int
    region_name: str
    vendordata_jsonfile_path: str
    vendordata_providers: tuple[str, ...]
    vendordata_dynamic_targets: tuple[str, ...]
    vendordata_dynamic_ssl_certfile: str
    vendordata_dynamic_connect_timeout: int
    vendordata_dynamic_read_timeout: int
    vendordata_dynamic_failure_fatal: bool
    vendordata_dynamic_cache_time: int
    http_tokens: str
    http_tokens_required_after: int
    http_put_response_hop_limit: int
    upstream_timeout: int
    source_lost_after: int
    rate_limit_enabled: bool
    base_window_duration: int
    base_query_rate_limit: int
    burst_window_duration: int
    burst_query_rate_limit: int
    enable_isolated_metadata: bool
    force_metadata: bool
    dhcp_lease_duration: int
    dnsmasq_dns_servers: tuple[str, ...]
    dnsmasq_lease_max: int
    debug: bool
    log_format: str
    log_dir: str
    sources: dict[str, str]


def load(
    flags: Mapping[str, str | None] | None = None,
    environ: Mapping[str, str] | None = None,
    path: str | None = None,
) -> Config:
    """The configuration of a process. Raises ConfigError.

    `flags` by option name, None or absent where not given. `environ` defaults to none at all, so
    that tests are not at the mercy of theirs. `path` None: A9FE_CONFIG_FILE, else the default
    file, which need not exist; a file that was asked for must.
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
    except ValueError as error:  # not UTF-8, or not TOML: the text says line and column
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
    """Fill what was left to follow from other options. The secret is runtime.shared_secret's."""
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
    _follow_our_service(values, sources)


def _follow_our_service(values: dict[str, Any], sources: dict[str, str]) -> None:
    """The agent asks our own service, wherever that listens, unless it was told of another."""
    if {sources["nova_metadata_host"], sources["nova_metadata_port"]} != {"default"}:
        return
    for name, of, value in (
        ("nova_metadata_host", "metadata_listen", _in_url(values["metadata_listen"]).strip("[]")),
        ("nova_metadata_port", "metadata_listen_port", values["metadata_listen_port"]),
    ):
        if sources[of] != "default":
            values[name], sources[name] = value, "derived"


def _in_url(address: str) -> str:
    """A listening address as one can call it: brackets for IPv6, loopback for "any"."""
    called = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared
    return f"[{called}]" if ":" in called else called
