"""What guests write, from the service's handler to the server's store and back."""

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.feed import FeedEvent
from a9fe.metadata.instance_view import Settings
from a9fe.metadata_service.guest_writes import (
    GuestWrites,
    attributes_enabled,
    wait_for_revision,
)
from a9fe.model.guest import EVENT_CODES, MetadataOptions, ScheduledEvent
from a9fe.model.resources import KINDS, Instance, Port, Resource
from a9fe.model.user_data import KnownInstance, loaded
from a9fe.replica import Replica
from a9fe.runtime import metrics
from a9fe.store import Store
from a9fe.wire.freshness import Freshness
from a9fe.wire.limits import WRITES
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal, refuse
from tests.golden.metadata.scenarios import INSTANCE_ID, PROJECT, one_card, zeros
from tests.kit.server_world import World
from tests.kit.service_world import always_certain, signed, signed_service

PASSWORD = b"/openstack/latest/password"
AT = b"/openstack/latest/guest-attributes"
EVENTS = b"/openstack/latest/events"


@dataclass(frozen=True)
class OverStore:
    """A replica that is always up to date: the store itself."""

    store: Store

    def get(self, kind: str, id: str) -> Resource | None:
        with self.store.read() as session:
            found: Resource | None = session.get(KINDS[kind], id)
            return found

    def instance(self, id: str) -> KnownInstance | None:
        found = self.get("instance", id)
        return loaded(found) if isinstance(found, Instance) else None

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        with self.store.read() as session:
            return tuple(session.find(Port, device_id=device_id))

    def freshness(self, now: float) -> Freshness:
        return Freshness(ever_synced=True, synced_now=True, lost_for=0.0)


class Cutting(httpx.AsyncBaseTransport):
    """The server's application, or an error instead while `error` is set."""

    def __init__(self, world: World) -> None:
        self.inner = httpx.ASGITransport(world.app)
        self.error: Exception | None = None
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return await self.inner.handle_async_request(request)


@dataclass
class Guest:
    """A guest of an instance at the server, and a service in front of it."""

    world: World
    on: bool = True
    refused: list[Refusal] = field(default_factory=list)
    reached: list[int] = field(default_factory=list)
    at: float = 1000.0

    def __post_init__(self) -> None:
        self.cutting = Cutting(self.world)
        self.loop = asyncio.Runner()
        calls = AgentClient("http://server", "here", self.cutting)

        async def reached(revision: int) -> None:
            self.reached.append(revision)

        def count(refusal: Refusal, _: Request, request_id: str) -> Answer:
            self.refused.append(refusal)
            return refuse(refusal, request_id)

        self.service = signed_service(
            confirm=always_certain,
            source=OverStore(self.world.store),
            settings=lambda: Settings(guest_attributes=self.on),
            now=lambda: self.at,
            random_bytes=zeros,
            source_lost_after=60.0,
            refuse=count,
            gates=(attributes_enabled,),
            actions=GuestWrites(calls, reached, lambda: self.at).actions(),
        )

    def ask(self, method: bytes, target: bytes, body: bytes = b"") -> Answer:
        """Send one request, an hour after the one before."""
        self.at += 3600
        return self.ask_at_once(method, target, body)

    def ask_at_once(self, method: bytes, target: bytes, body: bytes = b"") -> Answer:
        result = self.service(replace(signed(target, method=method), body=body))
        if isinstance(result, Answer):
            return result

        async def waited(result: Awaitable[Answer]) -> Answer:
            return await result

        return self.loop.run(waited(result))

    def get(self, target: bytes) -> bytes:
        answer = self.ask(b"GET", target)
        assert answer.status == 200, answer
        return answer.body

    def instance(self) -> Instance:
        with self.world.store.read() as session:
            return session.require(Instance, INSTANCE_ID)

    def change(self, **values: Any) -> None:
        with self.world.store.write() as session:
            session.update(replace(session.require(Instance, INSTANCE_ID), **values))


@pytest.fixture
def guest(tmp_path: Path):
    world = World(tmp_path)
    with world.store.write() as session:
        session.insert(Instance(id=INSTANCE_ID, name="web1", project_id=PROJECT))
    made = Guest(world)
    yield made
    made.loop.close()
    world.close()


def counted(what: str) -> float:
    found = metrics.REGISTRY.get_sample_value("a9fe_guest_writes_total", {"what": what})
    return found or 0.0


def refused(guest: Guest, answer: Answer) -> tuple[int, Refusal]:
    return answer.status, guest.refused[-1]


# -- The password --------------------------------------------------------------------------


@pytest.mark.parametrize("version", [b"2013-04-04", b"2025-04-04", b"latest"])
def test_a_password_is_posted_once_and_read(guest: Guest, version: bytes):
    path, before = b"/openstack/" + version + b"/password", counted("password")
    assert guest.get(path) == b""
    answer = guest.ask(b"POST", path, b"ZW5jcnlwdGVk")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers == ((b"content-type", b"text/html; charset=UTF-8"),)
    assert guest.reached == [guest.world.revision()]
    assert guest.get(path) == b"ZW5jcnlwdGVk"
    again = guest.ask(b"POST", path, b"ZW5jcnlwdGVk")
    assert refused(guest, again) == (409, Refusal.PASSWORD_IS_SET)
    for unusable in (b"", b"x" * 2000):
        refusal = refused(guest, guest.ask(b"POST", path, unusable))
        assert refusal == (409, Refusal.PASSWORD_IS_SET)
    guest.world.call("DELETE", f"/a9fe/v1/instances/{INSTANCE_ID}/password")
    assert guest.ask(b"POST", path, b"another").status == 200
    assert counted("password") == before + 2


@pytest.mark.parametrize("body", [b"", b"x" * 1021, b"\xff\xfe", b"a\0b", b"x" * 1024 * 1024])
def test_an_invalid_password_never_reaches_the_server(guest: Guest, body: bytes):
    answer = guest.ask(b"POST", PASSWORD, body)
    assert refused(guest, answer) == (400, Refusal.BAD_PASSWORD)
    assert guest.cutting.asked == 0


def test_the_longest_password_is_accepted(guest: Guest):
    assert guest.ask(b"POST", PASSWORD, b"x" * 1020).status == 200
    assert guest.instance().password == "x" * 1020


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (b"POST", b"/openstack/2012-08-10/password", 404),
        (b"GET", b"/openstack/2012-08-10/password", 404),
        (b"POST", b"/openstack/2999-01-01/password", 404),
        (b"POST", b"/latest/password", 404),
        (b"PUT", PASSWORD, 405),
        (b"DELETE", PASSWORD, 405),
        (b"HEAD", PASSWORD, 200),
        (b"POST", PASSWORD + b"/", 200),
        (b"POST", PASSWORD + b"/x", 404),
    ],
)
def test_where_a_password_is_posted(guest: Guest, method: bytes, path: bytes, status: int):
    assert guest.ask(method, path, b"x").status == status


def test_405_lists_the_allowed_methods(guest: Guest):
    answer = guest.ask(b"PUT", PASSWORD)
    assert dict(answer.headers)[b"allow"] == b"GET, HEAD, POST"
    answer = guest.ask(b"GET", EVENTS + b"/e1/acknowledge")
    assert (answer.status, dict(answer.headers)[b"allow"]) == (405, b"POST")


# -- Attributes ----------------------------------------------------------------------------


def test_attributes_are_written_read_and_removed(guest: Guest):
    one = AT + b"/health/state"
    assert guest.ask(b"GET", one).status == 404
    assert guest.ask(b"PUT", one, "bereit ✓".encode()).status == 200
    assert guest.ask(b"PUT", AT + b"/a/b", b"").status == 200
    assert guest.reached[-1] == guest.world.revision()
    assert guest.get(one) == "bereit ✓".encode()
    assert guest.get(AT + b"/") == b"a/\nhealth/"
    assert guest.ask(b"DELETE", one).status == 200
    assert guest.ask(b"GET", one).status == 404
    assert refused(guest, guest.ask(b"DELETE", one)) == (404, Refusal.NO_SUCH_PATH)
    assert guest.instance().guest_attributes == {"a/b": ""}


@pytest.mark.parametrize("own", ["", "off"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"POST"])
@pytest.mark.parametrize("path", [AT, AT + b"/a/b", b"/openstack/latest/guest%2Dattributes/a/b"])
def test_where_attributes_are_off_all_their_paths_are_403(
    guest: Guest, own: str, method: bytes, path: bytes
):
    guest.change(guest_attributes={"a/b": "1"}, metadata_options=_options(own))
    guest.on = own == "off"
    answer = guest.ask(method, path, b"x")
    assert refused(guest, answer) == (403, Refusal.GUEST_ATTRIBUTES_OFF)
    assert guest.cutting.asked == 0
    assert guest.instance().guest_attributes == {"a/b": "1"}


def test_an_instance_can_have_attributes_where_the_default_is_off(guest: Guest):
    guest.on = False
    guest.change(metadata_options=_options("on"))
    assert guest.ask(b"PUT", AT + b"/a/b", b"1").status == 200


def _options(own: str) -> MetadataOptions:
    return MetadataOptions(guest_attributes=own)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (b"/a%20b/c", b""),
        (b"/a/b%2Fc", b""),
        (b"/a/" + b"x" * 65, b""),
        (b"/%2e%2e/c", b""),
        (b"/a/%00", b""),
        (b"/a/%ff", b""),
        (b"/a/b", b"x" * 1025),
        (b"/a/b", b"\xff"),
        (b"/a/b", b"\0"),
        (b"/a/b", b"x" * 1024 * 1024),
    ],
)
def test_an_invalid_attribute_never_reaches_the_server(guest: Guest, path: bytes, body: bytes):
    answer = guest.ask(b"PUT", AT + path, body)
    assert refused(guest, answer) == (400, Refusal.BAD_ATTRIBUTE)
    assert guest.cutting.asked == 0


def test_too_many_attributes_are_refused(guest: Guest):
    guest.change(guest_attributes={f"n/{number}": "" for number in range(64)})
    answer = guest.ask(b"PUT", AT + b"/n/more", b"")
    assert refused(guest, answer) == (409, Refusal.TOO_MANY_ATTRIBUTES)


@pytest.mark.parametrize("path", [AT, AT + b"/a", AT + b"/a/b/c"])
def test_only_paths_of_namespace_and_key_are_written(guest: Guest, path: bytes):
    guest.change(guest_attributes={"a/b": "1"})
    assert guest.ask(b"PUT", path, b"x").status in (404, 405)
    assert guest.cutting.asked == 0


# -- Events --------------------------------------------------------------------------------


def test_an_event_is_read_and_acknowledged(guest: Guest):
    guest.change(events=(ScheduledEvent(id="e1", code=EVENT_CODES[0]),))
    (event,) = json.loads(guest.get(EVENTS))["events"]
    assert (event["id"], event["acknowledged_at"]) == ("e1", "")
    assert guest.ask(b"POST", EVENTS + b"/e1/acknowledge").status == 200
    (event,) = json.loads(guest.get(EVENTS))["events"]
    assert event["acknowledged_at"]
    assert guest.reached == [guest.world.revision()]
    assert guest.ask(b"POST", EVENTS + b"/e1/acknowledge").status == 200
    assert guest.reached[-1] == 0


def test_an_event_that_is_not_the_guests_is_404(guest: Guest):
    over = ScheduledEvent(id="e2", code=EVENT_CODES[0], state="canceled")
    guest.change(events=(over,))
    unknown = guest.ask(b"POST", EVENTS + b"/e1/acknowledge")
    assert refused(guest, unknown) == (404, Refusal.NO_SUCH_PATH)
    ended = guest.ask(b"POST", EVENTS + b"/e2/acknowledge")
    assert refused(guest, ended) == (409, Refusal.EVENT_IS_OVER)
    strange = guest.ask(b"POST", EVENTS + b"/%2e%2e/acknowledge")
    assert refused(guest, strange) == (404, Refusal.NO_SUCH_PATH)
    assert guest.cutting.asked == 2


# -- The server --------------------------------------------------------------------------


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("late")])
def test_an_unreachable_server_is_503(guest: Guest, error: Exception):
    guest.cutting.error = error
    answer = guest.ask(b"POST", PASSWORD, b"x")
    assert refused(guest, answer) == (503, Refusal.SERVER_AWAY)
    assert dict(answer.headers)[b"retry-after"] == b"5"
    guest.cutting.error = None
    assert guest.ask(b"POST", PASSWORD, b"x").status == 200


def test_an_instance_that_only_the_replica_has_is_uncertain(guest: Guest):
    class Kept(OverStore):
        def get(self, kind: str, id: str) -> Resource | None:
            return replace(one_card().instance, project_id=PROJECT) if kind == "instance" else None

    core = replace(guest.service.service, source=Kept(guest.world.store))
    guest.service = replace(guest.service, service=core)
    guest.world.call("DELETE", f"/a9fe/v1/instances/{INSTANCE_ID}", expect=204)
    answer = guest.ask(b"POST", PASSWORD, b"x")
    assert refused(guest, answer) == (503, Refusal.UNCONFIRMED)


def test_writes_are_rate_limited_and_reads_are_not(guest: Guest):
    guest.at += 3600
    one = AT + b"/a/b"
    kept = [guest.ask_at_once(b"PUT", one, b"%d" % n).status for n in range(WRITES.limit)]
    assert kept == [200] * WRITES.limit
    answer = guest.ask_at_once(b"PUT", one, b"more")
    assert refused(guest, answer) == (429, Refusal.TOO_MANY_WRITES)
    assert dict(answer.headers)[b"retry-after"] == b"2"
    assert guest.cutting.asked == WRITES.limit
    assert guest.ask_at_once(b"GET", one).status == 200
    guest.at += 2
    assert guest.ask_at_once(b"PUT", one, b"later").status == 200


# -- Read your writes ----------------------------------------------------------------------


def event(name: str, revision: int, password: str = "") -> FeedEvent:
    if name != "upsert":
        return FeedEvent(event=name, revision=revision)
    instance = replace(one_card().instance, password=password)
    return FeedEvent(
        event=name, revision=revision, kind="instance", id=instance.id, object=instance
    )


def test_an_answer_waits_for_the_replica():
    replica = Replica()
    for name in ("snapshot", "upsert", "synced"):
        replica.apply(event(name, 5), 0.0)

    async def wrote() -> list[str]:
        seen: list[str] = []
        waiting = asyncio.ensure_future(wait_for_revision(replica, 7))
        for revision, password in ((6, "no"), (7, "yes")):
            done, _ = await asyncio.wait({waiting}, timeout=0.01)
            seen.append("done" if done else "waits")
            replica.apply(event("upsert", revision, password), 0.0)
        await waiting
        await wait_for_revision(replica, 0)
        return seen

    assert asyncio.run(wrote()) == ["waits", "waits"]
    found = replica.get("instance", INSTANCE_ID)
    assert found is not None
    assert found.password == "yes"


def test_the_wait_for_the_replica_is_bounded():
    replica = Replica()
    asyncio.run(wait_for_revision(replica, 7, within=0.01))
    assert replica.revision < 7
