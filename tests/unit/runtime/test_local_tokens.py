"""API tokens that the server writes for its own host."""

import stat
from dataclasses import replace
from pathlib import Path

from a9fe.model import api_tokens as tokens
from a9fe.replica.feed_follower import host_of
from a9fe.runtime.config import Config, load
from a9fe.runtime.state import local_tokens


def config_of(directory: Path, **options: str) -> Config:
    return load({"state_path": str(directory), "host": "h1", **options}, {})


def test_local_tokens_are_readable_by_root_only_and_are_kept(tmp_path: Path):
    config = config_of(tmp_path, auth_strategy="token")
    local_tokens.ensure(config)
    admin, agent = (local_tokens.read(str(tmp_path), role) for role in local_tokens.ROLES)
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    local_tokens.ensure(config)
    assert local_tokens.for_command(config) == admin
    assert local_tokens.for_agent(config) == agent
    kept = local_tokens.records(str(tmp_path), "h1")
    assert [
        (t.role, t.host, tokens.matches(t, text))
        for t, text in zip(kept, (admin, agent), strict=True)
    ] == [
        ("admin", "", True),
        ("agent", "h1", True),
    ]


def test_roots_token_is_sent_to_no_other_host(tmp_path: Path):
    config = config_of(tmp_path, auth_strategy="token")
    local_tokens.ensure(config)
    for url in ("http://192.0.2.1:9696", "http://127.0.0.1:9696,http://node2:9696"):
        assert local_tokens.for_command(replace(config, server_url=url)) == ""
    given = replace(config, server_url="http://node2:9696", auth_token="mine")
    assert local_tokens.for_command(given) == "mine"


def test_with_keystone_only_agents_have_a_token_of_ours(tmp_path: Path):
    (tmp_path / "admin-token").write_text("of another time")
    config = config_of(tmp_path, auth_strategy="keystone")
    local_tokens.ensure(config)
    assert local_tokens.for_agent(config).startswith("a9fe_")
    assert local_tokens.for_command(config) == ""


def test_a_service_of_all_hosts_has_a_token_of_all_hosts(tmp_path: Path):
    config = config_of(tmp_path, auth_strategy="token", metadata_service_hosts="*")
    local_tokens.ensure(config)
    service = local_tokens.for_agent(config, is_service=True)
    assert local_tokens.for_agent(config) != service
    kept = {t.host: t for t in local_tokens.records(str(tmp_path), "h1")}
    assert kept.keys() == {"", "h1", "*"}
    assert tokens.matches(kept["*"], service)
    assert (kept["*"].role, kept["*"].caller.is_admin) == ("agent", False)
    assert [host_of(config, agent) for agent in ("service", "metadata")] == ["*", config.host]
    own = replace(config, metadata_service_hosts="own")
    assert local_tokens.for_agent(own, is_service=True) == local_tokens.for_agent(own)
    assert host_of(own, "service") == config.host


def test_without_tokens_none_are_made(tmp_path: Path):
    config = config_of(tmp_path)
    local_tokens.ensure(config)
    assert list(tmp_path.iterdir()) == []
    assert (local_tokens.for_command(config), local_tokens.for_agent(config)) == ("", "")
