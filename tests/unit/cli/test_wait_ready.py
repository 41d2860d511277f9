"""The reasons of `a9fe vm wait-ready` by state of the API and the metadata agent."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from a9fe.api_client import ApiClient
from a9fe.cli.host.wait_ready import DOCUMENT, missing
from tests.kit.fake_api import Document, FakeApi, running_api


@dataclass
class World:
    """A server, and a metadata agent that answers with `status` (None: it does not run)."""

    api: FakeApi
    client: ApiClient
    status: int | None = 404
    tokens: bool = True
    asked: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.status is None:
            raise httpx.ConnectError("No such file or directory")
        if request.method == "PUT":
            return httpx.Response(200 if self.tokens else 403, text="a token")
        shown = request.headers.get("x-aws-ec2-metadata-token")
        assert shown == ("a token" if self.tokens else None)
        return httpx.Response(self.status)

    def missing(self) -> str:
        transport = httpx.MockTransport(self.answer)
        with httpx.Client(transport=transport, base_url="http://a9fe") as agent:
            return missing(self.client, agent, "web1")

    def port(self, owner: str, device: str, **more: object) -> Document:
        fixed = [{"subnet_id": "s", "ip_address": "10.1.0.5"}]
        return self.api.add(
            "ports",
            network_id="n1",
            device_owner=owner,
            device_id=device,
            **{"fixed_ips": fixed, **more},
        )


@pytest.fixture
def world() -> Iterator[World]:
    with running_api() as api, ApiClient(api.url) as client:
        yield World(api, client)


def test_each_missing_object_is_printed_until_none_is_missing(world: World):
    instance = world.api.add("instances", name="web1")
    assert world.missing() == "waiting for a port with an address"
    world.port("compute:nova", instance["id"])
    assert "waiting for a DHCP agent or a router on network n1" in world.missing()
    served = world.port("network:dhcp", "dhcp-1")
    assert f"waiting for port {served['id']} (network:dhcp)" in world.missing()
    assert world.asked == []
    served["status"] = "ACTIVE"
    assert world.missing() == "waiting for metadata: 10.1.0.5 is answered 404"
    world.status = 200
    assert world.missing() == ""
    (*_, last) = world.asked
    assert last.url.path == DOCUMENT
    assert last.headers["x-forwarded-for"] == "10.1.0.5"
    assert last.headers["x-neutron-network-id"] == "n1"


def test_it_waits_for_the_router_to_be_built(world: World):
    instance = world.api.add("instances", name="web1")
    world.port("compute:nova", instance["id"])
    world.port("network:dhcp", "dhcp-1", status="ACTIVE")
    world.port("network:router_interface", "r1")
    world.status = 200
    assert "(network:router_interface) to be ACTIVE" in world.missing()


@pytest.mark.parametrize("tokens", [True, False])
def test_it_uses_a_token_if_the_service_issues_them(world: World, *, tokens: bool):
    instance = world.api.add("instances", name="web1")
    world.port("compute:nova", instance["id"])
    world.port("network:dhcp", "dhcp-1", status="ACTIVE")
    world.status, world.tokens = 200, tokens
    assert world.missing() == ""
    assert [request.method for request in world.asked] == ["PUT", "GET"]


def test_it_waits_for_the_metadata_agent(world: World):
    instance = world.api.add("instances", name="web1")
    world.port("compute:nova", instance["id"])
    world.port("network:dhcp", "dhcp-1", status="ACTIVE")
    world.status = None
    assert world.missing() == "waiting for the metadata agent: No such file or directory"
