"""Our server with a real Keystone: tokens, roles, revocation, and Keystone's absence."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.conditions import eventually
from tests.lab.openstack import Client
from tests.lab.places import CLIENTS
from tests.lab.servers import free_port

KEYSTONE = CLIENTS / "keystone" / "bin"
PASSWORD = "secret"
CONFIG = """
[DEFAULT]
log_file = {directory}/keystone.log
[database]
connection = sqlite:///{directory}/keystone.db
[fernet_tokens]
key_repository = {directory}/fernet
[credential]
key_repository = {directory}/credential
[identity]
password_hash_rounds = 4
"""
GUNICORN = """
wsgi_app = "keystone.wsgi.api:application"
bind = "127.0.0.1:{port}"
workers, threads = 1, 4
"""


@dataclass(kw_only=True)
class Keystone:
    """A Keystone on SQLite with an admin."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v3"

    def set_up(self) -> None:
        for name in ("fernet", "credential"):
            (self.directory / name).mkdir()
        config = self.directory / "keystone.conf"
        config.write_text(CONFIG.format(directory=self.directory))
        (self.directory / "gunicorn.conf.py").write_text(GUNICORN.format(port=self.port))
        user = ["--keystone-user", "root", "--keystone-group", "root"]
        for arguments in (
            ["db_sync"],
            ["fernet_setup", *user],
            ["credential_setup", *user],
            ["bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-public-url", self.url],
        ):
            program = [KEYSTONE / "keystone-manage", "--config-file", config, *arguments]
            subprocess.run(program, check=True, capture_output=True, timeout=120)

    def start(self) -> None:
        with (self.directory / "gunicorn.log").open("ab") as log:
            self.process = subprocess.Popen(
                [KEYSTONE / "gunicorn"],  # no arguments: Keystone reads sys.argv itself
                cwd=self.directory,
                env={
                    **os.environ,
                    "OS_KEYSTONE_CONFIG_FILES": str(self.directory / "keystone.conf"),
                },
                stdout=log,
                stderr=log,
            )
        eventually(self.answers, 60, "Keystone")

    def answers(self) -> bool:
        try:
            return httpx.get(self.url, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def token(self, user: str, project: str | None) -> str:
        name = {"name": user, "password": PASSWORD, "domain": {"name": "Default"}}
        auth: dict[str, Any] = {
            "identity": {"methods": ["password"], "password": {"user": name}},
            "scope": {"project": {"name": project, "domain": {"name": "Default"}}},
        }
        if project is None:
            auth["scope"] = "unscoped"
        answer = httpx.post(f"{self.url}/auth/tokens", json={"auth": auth}, trust_env=False)
        return answer.raise_for_status().headers["X-Subject-Token"]

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        headers = {"X-Auth-Token": self.token("admin", "admin"), **headers}
        answer = httpx.request(
            method, self.url + path, json=body, headers=headers, trust_env=False, timeout=30
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def make(self, kind: str, **values: str) -> str:
        made = self.call("POST", f"/{kind}s", {kind: {"name": values.pop("name"), **values}})
        id: str = made[kind]["id"]
        return id

    def member(self, user: str, project: str, role: str) -> str:
        """Create a user of a new project; return the project's id."""
        project_id = self.make("project", name=project, domain_id="default")
        user_id = self.make("user", name=user, domain_id="default", password=PASSWORD)
        [role_id] = [r["id"] for r in self.call("GET", f"/roles?name={role}")["roles"]]
        self.call("PUT", f"/projects/{project_id}/users/{user_id}/roles/{role_id}")
        return project_id


@contextmanager
def server(state: str, keystone: Keystone) -> Iterator[httpx.Client]:
    """Run our server with that Keystone."""
    port = free_port()
    options = {
        "state_path": f"{state}/state",
        "run_path": f"{state}/run",
        "bind_port": str(port),
        "auth_strategy": "keystone",
        "keystone_auth_url": keystone.url,
        "keystone_username": "neutron",
        "keystone_password": PASSWORD,
        "token_cache_time": "1",
    }
    environment = {f"A9FE_{name.upper()}": value for name, value in options.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "a9fe", "server"], env={**os.environ, **environment}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as api:
            eventually(lambda: status(api, "", "/") == 200, 30, "the server")
            yield api
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def status(api: httpx.Client, token: str, path: str = "/v2.0/networks") -> int:
    try:
        return api.get(path, headers={"X-Auth-Token": token}).status_code
    except httpx.ConnectError:
        return 0


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="a9fe-keystone-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_keystone_says_who_may_do_what(directory: Path):
    keystone = Keystone(directory=directory)
    keystone.set_up()
    keystone.start()
    try:
        keystone.member("neutron", "service", "admin")
        mine = keystone.member("alice", "mine", "member")
        keystone.member("bob", "theirs", "member")
        with server(str(directory), keystone) as api:
            story(api, keystone, mine)
            commands_story(api, keystone)
    finally:
        keystone.stop()


def story(api: httpx.Client, keystone: Keystone, mine: str) -> None:
    alice, bob = keystone.token("alice", "mine"), keystone.token("bob", "theirs")
    admin = keystone.token("admin", "admin")
    headers = {"X-Auth-Token": alice}
    made = api.post("/v2.0/networks", json={"network": {"name": "a"}}, headers=headers)
    assert made.status_code == 201, made.text
    network = made.json()["network"]
    assert network["project_id"] == mine
    path = f"/v2.0/networks/{network['id']}"
    assert [status(api, token, path) for token in (alice, bob, admin)] == [200, 404, 200]
    assert [status(api, t, "/a9fe/v1/status") for t in (alice, admin)] == [403, 200]
    for token in ("", "wrong", alice[:-4] + "AAAA", keystone.token("alice", None)):
        assert status(api, token) == 401, token
    keystone.call("DELETE", "/auth/tokens", **{"X-Subject-Token": alice})
    eventually(lambda: status(api, alice) == 401, 30, "a revoked token is nobody's")
    keystone.stop()
    eventually(lambda: status(api, bob) == 503, 30, "nobody says who it is")
    assert status(api, "", "/") == 200
    keystone.start()
    assert status(api, bob) == 200


def commands_story(api: httpx.Client, keystone: Keystone) -> None:
    """Run the commands of docs/clients.md, which find our server in Keystone's catalog."""
    url = str(api.base_url)
    for kind, path in (("network", ""), ("compute", "v2.1"), ("image", "image")):
        made = keystone.call("POST", "/services", {"service": {"name": kind, "type": kind}})
        endpoint = {
            "service_id": made["service"]["id"],
            "interface": "public",
            "url": f"{url.rstrip('/')}/{path}".rstrip("/"),
        }
        keystone.call("POST", "/endpoints", {"endpoint": endpoint})
    environment = {
        "OS_AUTH_URL": keystone.url,
        "OS_USERNAME": "bob",
        "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": "theirs",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_IDENTITY_API_VERSION": "3",
    }
    program = CLIENTS / "openstackclient" / "bin" / "openstack"
    made, servers, listed, quota = Client(program=program, environment=environment)(
        "network create b -f json",
        "server list -f json",
        "network list -f json",
        "quota show --network -f json",
    )
    assert (servers, [n["ID"] for n in listed]) == ([], [made["id"]])
    assert "networks" in str(quota)
    program = CLIENTS / "neutronclient" / "bin" / "neutron"
    (networks,) = Client(program=program, environment=environment)("net-list -f json")
    assert [n["id"] for n in networks] == [made["id"]]
