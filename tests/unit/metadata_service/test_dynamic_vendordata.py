"""Good and bad providers of dynamic vendor data, on a real socket."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from inspect import isawaitable

import pytest

from a9fe.http.server.server import serve
from a9fe.http.server.sockets import tcp_listener
from a9fe.metadata import tree
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.openstack.vendordata import (
    NEED,
    ProviderTarget,
    answer_of,
    parse_targets,
    request_body,
)
from a9fe.metadata.rendered import Rendered
from a9fe.metadata_service.documents import DocumentReader
from a9fe.metadata_service.dynamic_vendordata import (
    ANSWER_MAX,
    AT_ONCE,
    FAILURE_CACHED,
    DynamicVendordata,
    ProviderLimits,
    ProvidersFailed,
)
from a9fe.metadata_service.guest_call import GuestCall
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal
from tests.golden.metadata.scenarios import one_card
from tests.kit.fake_clock import FakeClock
from tests.kit.http_world import run, turns, until
from tests.kit.service_world import ORIGIN

VIEW = one_card()
SOON = ProviderLimits(connect=2.0, read=2.0, cached=300.0)  # one good answer arrives within it
PATIENT = ProviderLimits(connect=30.0, read=30.0, cached=300.0)
Answering = Callable[[Request], Answer | Awaitable[Answer]]


def another(number: int) -> InstanceView:
    return replace(VIEW, instance=replace(VIEW.instance, id=f"other-{number}"))


@dataclass
class Provider:
    """A provider with given answers, which records its requests."""

    answering: Answering
    url: str = ""
    asked: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        self.asked.append(request)
        return self.answering(request)

    def named(self, name: str) -> ProviderTarget:
        return ProviderTarget(name=name, url=self.url)


@asynccontextmanager
async def provider(answering: Answering) -> AsyncIterator[Provider]:
    sock = tcp_listener("127.0.0.1", 0, 128)
    made = Provider(answering, f"http://127.0.0.1:{sock.getsockname()[1]}/site")
    server = await serve(made, sock=sock)
    try:
        yield made
    finally:
        await server.close(within=0.1)


@asynccontextmanager
async def asking(
    *targets: ProviderTarget,
    clock: FakeClock,
    limits: ProviderLimits = PATIENT,
    fatal: bool = False,
) -> AsyncIterator[DynamicVendordata]:
    made = DynamicVendordata(targets, limits=limits, monotonic=clock.monotonic, fatal=fatal)
    try:
        yield made
    finally:
        await made.close()


def saying(value: object, status: int = 200) -> Answering:
    return lambda _: Answer(status=status, body=json.dumps(value).encode())


async def never(_: Request) -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


def test_a_provider_gets_novas_request():
    async def story() -> Provider:
        async with (
            provider(saying({"a": 1})) as one,
            asking(one.named("site"), clock=FakeClock()) as dynamic,
        ):
            assert await dynamic.of(VIEW) == {"site": {"a": 1}}
        return one

    (request,) = run(story).asked
    assert request.method == b"POST"
    assert request.target == b"/site"
    assert request.values(b"content-type") == [b"application/json"]
    assert request.values(b"user-agent") == [b"openstack-nova-vendordata"]
    user_data = VIEW.instance.user_data or b""
    assert json.loads(request.body) == {
        "project-id": VIEW.instance.project_id,
        "instance-id": VIEW.instance.id,
        "image-id": VIEW.instance.image_id or VIEW.instance.image,
        "user-data": base64.b64encode(user_data).decode() if user_data else None,
        "hostname": VIEW.hostname,
        "metadata": VIEW.instance.metadata,
        "boot-roles": "",
    }


BAD: dict[str, Answering] = {
    "hangs": never,
    "redirects": lambda _: Answer(status=302, headers=((b"location", b"http://127.0.0.1:1/"),)),
    "is too long": lambda _: Answer(status=200, body=b" " * (ANSWER_MAX + 1)),
    "says no JSON": lambda _: Answer(status=200, body=b"<html>"),
    "is broken": saying({}, status=500),
    "forbids": saying({"a": 1}, status=403),
    "says nothing": lambda _: Answer(status=204),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_failing_provider_loses_only_its_own_key(bad: Answering):
    async def story() -> None:
        async with provider(saying([1])) as good, provider(bad) as worse:
            targets = (worse.named("worse"), good.named("good"))
            limits = SOON if bad is never else PATIENT
            async with asking(*targets, clock=FakeClock(), limits=limits) as dynamic:
                assert await dynamic.of(VIEW) == {"worse": {}, "good": [1]}

    run(story)


def test_an_unreachable_provider_fails_too():
    async def story() -> None:
        gone = ProviderTarget(name="gone", url="http://127.0.0.1:1/")
        async with asking(gone, clock=FakeClock(), limits=SOON) as dynamic:
            assert await dynamic.of(VIEW) == {"gone": {}}
        async with asking(gone, clock=FakeClock(), limits=SOON, fatal=True) as dynamic:
            with pytest.raises(ProvidersFailed):
                await dynamic.of(VIEW)

    run(story)


def test_answers_are_cached_for_one_state_of_an_instance():
    async def story() -> None:
        clock = FakeClock()
        async with (
            provider(saying(1)) as one,
            asking(one.named("site"), clock=clock) as dynamic,
        ):
            await dynamic.of(VIEW)
            await dynamic.of(VIEW)
            assert len(one.asked) == 1
            renamed = replace(VIEW, instance=replace(VIEW.instance, name="renamed"))
            await dynamic.of(renamed)
            assert len(one.asked) == 2
            clock.turn(PATIENT.cached + 1)
            await dynamic.of(VIEW)
            assert len(one.asked) == 3

    run(story)


def test_a_failed_provider_is_asked_again_soon():
    async def story() -> None:
        clock = FakeClock()
        answers = [Answer(status=500), Answer(status=200, body=b"2")]
        async with (
            provider(lambda _: answers.pop(0)) as one,
            asking(one.named("site"), clock=clock) as dynamic,
        ):
            assert await dynamic.of(VIEW) == {"site": {}}
            assert await dynamic.of(VIEW) == {"site": {}}
            clock.turn(FAILURE_CACHED + 1)
            assert await dynamic.of(VIEW) == {"site": 2}
            assert len(one.asked) == 2

    run(story)


def test_concurrent_reads_share_one_request_and_survive_a_disconnect():
    async def story() -> None:
        go = asyncio.Event()

        async def late(_: Request) -> Answer:
            await go.wait()
            return Answer(status=200, body=b"7")

        async with (
            provider(late) as one,
            asking(one.named("site"), clock=FakeClock()) as dynamic,
        ):
            first, second = (asyncio.ensure_future(dynamic.of(VIEW)) for _ in range(2))
            await until(lambda: one.asked)
            first.cancel()
            await turns()
            go.set()
            assert await second == {"site": 7}
            assert len(one.asked) == 1

    run(story)


def test_hanging_providers_delay_no_others():
    async def story() -> None:
        async with provider(never) as hanging, provider(saying(1)) as quick:
            clock = FakeClock()
            async with (
                asking(hanging.named("slow"), clock=clock) as slow,
                asking(quick.named("quick"), clock=clock) as other,
            ):
                waiting = [
                    asyncio.ensure_future(slow.of(another(number))) for number in range(AT_ONCE)
                ]
                await until(lambda: len(hanging.asked) == AT_ONCE)
                assert await other.of(VIEW) == {"quick": 1}
                for task in waiting:
                    task.cancel()

    run(story)


def call_of(path: str, query: dict[str, tuple[str, ...]], view: InstanceView) -> GuestCall:
    request = Request(method=b"GET", target=path.encode(), headers=())
    return GuestCall(
        origin=ORIGIN, request=request, path=path, query=query, view=view, port_id="", now=0.0
    )


@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize("recursive", [True, False])
def test_vendor_data2_has_the_providers_answers(*, static: bool, recursive: bool):
    view = replace(VIEW, settings=replace(VIEW.settings, static_vendordata=static))
    document = "/openstack/latest/vendor_data2.json"
    path, query = (document, {})
    if recursive:
        path, query = ("/openstack/latest", {"recursive": ("true",)})

    async def story() -> object:
        async with (
            provider(saying({"a": 1})) as one,
            asking(one.named("site"), clock=FakeClock()) as dynamic,
        ):
            place, call = tree.find(view, path), call_of(path, query, view)
            assert place is not None
            result = DocumentReader(prepare=dynamic.prepare).answer(call, place, lambda: call)
            assert isawaitable(result)
            rendered = await result
            assert isinstance(rendered, Rendered)
            return json.loads(rendered.body)

    found = run(story)
    said = found["vendor_data2.json"] if recursive else found  # type: ignore[index]  # JSON
    expected = {"static": VIEW.settings.vendordata} if static else {}
    assert said == {**expected, "site": {"a": 1}}
    if recursive:
        assert ("vendor_data.json" in found) == static  # type: ignore[operator]  # JSON


def test_a_failure_may_be_fatal():
    async def story() -> object:
        gone = ProviderTarget(name="gone", url="http://127.0.0.1:1/")
        async with asking(gone, clock=FakeClock(), limits=SOON, fatal=True) as dynamic:
            return await dynamic.prepare(VIEW, frozenset({NEED}))

    assert run(story) is Refusal.VENDORDATA_FAILED


def test_targets_are_parsed_as_in_nova():
    texts = ["site@http://a/", "two@https://b:1/x?y=1", "site@http://c/"]
    read = parse_targets(texts)
    assert [(t.name, t.url) for t in read] == [
        ("site", "http://a/"),
        ("two", "https://b:1/x?y=1"),
    ]


@pytest.mark.parametrize("text", ["", "site", "@http://a/", "site@ftp://a/", "static@http://a/"])
def test_an_invalid_target_is_refused(text: str):
    with pytest.raises(ValueError, match="name"):
        parse_targets([text])


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"[NaN]"])
def test_an_answer_that_is_not_json_is_invalid(body: bytes):
    with pytest.raises(ValueError, match=r"."):
        answer_of(200, body)


def test_the_request_is_the_same_for_the_same_state():
    assert request_body(VIEW) == request_body(
        replace(VIEW, random_bytes=lambda count: b"x" * count)
    )
    assert request_body(VIEW) != request_body(another(1))
