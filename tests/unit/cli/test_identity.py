"""`a9fe identity`, against a real server with a host that signed tokens."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from a9fe.cli.main import main
from a9fe.model import jwk
from a9fe.runtime.clock import SystemClock
from tests.golden.metadata.scenarios import INSTANCE_ID
from tests.kit.identity_world import Cloud, cloud


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The server's clock has the present time, as commands use it."""
    with cloud(tmp_path_factory.mktemp("lab")) as made:
        made.world.clock.at = SystemClock().now()
        made.host.step()
        yield made


def typed(lab: Cloud, *words: str, stdin: str = "") -> Result:
    environment = {"A9FE_SERVER_URL": lab.url, "A9FE_CONFIG_FILE": None}
    return CliRunner().invoke(main, ["identity", *words], env=environment, input=stdin)


def test_keys_are_listed(lab: Cloud):
    [kid] = lab.keys()
    shown = typed(lab, "keys").stdout
    assert kid in shown
    assert "node1" in shown
    assert [key["kid"] for key in json.loads(typed(lab, "keys", "--json").stdout)] == [kid]


def test_a_good_token_is_shown(lab: Cloud):
    token = lab.host.token("audience=vault&nonce=7")
    for given, stdin in ((token, ""), ("-", token + "\n")):
        found = typed(lab, "verify", given, "--audience", "vault", stdin=stdin)
        assert found.exit_code == 0, found.stderr
        claims = json.loads(found.stdout)
        assert (claims["sub"], claims["nonce"]) == (INSTANCE_ID, "7")


def forged(token: str) -> str:
    """Return a token with changed claims and the old signature."""
    header, content, signature = token.split(".")
    claims = {**json.loads(jwk.decoded(content)), "sub": "another"}
    return ".".join((header, jwk.encoded(json.dumps(claims).encode()), signature))


def of_unknown_key(token: str) -> str:
    header = jwk.encoded(b'{"alg":"RS256","kid":"' + b"A" * 43 + b'"}')
    return header + token[token.index(".") :]


def test_a_bad_token_is_one_line(lab: Cloud):
    token = lab.host.token()
    for given, audience, why in (
        (token, "other", "it is for 'vault', not 'other'"),
        (forged(token), "vault", "its signature does not match its content"),
        (of_unknown_key(token), "vault", "no host has the key"),
        ("x", "vault", "it is not three parts"),
    ):
        found = typed(lab, "verify", given, "--audience", audience)
        [line] = found.stderr.splitlines()
        assert (found.exit_code, found.stdout) == (1, "")
        assert line.startswith(f"a9fe: error: the token is not valid: {why}")
    assert typed(lab, "verify", token).exit_code == 2


@pytest.mark.parametrize(("later", "why"), [(-7200, "it expired"), (7200, "it becomes valid in")])
def test_a_token_of_another_time_is_refused(tmp_path: Path, later: int, why: str):
    with cloud(tmp_path) as lab:
        lab.world.clock.at = SystemClock().now() + later
        lab.host.step()
        found = typed(lab, "verify", lab.host.token(), "--audience", "vault")
        assert (found.exit_code, found.stdout) == (1, "")
        assert found.stderr.startswith(f"a9fe: error: the token is not valid: {why}")


def test_a_key_is_revoked(tmp_path: Path):
    with cloud(tmp_path) as lab:
        lab.host.step()
        [kid] = lab.keys()
        assert typed(lab, "revoke", "../tokens/1").exit_code == 2
        assert typed(lab, "revoke", kid).stdout == f"identity key {kid}: revoked\n"
        assert lab.keys() == []
        assert typed(lab, "revoke", kid).exit_code == 1


def test_a_key_id_may_begin_like_an_option(lab: Cloud):
    kid = "-v8ayrj4t87lDD-Bvzje4odCyy0h7VTpFCnfCszSX3U"
    found = typed(lab, "revoke", kid)
    assert (found.exit_code, kid in found.stderr, found.stdout) == (1, True, "")


@pytest.mark.parametrize("command", ["keys", "revoke", "verify"])
def test_every_command_has_help_with_an_example(lab: Cloud, command: str):
    assert f"a9fe identity {command}" in typed(lab, command, "--help").stdout.split("Options:")[0]
