"""An API server on a real socket, with the resources that commands use."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Document = dict[str, Any]


class Refused(Exception):
    """A refusal, which is answered as a NeutronError."""

    def __init__(self, status: int, type: str, message: str) -> None:
        super().__init__(message)
        self.status, self.type = status, type


DEFAULTS: dict[str, Document] = {
    "networks": {
        "name": "",
        "subnets": [],
        "mtu": 1500,
        "project_id": "default",
        "status": "ACTIVE",
    },
    "subnets": {"name": "", "gateway_ip": "", "enable_dhcp": True, "project_id": "default"},
    "ports": {"name": "", "fixed_ips": [], "device_id": "", "device_owner": "", "status": "DOWN"},
    "routers": {"name": "", "status": "ACTIVE", "admin_state_up": True},
    "instances": {"name": "", "project_id": "default"},
    "flavors": {"name": "", "vcpus": 1, "ram": 512, "disk": 0},
    "images": {"name": "", "project_id": "default"},
    "keypairs": {"name": "", "project_id": "default", "fingerprint": ""},
    "agents": {},
}


class FakeApi:
    """The collections of the API that commands use, in memory.

    `requests` has the method, path and body of each request.
    """

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Document]] = {name: {} for name in DEFAULTS}
        self.served: dict[str, set[str]] = {}
        self.reasons: dict[str, str] = {}  # status_reason by id
        self.requests: list[tuple[str, str, Document | None]] = []
        self.url = ""

    def add(self, collection: str, **attributes: Any) -> Document:
        made = {**deepcopy(DEFAULTS[collection]), "id": str(uuid.uuid4()), **attributes}
        self.resources[collection][made["id"]] = made
        return made

    def answer(
        self, method: str, target: str, body: Document | None
    ) -> tuple[int, Document | None]:
        self.requests.append((method, target, body))
        url = urlsplit(target)
        parts = url.path.removeprefix("/v2.0").removeprefix("/a9fe/v1").strip("/").split("/")
        if parts[0] not in self.resources:
            raise Refused(404, "HTTPNotFound", "The resource could not be found.")
        if parts[2:] == ["dhcp-networks"] or parts[2:3] == ["dhcp-networks"]:
            return self._dhcp_networks(method, parts, body)
        if parts[2:] == ["status"]:
            return 200, {"status": self._status(parts[0], parts[1])}
        if len(parts) == 3 and method == "PUT":
            return 200, self._interface(parts[1], parts[2], body or {})
        if len(parts) == 2:
            return self._one(method, parts[0], parts[1], body)
        if method == "POST":
            return 201, self._create(parts[0], body or {})
        return 200, {parts[0]: self._list(parts[0], dict(parse_qsl(url.query)))}

    def _list(self, collection: str, filters: dict[str, str]) -> list[Document]:
        found = self.resources[collection].values()
        return [d for d in found if all(str(d.get(k)) == v for k, v in filters.items())]

    def _one(
        self, method: str, collection: str, id: str, body: Document | None
    ) -> tuple[int, Document]:
        word = collection[:-1]
        if id not in self.resources[collection]:
            raise Refused(
                404, f"{word.title()}NotFound", f"{word.title()} {id} could not be found."
            )
        if method == "DELETE":
            self._check_unused(collection, id)
            del self.resources[collection][id]
            return 204, {}
        if method == "PUT":
            self.resources[collection][id] |= (body or {})[word]
        return 200, {word: self.resources[collection][id]}

    def _status(self, collection: str, id: str) -> Document:
        found = self.resources[collection][id]
        status, reason = found.get("status", "ACTIVE"), self.reasons.get(id, "")
        return {
            "status": "ERROR" if reason else status,
            "ready": status == "ACTIVE",
            "status_reason": reason,
            "problems": [],
        }

    def _check_unused(self, collection: str, id: str) -> None:
        used = [p for p in self.resources["ports"].values() if p["network_id"] == id]
        if collection == "networks" and used:
            raise Refused(409, "NetworkInUse", f"Unable to complete operation on network {id}.")

    def _create(self, collection: str, body: Document) -> Document:
        word = collection[:-1]
        attributes = body[word]
        if collection == "instances":
            return {word: self._create_instance(attributes)}
        if collection == "subnets":
            self._check_cidr(attributes["cidr"])
        made = self.add(collection, **attributes)
        if collection == "subnets":
            self.resources["networks"][made["network_id"]]["subnets"].append(made["id"])
        return {word: made}

    def _check_cidr(self, cidr: str) -> None:
        if not cidr[-1].isdigit():
            raise Refused(400, "InvalidInput", f"Invalid input for cidr. Reason: '{cidr}'.")

    def _create_instance(self, attributes: Document) -> Document:
        networks = attributes["networks"]
        made = self.add("instances", **{k: v for k, v in attributes.items() if k != "networks"})
        ports = []
        for number, wanted in enumerate(networks):
            ip = wanted.get("fixed_ip", f"10.1.0.{number + 10}")
            ports.append(
                self.add(
                    "ports",
                    network_id=wanted["uuid"],
                    mac_address=f"fa:16:3e:00:00:{number:02x}",
                    fixed_ips=[{"subnet_id": "s", "ip_address": ip}],
                    device_id=made["id"],
                    device_owner="compute:nova",
                )
            )
        made["ports"] = ports
        return made

    def _interface(self, router_id: str, action: str, body: Document) -> Document:
        return {"id": router_id, "action": action, **body}

    def _dhcp_networks(
        self, method: str, parts: list[str], body: Document | None
    ) -> tuple[int, Document | None]:
        served = self.served.setdefault(parts[1], set())
        if method == "POST":
            served.add((body or {})["network_id"])
            return 201, None  # as Neutron does: the body is null
        if method == "DELETE":
            served.discard(parts[3])
            return 204, {}
        return 200, {"networks": [self.resources["networks"][id] for id in sorted(served)]}


class _Handler(BaseHTTPRequestHandler):
    api: FakeApi

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        try:
            status, answer = self.api.answer(self.command, self.path, body)
        except Refused as error:
            status = error.status
            answer = {"NeutronError": {"type": error.type, "message": str(error), "detail": ""}}
        content = b"" if status == 204 else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names of http.server.server

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def running_api() -> Iterator[FakeApi]:
    """Run a FakeApi on its own port; its URL is `url`."""
    api = FakeApi()
    handler = type("Handler", (_Handler,), {"api": api})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
