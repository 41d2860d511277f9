"""A feed ends when its API token is revoked. A feed of all hosts needs a token for all hosts."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from a9fe.model.api_tokens import ApiToken, hash_of, id_of, text_of
from a9fe.server import main
from a9fe.server.auth.admissions import Admissions
from a9fe.server.auth.credentials import Everyone, OwnTokens
from a9fe.store import Store, StoreError
from tests.kit.databases import DATABASES
from tests.kit.fake_clock import FakeClock
from tests.kit.server_world import server_config

DEADLINE = 20.0
ADMIN, H1, H2, ALL = (text_of(bytes([number]) * 40) for number in range(4))


def kept(text: str, **more: str) -> ApiToken:
    return ApiToken(id=id_of(text) or "", sha256=hash_of(text), **more)


def store_with_tokens(directory: Path) -> Store:
    store = Store(DATABASES.fresh(directory), FakeClock().now)
    with store.write() as session:
        session.api_tokens.add(kept(ADMIN, project_id="ops", role="admin"))
        session.api_tokens.add(kept(H1, role="agent", host="h1"))
        session.api_tokens.add(kept(H2, role="agent", host="h2"))
        session.api_tokens.add(kept(ALL, role="agent", host="*"))
    return store


@contextlib.asynccontextmanager
async def served(directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    store = store_with_tokens(directory)
    server = main.prepare(server_config(), store, FakeClock(), OwnTokens(store))
    listener = main.listen("127.0.0.1", 0)
    serving = asyncio.ensure_future(main.serve(server, listener))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=DEADLINE, trust_env=False) as client:
            yield client
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        store.close()


def following(client: httpx.AsyncClient, token: str, host: str, agent: str = "l3") -> Any:
    headers = {"X-Auth-Token": token}
    return client.stream("GET", f"/a9fe/v1/feed?host={host}&agent={agent}", headers=headers)


async def read_until(lines: AsyncIterator[str], word: str) -> list[Any]:
    """Return the lines up to and with an event of this name or about this kind."""
    seen: list[Any] = []
    async with asyncio.timeout(DEADLINE):
        while not seen or word not in {seen[-1]["event"], seen[-1].get("kind")}:
            seen.append(json.loads(await anext(lines)))
    return seen


def test_a_stream_ends_when_its_token_is_revoked_and_others_go_on(tmp_path: Path):
    async def story() -> None:
        async with (
            served(tmp_path) as client,
            following(client, H1, "h1") as first,
            following(client, H2, "h2") as second,
        ):
            lines, others = first.aiter_lines(), second.aiter_lines()
            await read_until(lines, "synced")
            await read_until(others, "synced")
            headers = {"X-Auth-Token": ADMIN}
            answer = await client.delete(f"/a9fe/v1/tokens/{id_of(H1)}", headers=headers)
            assert answer.status_code == 204
            async with asyncio.timeout(DEADLINE):
                assert [line async for line in lines] == []  # whole to its end, not broken off
            async with following(client, H1, "h1") as again:
                assert again.status_code == 401
            network = {"network": {}}
            made = await client.post("/v2.0/networks", json=network, headers=headers)
            port = {"network_id": made.json()["network"]["id"], "binding:host_id": "h2"}
            await client.post("/v2.0/ports", json={"port": port}, headers=headers)
            await read_until(others, "upsert")

    asyncio.run(story())


class Wavering(OwnTokens):
    """Its first reads of the database fail."""

    failures = 0

    async def unknown(self, shown: Any) -> frozenset[str]:
        if self.failures < 3:
            self.failures += 1
            raise StoreError("away")
        return await super().unknown(shown)


def test_a_revocation_by_another_server_ends_feeds_and_a_lost_database_ends_none(tmp_path: Path):
    async def story() -> None:
        store = store_with_tokens(tmp_path)
        authenticator = Wavering(store)
        admissions = Admissions(authenticator, interval=0.01)
        ended, lives = asyncio.Event(), asyncio.Event()
        with store.write() as session:
            session.api_tokens.remove(id_of(H1) or "")
        with admissions.hold(H1, ended.set), admissions.hold(H2, lives.set):
            async with asyncio.timeout(DEADLINE):
                await ended.wait()
            assert authenticator.failures == 3
        assert not lives.is_set()
        with admissions.hold(H1, (again := asyncio.Event()).set):  # watched anew
            async with asyncio.timeout(DEADLINE):
                await again.wait()
        store.close()

    asyncio.run(story())


def test_feeds_do_not_end_without_authentication(tmp_path: Path):
    async def story() -> None:
        assert await Everyone().unknown(["anything"]) == frozenset()
        store = store_with_tokens(tmp_path)
        found = await OwnTokens(store).unknown([H1, H2[:-1] + "f", "notours"])
        assert found == {H2[:-1] + "f", "notours"}
        store.close()

    asyncio.run(story())


def test_a_feed_of_all_hosts_needs_a_metadata_service_and_a_token_of_all_hosts(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as client:
            for token, host, agent, status in (
                (H1, "*", "service", 403),
                (ADMIN, "*", "service", 403),
                (ALL, "*", "dhcp", 400),
            ):
                async with following(client, token, host, agent) as refused:
                    assert refused.status_code == status, (host, agent)
            for host in ("h1", "*"):
                body = {"agent_type": "DHCP agent", "binary": "x", "host": host}
                headers = {"X-Auth-Token": ALL}
                answer = await client.post("/a9fe/v1/agents/report", json=body, headers=headers)
                assert answer.status_code == 403
            admin = {"X-Auth-Token": ADMIN}
            made = await client.post("/v2.0/networks", json={"network": {}}, headers=admin)
            network_id = made.json()["network"]["id"]
            async with following(client, ALL, "*", "service") as stream:
                lines = stream.aiter_lines()
                _, begin, network, _ = await read_until(lines, "synced")
                assert (begin["event"], network["object"]["id"]) == ("snapshot", network_id)
                for host in ("h1", "h2"):
                    port = {"network_id": network_id, "binding:host_id": host}
                    await client.post("/v2.0/ports", json={"port": port}, headers=admin)
                    told = (await read_until(lines, "port"))[-1]
                    assert (told["event"], told["object"]["host"]) == ("upsert", host)

    asyncio.run(story())
