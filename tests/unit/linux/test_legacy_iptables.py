"""The legacy variant of iptables, which does not show our rules, is recognised."""

import pytest

from a9fe.linux.rulesets import iptables


@pytest.mark.parametrize(
    ("version", "legacy"),
    [("iptables v1.8.9 (nf_tables)", False), ("iptables v1.8.9 (legacy)", True)],
)
def test_the_variant_is_what_the_program_says(tmp_path, monkeypatch, version, legacy):
    program = tmp_path / "iptables"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert iptables.is_legacy() == legacy
