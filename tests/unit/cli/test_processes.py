"""`a9fe config`, and the checks and decisions of `a9fe up`."""

import json
import os
import socket
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from a9fe.cli.flags import as_arguments, given_flags, settings_flags
from a9fe.cli.main import main
from a9fe.cli.processes.host_checks import check_port_free
from a9fe.cli.processes.process_table import PROCESSES, processes_of
from a9fe.cli.processes.run_process import with_secret
from a9fe.cli.processes.supervisor import described
from a9fe.model.errors import A9feError
from a9fe.runtime.config import load
from a9fe.runtime.options import OPTIONS

SECRET = "hunter2"


def config_of(*arguments: str, **environment: str) -> dict[str, dict[str, object]]:
    clean = {name: None for name in os.environ if name.startswith("A9FE_")}
    result = CliRunner().invoke(
        main, ["config", "--json", *arguments], env={**clean, **environment}
    )
    assert result.exit_code == 0, result.stderr
    found: dict[str, dict[str, object]] = json.loads(result.stdout)
    return found


def test_config_prints_every_option_with_its_source():
    found = config_of(
        *("--state-path", "/nonexistent", "--bind-port", "7", "--force-metadata"),
        A9FE_METADATA_PORT="8",
    )
    assert set(found) == {option.name for option in OPTIONS} | {"installation"}
    assert found["installation"]["source"] == "created by the first `a9fe up`"
    assert found["bind_port"] == {"value": 7, "source": "--bind-port"}
    assert found["force_metadata"] == {"value": True, "source": "--force-metadata"}
    assert found["metadata_port"] == {"value": 8, "source": "A9FE_METADATA_PORT"}
    assert found["run_path"] == {"value": "/run/a9fe", "source": "default"}


def test_config_prints_a_table():
    result = CliRunner().invoke(main, ["config", "--no-force-metadata"])
    (row,) = [line for line in result.stdout.splitlines() if "| force_metadata " in line]
    assert [cell.strip() for cell in row.split("|")][3:5] == ["false", "--force-metadata"]


def test_secrets_are_masked():
    found = config_of(
        A9FE_METADATA_PROXY_SHARED_SECRET=SECRET, A9FE_DATABASE_CONNECTION=f"x://u:{SECRET}@h/d"
    )
    assert SECRET not in json.dumps(found)
    assert found["metadata_proxy_shared_secret"]["value"] == "***"


def test_secrets_have_no_flag():
    for option in OPTIONS:
        if option.secret:
            result = CliRunner().invoke(main, ["config", option.flag, "x"])
            assert result.exit_code == 2, option.name


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_bad_flag_is_one_line(where: str):
    flag = ["--bind-port", "high"]
    typed = [*flag, "config"] if where == "before" else ["config", *flag]
    result = CliRunner().invoke(main, typed)
    assert result.exit_code == 1
    (said,) = result.stderr.splitlines()
    assert "bind_port: 'high'" in said
    assert "--bind-port" in said


def test_processes_get_the_flags_that_up_got(tmp_path: Path):
    seen: list[dict[str, str]] = []

    @click.group()
    @settings_flags
    def root() -> None:
        """Parse arguments of `a9fe`."""

    @root.command()
    @settings_flags
    @click.pass_context
    def up(context: click.Context) -> None:
        """Parse arguments of `a9fe up`."""
        seen.append(given_flags(context))

    file = tmp_path / "a9fe.toml"
    typed = ["--metadata-port", "8", "up", "--no-force-metadata", "--config-file", str(file)]
    result = CliRunner().invoke(root, typed)
    assert result.exit_code == 0, result.stderr
    expected = ["--metadata-port", "8", "--no-force-metadata", "--config-file", str(file)]
    assert sorted(as_arguments(seen[0])) == sorted(expected)


def test_a_taken_port_is_named_with_its_option():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(A9feError, match=rf"bind_port: .*\b{port}\b.*--bind-port"):
            check_port_free("bind", "127.0.0.1", port)
    check_port_free("bind", "127.0.0.1", port)


def test_an_address_of_another_host_is_named():
    with pytest.raises(A9feError, match=r"metadata_listen_port: .*192\.0\.2\.1"):
        check_port_free("metadata_listen", "192.0.2.1", 8775)


def test_only_processes_that_sign_or_verify_get_the_secret():
    config = load({}, {"A9FE_METADATA_PROXY_SHARED_SECRET": SECRET})
    holders = {
        p.name for p in PROCESSES if with_secret(p, config).metadata_proxy_shared_secret == SECRET
    }
    assert holders == {"metadata-agent", "metadata-service"}
    others = [with_secret(p, config) for p in PROCESSES if p.name not in holders]
    assert {c.metadata_proxy_shared_secret for c in others} == {""}


def test_processes_that_read_tenants_bytes_do_not_run_as_root():
    config = load()
    root = {p.name for p in PROCESSES if p.user(config) == "root"}
    assert root == {"l3-agent", "dhcp-agent"}
    for shape in ("host", "split", "drop-in"):
        started = processes_of(load({"metadata_shape": shape}))
        users = [p.user(config) for p in started if p.name not in root]
        assert len(set(users)) == len(users)


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ("host", {"metadata-host"}),
        ("split", {"metadata-proxy", "metadata-agent", "metadata-service"}),
        ("drop-in", {"metadata-proxy", "metadata-agent", "metadata-service"}),
    ],
)
def test_the_processes_of_a_shape(shape: str, names: set[str]):
    started = {process.name for process in processes_of(load({"metadata_shape": shape}))}
    assert started == {"server", "l3-agent", "dhcp-agent", *names}


@pytest.mark.parametrize(
    ("status", "said"), [(0, "exit status 0"), (78, "exit status 78"), (-9, "killed by SIGKILL")]
)
def test_how_a_process_ended(status: int, said: str):
    assert described(status) == said
