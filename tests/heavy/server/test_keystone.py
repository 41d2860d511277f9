"""Keystone's tokens, against a fake that behaves as its v3 API does."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from a9fe.model.api_tokens import ApiToken, hash_of, id_of, text_of
from a9fe.runtime.config import Config
from a9fe.server.auth.keystone import Keystone
from tests.kit.fake_clock import START, FakeClock
from tests.kit.server_world import World, server_config

AGENT = text_of(b"\x07" * 40)
PASSWORD = "service-secret"


CONFIG = server_config(
    keystone_auth_url="http://keystone:5000/v3", keystone_password=PASSWORD, token_cache_time=60
)


@dataclass(kw_only=True)
class FakeKeystone:
    """POST and GET /v3/auth/tokens: passwords, validity, revocation, outages."""

    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    down: bool = False
    asked: list[str] = field(default_factory=list)

    def issue(
        self,
        text: str,
        *,
        project: str | None = "p1",
        roles: tuple[str, ...] = ("member",),
        lasts: float = 3600,
    ) -> None:
        ends = datetime.fromtimestamp(START + lasts, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        token: dict[str, Any] = {"expires_at": ends, "roles": [{"name": r} for r in roles]}
        self.tokens[text] = {**token, "project": {"id": project}} if project else token

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        assert request.url.path == "/v3/auth/tokens"
        return self._log_in(request) if request.method == "POST" else self._validate(request)

    def _log_in(self, request: httpx.Request) -> httpx.Response:
        user = json.loads(request.content)["auth"]["identity"]["password"]["user"]
        if user["password"] != PASSWORD:
            return httpx.Response(401, json={"error": {"code": 401}})
        text = f"service-{len(self.tokens)}"
        self.issue(text, project="service", roles=("service",))
        return httpx.Response(
            201, headers={"X-Subject-Token": text}, json={"token": self.tokens[text]}
        )

    def _validate(self, request: httpx.Request) -> httpx.Response:
        if request.headers["X-Auth-Token"] not in self.tokens:
            return httpx.Response(401, json={"error": {"code": 401}})
        subject = request.headers["X-Subject-Token"]
        self.asked.append(subject)
        if subject not in self.tokens:
            return httpx.Response(404, json={"error": {"code": 404}})
        return httpx.Response(200, json={"token": self.tokens[subject]})


class Guarded(World):
    def __init__(self, directory: Path, config: Config = CONFIG) -> None:
        self.keystone = FakeKeystone()
        clock = FakeClock()
        transport = httpx.MockTransport(self.keystone)
        super().__init__(
            directory,
            authenticator=lambda store: Keystone(config, store, clock, transport),
        )
        self.clock = clock

    def status(self, token: str, path: str = "/v2.0/networks", method: str = "GET") -> int:
        headers = {"X-Auth-Token": token}
        return self.send(method, path, headers=headers, json={"network": {}}).status_code


@pytest.fixture
def world(tmp_path: Path):
    made = Guarded(tmp_path)
    yield made
    made.close()


def test_a_token_gives_its_project_and_roles(world: Guarded):
    world.keystone.issue("member")
    world.keystone.issue("admin", project="ops", roles=("Admin", "member"))
    world.keystone.issue("reader", roles=("reader",))
    headers = {"X-Auth-Token": "member"}
    answer = world.send("POST", "/v2.0/networks", headers=headers, json={"network": {}})
    assert answer.json()["network"]["project_id"] == "p1"
    assert world.status("member", "/a9fe/v1/status") == 403
    assert world.status("admin", "/a9fe/v1/status") == 200
    assert world.status("reader") == 200
    assert world.status("reader", method="POST") == 403


def test_unknown_ended_and_unscoped_tokens_are_401(world: Guarded):
    world.keystone.issue("unscoped", project=None)
    for token in ("never issued", "unscoped"):
        answer = world.send("GET", "/v2.0/networks", headers={"X-Auth-Token": token})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Keystone uri="http://keystone:5000/v3"'
        assert answer.json()["NeutronError"]["type"] == "Unauthorized"
    assert world.send("GET", "/").status_code == 200


def test_keystones_answer_is_cached_for_a_while_and_a_revoked_token_ends(world: Guarded):
    world.keystone.issue("mine")
    assert [world.status("mine") for _ in range(3)] == [200] * 3
    assert world.keystone.asked == ["mine"]
    del world.keystone.tokens["mine"]
    world.clock.at += 59
    assert world.status("mine") == 200
    world.clock.at += 1
    assert world.status("mine") == 401


def test_no_answer_is_cached_longer_than_the_token_is_valid(world: Guarded):
    world.keystone.issue("short", lasts=10)
    assert world.status("short") == 200
    del world.keystone.tokens["short"]
    world.clock.at += 10
    assert world.status("short") == 401


def test_our_own_token_is_got_again_when_it_has_ended(world: Guarded):
    world.keystone.issue("mine")
    assert world.status("mine") == 200
    for name in [n for n in world.keystone.tokens if n.startswith("service")]:
        del world.keystone.tokens[name]
    world.clock.at += 60
    assert world.status("mine") == 200


def test_without_keystone_it_is_503_and_agents_go_on(world: Guarded):
    with world.store.write() as session:
        session.api_tokens.add(
            ApiToken(id=id_of(AGENT) or "", sha256=hash_of(AGENT), role="agent", host="h1")
        )
    world.keystone.down = True
    answer = world.send("GET", "/v2.0/networks", headers={"X-Auth-Token": "mine"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    report = {"agent_type": "DHCP agent", "binary": "x", "host": "h1"}
    headers = {"X-Auth-Token": AGENT}
    answer = world.send("POST", "/a9fe/v1/agents/report", headers=headers, json=report)
    assert answer.status_code == 200


def test_a_wrong_service_password_is_503_not_401(tmp_path: Path):
    world = Guarded(tmp_path, replace(CONFIG, keystone_password="wrong"))
    world.keystone.issue("mine")
    assert world.status("mine") == 503
    world.close()


def test_only_agents_have_tokens_of_ours(world: Guarded):
    with world.store.write() as session:
        session.api_tokens.add(
            ApiToken(id=id_of(AGENT) or "", sha256=hash_of(AGENT), role="admin", project_id="x")
        )
    assert world.status(AGENT) == 401
