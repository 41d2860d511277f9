"""A connection's next request: what its first one found is used only while it is still so."""

import asyncio
import time
from dataclasses import replace

import pytest

from a9fe.http.report import silent_report
from a9fe.metadata.instance_view import Settings
from a9fe.metadata_agent.port_finder import PortFinder
from a9fe.metadata_host.handler import MetadataHost
from a9fe.metadata_service.kept_views import KeptViews
from a9fe.metadata_service.service import Service
from a9fe.replica import Replica
from a9fe.wire.message import Answer, Kept
from tests.kit.feed_events import NOW, delete, feed, snapshot, upsert
from tests.kit.joined_hops import PORT, RESOURCES, VIEW, guest_request

OTHER = replace(VIEW.instance, id="00000000-0000-4000-8000-00000000000b", name="other", number=43)
ID, NAME = b"/latest/meta-data/instance-id", b"/latest/meta-data/hostname"
SETTINGS = Settings()


class World:
    """A metadata host over a replica, and one connection."""

    def __init__(self) -> None:
        self.replica = Replica()
        feed(self.replica, *snapshot(1, *RESOURCES, OTHER))
        self.revision = 1
        self.kept = Kept(client=("", ""))
        report = silent_report()
        self.host = MetadataHost(
            finder=PortFinder(
                host="h",
                source=self.replica,
                confirm=self.confirm,
                source_lost_after=60,
                now=lambda: NOW,
            ),
            service=Service(
                source=self.replica,
                settings=lambda: SETTINGS,
                now=lambda: NOW,
                random_bytes=bytes,
                source_lost_after=60,
                refuse=lambda refusal, request, id: report.refusal(refusal, request),
                confirm=self.confirm,
                views=KeptViews(self.replica),
            ),
            report=report,
        )

    async def confirm(self) -> bool:
        return True

    def change(self, *resources) -> None:
        self.revision += 1
        feed(self.replica, *[upsert(self.revision, resource) for resource in resources])

    def ask(self, target: bytes = ID, **of: object) -> Answer:
        result = self.host.of_guest(guest_request(target, kept=self.kept, **of))
        if isinstance(result, Answer):
            return result

        async def awaited() -> Answer:
            return await result

        return asyncio.run(awaited())


def test_the_next_request_of_a_connection_uses_what_was_found():
    world = World()
    first = world.ask()
    found = world.kept.found
    assert world.ask() == first
    assert world.ask(NAME).owner == first.owner
    assert world.kept.found is found


def test_a_port_that_gets_another_instance_answers_for_it_at_once():
    world = World()
    before = world.ask()
    world.change(replace(PORT, device_id=OTHER.id))
    after = world.ask()
    assert (after.owner, before.owner) == (
        f"{PORT.id}/{OTHER.id}".encode(),
        f"{PORT.id}/{VIEW.instance.id}".encode(),
    )
    assert after.body != before.body


def test_a_port_that_is_gone_is_refused_at_once():
    world = World()
    assert world.ask().status == 200
    feed(world.replica, delete(world.revision + 1, "port", PORT.id))
    refused = world.ask()
    assert (refused.status, refused.owner) == (503, b"")


def test_a_connection_older_than_its_address_is_refused():
    world = World()
    made = world.replica.unchanged_since(PORT.id) + 0.002
    assert world.ask(connected_at=made).status == 200
    while time.monotonic() <= made:
        pass
    world.change(replace(PORT, device_id=OTHER.id))
    refused = world.ask(connected_at=made)
    assert (refused.status, refused.close) == (503, True)


def test_a_renamed_instance_is_read_with_its_new_name_at_once():
    world = World()
    assert world.ask(NAME).body.startswith(b"web")
    world.change(replace(VIEW.instance, name="renamed"))
    assert world.ask(NAME).body.startswith(b"renamed")


@pytest.mark.parametrize("name", [b"x-forwarded-for", b"X_Forwarded_For"])
def test_a_guests_forwarded_header_is_not_remembered(name: bytes):
    world = World()
    world.ask(headers=((name.lower(), b"1.2.3.4"),))
    assert world.kept.found is None
