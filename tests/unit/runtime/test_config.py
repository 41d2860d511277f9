"""Configuration: precedence of sources, and the message for each wrong input."""

import dataclasses
from pathlib import Path
from typing import get_origin, get_type_hints

import pytest

from a9fe.runtime.config import RUN_PATH_MAX, Config, load
from a9fe.runtime.errors import ConfigError
from a9fe.runtime.options import BY_NAME, OPTIONS


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "a9fe.toml"
    path.write_text(text)
    return str(path)


def test_the_table_and_the_class_have_the_same_options():
    fields = [field.name for field in dataclasses.fields(Config)]
    assert fields == [*(option.name for option in OPTIONS), "sources"]


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({}, "host"),
        ({"metadata_listen_port": "1", "metadata_listen": "0.0.0.0"}, "host"),
        ({"metadata_shape": "split"}, "split"),
        ({"metadata_service_hosts": "*"}, "split"),
        ({"metadata_service_hosts": "*", "metadata_shape": "drop-in"}, "drop-in"),
        ({"nova_metadata_host": "nova.example.org"}, "split"),
        ({"nova_metadata_port": "8776"}, "split"),
        ({"nova_metadata_port": "8776", "metadata_listen_port": "8776"}, "host"),
    ],
)
def test_the_shape_follows_from_the_metadata_service(given: dict[str, str], shape: str):
    assert load(given).metadata_shape == shape


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("metadata_service_hosts", "*"),
        ("nova_metadata_host", "10.0.0.1"),
        ("nova_metadata_port", "80"),
        ("nova_metadata_protocol", "https"),
    ],
)
def test_the_host_shape_is_refused_beside_another_service(name: str, value: str):
    with pytest.raises(ConfigError, match=f"metadata_shape.*{name}"):
        load({"metadata_shape": "host", name: value})


def test_every_default_is_of_its_type():
    for option in OPTIONS:
        assert option.type.read(_as_read(option.default)) == option.default, option.name


def test_a_field_of_the_configuration_has_the_type_of_its_default():
    types = get_type_hints(Config)
    for option in OPTIONS:
        assert isinstance(option.default, get_origin(types[option.name]) or types[option.name])


def _as_read(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def test_later_sources_win(tmp_path: Path):
    file = written(tmp_path, 'bind_port = 1\nmetadata_port = 1\nhost = "node7"')
    config = load({"bind_port": "3"}, {"A9FE_BIND_PORT": "2", "A9FE_METADATA_PORT": "2"}, file)
    assert (config.bind_port, config.metadata_port, config.host) == (3, 2, "node7")
    assert config.sources["bind_port"] == "--bind-port"
    assert config.sources["metadata_port"] == "A9FE_METADATA_PORT"
    assert config.sources["host"] == file
    assert config.sources["force_metadata"] == "default"


def test_what_follows_from_other_options():
    config = load({"state_path": "/s", "run_path": "/r", "bind_host": "::", "bind_port": "7"})
    assert config.server_url == "http://[::1]:7"
    assert config.database_connection == "sqlite:////s/server/a9fe.db"
    assert config.metadata_proxy_socket == "/r/metadata_proxy"
    assert config.sources["server_url"] == "derived"


def test_the_agent_follows_our_service_unless_told_of_another():
    moved = {"metadata_listen": "192.0.2.1", "metadata_listen_port": "80"}
    ours = load(moved)
    assert (ours.nova_metadata_host, ours.nova_metadata_port) == ("192.0.2.1", 80)
    other = load({**moved, "nova_metadata_host": "nova"})
    assert (other.nova_metadata_host, other.nova_metadata_port) == ("nova", 8775)


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", True), ("TRUE", True), ("1", True), ("off", False), ("0", False), ("False", False)],
)
def test_words_for_booleans(text: str, *, value: bool):
    assert load({}, {"A9FE_FORCE_METADATA": text}).force_metadata is value


def test_lists_come_as_text_or_as_a_list(tmp_path: Path):
    file = written(tmp_path, 'dnsmasq_dns_servers = ["192.0.2.53", "2001:DB8::1"]')
    assert load({}, {}, file).dnsmasq_dns_servers == ("192.0.2.53", "2001:db8::1")
    given = load({}, {"A9FE_DNSMASQ_DNS_SERVERS": "192.0.2.53, 192.0.2.54"})
    assert given.dnsmasq_dns_servers == ("192.0.2.53", "192.0.2.54")


BAD_TEXT = {
    "bind_port": ["0", "65536", "http", "", "1.5"],
    "bind_host": ["localhost:1", "10.0.0.256", ""],
    "metadata_access_mark": ["0", "0x100000000", "mark"],
    "enable_isolated_metadata": ["maybe", ""],
    "base_mac": ["fa:16:3e", "FA:16:3E:00:00:00"],
    "server_url": ["127.0.0.1:9696", "ftp://x"],
    "metadata_proxy_user": ["Root", "a b", ""],
    "nova_metadata_protocol": ["ftp"],
    "log_format": ["xml"],
    "dnsmasq_dns_servers": ["dns.example"],
    "bridge_mappings": ["physnet1", "physnet1:eth1, physnet1:eth2", "a:eth1,b:eth1", "a:b c"],
    "dhcp_lease_duration": ["-2"],
    "state_path": ["", "a\nb"],
    "host": ["a b", "-x"],
    "vendordata_providers": ["StaticJson", "StaticJSON, Other"],
    "vendordata_dynamic_targets": ["site", "site@ftp://a/", "static@http://a/"],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in BAD_TEXT.items() for text in texts]
)
def test_a_bad_value_names_key_value_and_what_is_right(name: str, text: str):
    variable = BY_NAME[name].variable
    with pytest.raises(ConfigError) as caught:
        load({}, {variable: text})
    message = str(caught.value)
    assert message.startswith(f"{name}: {text!r}")
    assert variable in message or text == ""
    assert "expected" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bind_prot = 9697", ["bind_prot", "did you mean bind_port"]),
        ("bind_port = 'many'", ["bind_port", "'many'", "65535"]),
        ("bind_port = true", ["bind_port", "True"]),
        ("force_metadata = 1", ["force_metadata", "true or false"]),
        ("dnsmasq_dns_servers = [1]", ["dnsmasq_dns_servers"]),
        ("state_path = 7", ["state_path", "7"]),
        ("bind_port = ", ["a9fe.toml", "TOML"]),
        ("[server]\nbind_port = 1", ["server", "without [sections]"]),
    ],
)
def test_a_bad_file(tmp_path: Path, text: str, says: list[str]):
    with pytest.raises(ConfigError) as caught:
        load({}, {}, written(tmp_path, text))
    assert [word for word in says if word not in str(caught.value)] == []
    assert "a9fe.toml" in str(caught.value)


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml.*exists"):
        load({}, {}, str(tmp_path / "nowhere.toml"))
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load({}, {"A9FE_CONFIG_FILE": str(tmp_path / "nowhere.toml")})


def test_a_file_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(ConfigError, match="readable"):
        load({}, {}, str(tmp_path))
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="TOML"):
        load({}, {}, str(tmp_path / "x"))


def test_a_mistyped_variable_is_refused_and_its_value_not_repeated():
    with pytest.raises(ConfigError, match=r"A9FE_METADATA_PROXY_SECRET.*did you mean") as caught:
        load({}, {"A9FE_METADATA_PROXY_SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_bad_secret_is_not_repeated():
    with pytest.raises(ConfigError) as caught:
        load({}, {"A9FE_METADATA_PROXY_SHARED_SECRET": "hunter2\n"})
    assert "hunter2" not in str(caught.value)


def test_other_variables_are_not_ours():
    load({}, {"PATH": "/", "A9FE_PARENT_DEATH": "1", "A9FE_PARENT_PID": "1"})


def test_the_run_path_leaves_room_for_sockets():
    longest = "/" + "r" * (RUN_PATH_MAX - 1)
    assert load({"run_path": longest}).run_path == longest
    with pytest.raises(ConfigError, match="run_path"):
        load({"run_path": longest + "r"})
