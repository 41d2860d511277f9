"""wait_for_change: when waiters are answered, which are woken, and the bounds."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from a9fe.api_client.feed import FeedEvent
from a9fe.metadata.instance_view import InstanceView, Settings
from a9fe.metadata_service.documents import DocumentReader
from a9fe.metadata_service.waiters import WOKEN_AT_ONCE, Waiters
from a9fe.model.resources import KIND_OF, Instance, Resource
from a9fe.replica import Replica
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal, refuse
from tests.golden.metadata.scenarios import INSTANCE_ID, one_card, port, zeros
from tests.kit.service_world import NOW, RESOURCES, always_certain, signed, signed_service

VIEW = one_card()
NAME = b"/latest/meta-data/hostname"
LONG = 3600.0


class World:
    """A service over a replica that gets events from the test."""

    def __init__(self, *, wait_max: float = LONG, **bounds: int) -> None:
        self.replica = Replica()
        self.revision = 1
        self.refused: list[Refusal] = []
        self.snapshot(*RESOURCES)
        self.waiters = Waiters(self.replica, **bounds)
        self.service = signed_service(
            confirm=always_certain,
            source=self.replica,
            settings=Settings,
            now=lambda: NOW,
            random_bytes=zeros,
            source_lost_after=60.0,
            refuse=self._refuse,
            documents=DocumentReader(self.waiters, wait_max=wait_max),
        )

    def _refuse(self, refusal: Refusal, *_: object) -> Answer:
        self.refused.append(refusal)
        return refuse(refusal)

    def say(self, event: str, resource: Resource | None = None) -> None:
        kind = KIND_OF[type(resource)] if resource else ""
        object = resource if event == "upsert" else None
        id = resource.id if resource else ""
        said = FeedEvent(event=event, revision=self.revision, kind=kind, object=object, id=id)
        self.replica.apply(said, NOW)

    def snapshot(self, *resources: Resource) -> None:
        self.say("snapshot")
        for resource in resources:
            self.say("upsert", resource)
        self.say("synced")

    def change(self, resource: Resource) -> None:
        self.revision += 1
        self.say("upsert", resource)

    def delete(self, resource: Resource) -> None:
        self.revision += 1
        self.say("delete", resource)

    async def ask(self, request: Request) -> Answer:
        answer = self.service(request)
        return answer if isinstance(answer, Answer) else await answer

    async def tag(self, path: bytes = NAME) -> str:
        return dict((await self.ask(signed(path))).headers)[b"etag"].decode().strip('"')

    async def wait(
        self, path: bytes = NAME, instance_id: str = INSTANCE_ID, **query: str
    ) -> asyncio.Task[Answer]:
        """Return the task of a waiting request."""
        if "last_etag" not in query:
            asked = await self.ask(signed(path, instance_id=instance_id))
            query["last_etag"] = dict(asked.headers)[b"etag"].decode()
        parameters = "&".join(f"{k}={v}" for k, v in query.items())
        target = path + b"?wait_for_change=true&" + parameters.encode().replace(b'"', b"%22")
        task = asyncio.ensure_future(self.ask(signed(target, instance_id=instance_id)))
        await settle()
        return task


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


async def answered(task: Awaitable[Answer]) -> Answer:
    async with asyncio.timeout(10):
        return await task


async def turn() -> None:
    """Run one iteration of the event loop."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(done.set_result, None)
    await done


async def settle() -> None:
    """Run everything that is ready."""
    for _ in range(10):
        await turn()


def renamed(name: str, instance: Instance = VIEW.instance) -> Instance:
    return replace(instance, name=name)


# -- Answers -----------------------------------------------------------------------------


def test_a_waiter_gets_the_change():
    async def main() -> None:
        world = World()
        task = await world.wait()
        await settle()
        assert not task.done()
        world.change(renamed("other"))
        answer = await answered(task)
        assert (answer.status, answer.body) == (200, b"other.novalocal")
        assert dict(answer.headers)[b"etag"].decode().strip('"') == await world.tag()
        assert len(world.waiters) == 0

    run(main)


@pytest.mark.parametrize("last", ["0", "NONE", "", "abc", "%22abc%22"])
def test_with_another_tag_or_none_the_answer_comes_at_once(last: str):
    async def main() -> None:
        world = World()
        answer = await answered(await world.wait(last_etag=last))
        assert (answer.status, answer.body) == (200, b"web-1-sud.novalocal")

    run(main)


@pytest.mark.parametrize(("wait_max", "timeout"), [(LONG, "0"), (0.0, "900"), (0.01, "900")])
def test_at_the_timeout_the_answer_is_the_current_content(wait_max: float, timeout: str):
    async def main() -> None:
        world = World(wait_max=wait_max)
        answer = await answered(await world.wait(timeout_sec=timeout))
        assert (answer.status, answer.body) == (200, b"web-1-sud.novalocal")

    run(main)


def test_the_default_timeout_is_the_operators():
    async def main() -> None:
        world = World(wait_max=0.01)
        assert (await answered(await world.wait())).status == 200

    run(main)


def test_a_change_of_another_document_does_not_end_the_wait():
    async def main() -> None:
        world = World()
        task = await world.wait()
        world.change(replace(VIEW.instance, metadata={"a": "b"}))
        await settle()
        assert not task.done()
        world.change(renamed("other"))
        assert (await answered(task)).body == b"other.novalocal"

    run(main)


def test_a_wait_for_a_whole_tree_uses_its_tag():
    async def main() -> None:
        world = World()
        target = b"/latest?recursive=true&wait_for_change=true&last_etag=0"
        first = await world.ask(signed(target))
        last = dict(first.headers)[b"etag"].replace(b'"', b"")
        task = asyncio.ensure_future(world.ask(signed(target[:-1] + last)))
        await settle()
        assert not task.done()
        world.change(replace(VIEW.instance, user_data=b"new", revision_number=9))
        assert json.loads((await answered(task)).body)["user-data"] == "new"

    run(main)


def test_a_wait_for_meta_data_ignores_its_random_seed():
    async def main() -> None:
        world = World()
        path = b"/openstack/latest/meta_data.json"
        task = await world.wait(path)
        await settle()
        assert not task.done()
        world.change(renamed("other"))
        assert json.loads((await answered(task)).body)["name"] == "other"

    run(main)


def test_a_deleted_instance_is_404():
    async def main() -> None:
        world = World()
        task = await world.wait()
        for card in VIEW.ports:
            world.delete(card)
        world.delete(VIEW.instance)
        assert (await answered(task)).status == 404
        assert world.refused == [Refusal.UNKNOWN_INSTANCE]

    run(main)


def test_a_document_that_disappears_or_never_existed_is_404():
    async def main() -> None:
        world = World()
        task = await world.wait(b"/latest/user-data")
        world.change(replace(VIEW.instance, user_data=None))
        assert (await answered(task)).status == 404
        assert (await answered(await world.wait(b"/nothing", last_etag="x"))).status == 404

    run(main)


def test_if_none_match_applies_at_the_timeout():
    async def main() -> None:
        world = World(wait_max=0.0)
        tag = await world.tag()
        target = NAME + b"?wait_for_change=true&last_etag=" + tag.encode()
        request = signed(target, extra=((b"if-none-match", f'"{tag}"'.encode()),))
        assert (await world.ask(request)).status == 304

    run(main)


# -- Wake-ups ----------------------------------------------------------------------------

Change = Callable[[World, InstanceView], None]
CHANGES: dict[str, Change] = {
    "network": lambda w, v: w.change(replace(next(iter(v.networks.values())), mtu=1000)),
    "subnet": lambda w, v: w.change(replace(next(iter(v.subnets.values())), dns_nameservers=())),
    "port": lambda w, v: w.change(replace(v.ports[0], mac_address="fa:16:3e:00:00:99")),
    "new port": lambda w, v: w.change(port(9, next(iter(v.networks.values())))),
    "port gone": lambda w, v: w.delete(v.ports[0]),
    "port taken": lambda w, v: w.change(replace(v.ports[0], device_id="another")),
    "instance": lambda w, v: w.change(replace(v.instance, metadata={"x": "y"})),
    "snapshot": lambda w, v: w.snapshot(renamed("other"), *RESOURCES[1:]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_resource_of_an_instance_wakes_its_waiters(name: str):
    async def main() -> None:
        world = World()
        target = b"/openstack/latest?recursive=true&wait_for_change=true&last_etag="
        before = await world.ask(signed(target + b"0"))
        last = dict(before.headers)[b"etag"].replace(b'"', b"")
        task = asyncio.ensure_future(world.ask(signed(target + last)))
        await settle()
        assert not task.done()
        CHANGES[name](world, VIEW)
        assert (await answered(task)).status == 200

    run(main)


def test_a_new_port_is_watched_from_then_on():
    async def main() -> None:
        world = World()
        task = await world.wait(b"/latest/meta-data/mac")
        card = port(9, next(iter(VIEW.networks.values())), created_at="2026-01-01T00:00:00Z")
        world.change(card)
        await settle()
        assert not task.done()
        world.delete(VIEW.ports[0])
        assert (await answered(task)).body == card.mac_address.encode()

    run(main)


def test_other_instances_are_not_woken():
    async def main() -> None:
        world = World()
        renders: list[str] = []
        service = world.service

        def settings() -> Settings:
            renders.append("one")
            return Settings()

        core = replace(service.service, settings=settings)
        world.service = replace(service, service=core)
        task = await world.wait()
        renders.clear()
        other = replace(VIEW.instance, id="11111111-2222-4333-8444-555555555555")
        world.change(other)
        world.change(replace(VIEW.ports[0], id=other.id, device_id=other.id))
        world.snapshot(*RESOURCES)
        world.replica.lost(NOW)
        await settle()
        assert (task.done(), renders) == (False, [])
        task.cancel()

    run(main)


def test_thousands_are_woken_a_few_at_a_time():
    async def main() -> None:
        world = World(most_of_one=400)
        tasks = [await world.wait() for _ in range(400)]
        world.change(renamed("other"))
        progress = []
        while not all(task.done() for task in tasks):
            await turn()
            progress.append(sum(task.done() for task in tasks))
        steps = [after - before for before, after in zip([0, *progress], progress, strict=False)]
        assert max(steps) <= 2 * WOKEN_AT_ONCE  # a turn of ours may be two of the loop's
        assert {task.result().body for task in tasks} == {b"other.novalocal"}

    run(main)


# -- Bounds --------------------------------------------------------------------------------


def test_the_waiters_of_one_instance_are_bounded():
    async def main() -> None:
        world = World(most_of_one=2)
        first, second = await world.wait(), await world.wait()
        refused = await answered(await world.wait())
        assert (refused.status, b"retry-after" in dict(refused.headers)) == (503, True)
        assert world.refused == [Refusal.TOO_MANY_WAITERS]
        first.cancel()
        await settle()
        third = await world.wait()
        assert not third.done()
        for task in (second, third):
            task.cancel()

    run(main)


def test_all_waiters_together_are_bounded():
    async def main() -> None:
        world = World(most=1)
        other = renamed("b", replace(VIEW.instance, id="11111111-2222-4333-8444-555555555555"))
        world.change(other)
        task = await world.wait()
        assert (await answered(await world.wait(instance_id=other.id))).status == 503
        assert (await world.ask(signed(NAME, instance_id=other.id))).status == 200
        task.cancel()

    run(main)


def test_a_disconnected_waiter_is_forgotten():
    async def main() -> None:
        world = World()
        task = await world.wait()
        task.cancel()
        await settle()
        assert (task.cancelled(), len(world.waiters)) == (True, 0)
        assert world.replica.watched == 0

    run(main)


def test_close_answers_all_waiters_and_ends_waiting():
    async def main() -> None:
        world = World()
        tasks = [await world.wait() for _ in range(3)]
        world.waiters.close()
        assert {(await answered(task)).body for task in tasks} == {b"web-1-sud.novalocal"}
        assert (await answered(await world.wait())).status == 200

    run(main)
