"""A server that requires tokens, with some tokens."""

from collections.abc import Iterable
from pathlib import Path

from a9fe.model.api_tokens import ApiToken, hash_of, id_of, text_of
from a9fe.server.app import OPERATIONS
from a9fe.server.asgi.operation import Operation
from a9fe.server.auth.credentials import OwnTokens
from tests.kit.server_world import World, instance_of

TEXTS = {
    name: text_of(bytes([number]) * 40)
    for number, name in enumerate(["admin", "mine", "theirs", "h1"])
}


def token(name: str, **more: str) -> ApiToken:
    return ApiToken(id=id_of(TEXTS[name]) or "", sha256=hash_of(TEXTS[name]), **more)


class Guarded(World):
    """A server with tokens of an admin, two projects and an agent; `be` chooses the caller."""

    def __init__(self, directory: Path, operations: Iterable[Operation] = OPERATIONS) -> None:
        super().__init__(directory, authenticator=OwnTokens, operations=operations)
        known = [
            token("admin", project_id="ops", role="admin"),
            token("mine", project_id="mine", role="member"),
            token("theirs", project_id="theirs", role="member"),
            token("h1", role="agent", host="h1"),
        ]
        with self.store.write() as session:
            for one in known:
                session.api_tokens.add(one)
        self.be("mine")

    def be(self, name: str) -> None:
        self.client.headers["X-Auth-Token"] = TEXTS[name]

    def show_nothing(self) -> None:
        self.client.headers.pop("X-Auth-Token", None)

    def status(self, method: str, path: str, body: object = None, **headers: str) -> int:
        return self.send(method, path, json=body, headers=headers).status_code


def served(guarded: Guarded, host: str = "elsewhere") -> str:
    """Return the path of an instance of project `mine` with a port on `host`."""
    guarded.be("mine")
    network, _ = guarded.network()
    made = instance_of(guarded, network=network["id"])
    guarded.be("admin")
    (port,) = guarded.ports(device_id=made.rpartition("/")[2])
    guarded.call("PUT", f"/v2.0/ports/{port['id']}", {"port": {"binding:host_id": host}})
    return made
