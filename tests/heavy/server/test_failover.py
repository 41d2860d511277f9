"""Failover: bindings of dead agents move to live ones, and into the feeds of their hosts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.feed import stream
from a9fe.api_client.state_reports import StateReporter
from a9fe.operations.agents.failover import Failover
from a9fe.replica import Replica
from a9fe.replica.feed_follower import follow
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config
from a9fe.server import main
from a9fe.store import Store
from tests.kit.conditions import comes_true
from tests.kit.databases import DATABASES
from tests.kit.server_world import World, server_config

DOWN = 75


@pytest.fixture
def world(tmp_path: Path):
    made = World(tmp_path, server_config(dhcp_agents_per_network=1))
    yield made
    made.close()


def agents_alive(world: World, *hosts: str) -> None:
    for host in hosts:
        for kind in ("DHCP agent", "L3 agent"):
            world.report(kind, host)


def hosts(world: World, network: Any) -> list[str]:
    found = world.get(f"/v2.0/networks/{network['id']}/dhcp-agents")["agents"]
    return sorted(agent["host"] for agent in found)


def router_hosts(world: World, router: Any) -> list[str]:
    found = world.get(f"/v2.0/routers/{router['id']}/l3-agents")["agents"]
    return [agent["host"] for agent in found]


def failover(world: World) -> Failover:
    return Failover(world.store, server_config(), world.clock)


def test_the_dead_lose_what_they_serve_to_the_least_loaded(world: World):
    agents_alive(world, "h1", "h2", "h3")
    networks = [world.network(f"10.{i}.0.0/24")[0] for i in range(6)]
    router = world.create("router")
    assert sorted(host for n in networks for host in hosts(world, n)) == [
        "h1", "h1", "h2", "h2", "h3", "h3",
    ]  # fmt: skip
    assert router_hosts(world, router) == ["h1"]
    of_h1 = [n for n in networks if hosts(world, n) == ["h1"]]
    addresses = [world.dhcp_ports(n)[0]["fixed_ips"] for n in of_h1]
    for _ in range(2):
        world.clock.at += DOWN
        agents_alive(world, "h2", "h3")
        assert failover(world).once() == 0
        assert [hosts(world, n) for n in of_h1] == [["h1"], ["h1"]]
    world.clock.at += 1
    assert failover(world).once() == 3
    assert sorted(host for n in of_h1 for host in hosts(world, n)) == ["h2", "h3"]
    assert router_hosts(world, router) in (["h2"], ["h3"])
    assert [world.dhcp_ports(n)[0]["fixed_ips"] for n in of_h1] == addresses
    assert {len(world.dhcp_ports(n)) for n in of_h1} == {1}
    assert failover(world).once() == 0


def test_bindings_stay_if_no_agent_is_alive(world: World):
    agents_alive(world, "h1", "h2")
    network, _ = world.network()
    world.clock.at += 10 * DOWN
    before = world.revision()
    assert failover(world).once() == 0
    assert (hosts(world, network), world.revision()) == (["h1"], before)


def test_a_disabled_agent_gets_nothing(world: World):
    agents_alive(world, "h1", "h2", "h3")
    for agent in world.get("/v2.0/agents?host=h2")["agents"]:
        world.call("PUT", f"/v2.0/agents/{agent['id']}", {"agent": {"admin_state_up": False}})
    network, _ = world.network()
    assert hosts(world, network) == ["h1"]
    world.clock.at += 2 * DOWN + 1
    agents_alive(world, "h2", "h3")
    failover(world).once()
    assert hosts(world, network) == ["h3"]


def test_two_servers_move_a_network_once(world: World):
    agents_alive(world, "h1", "h2", "h3")
    networks = [world.network(f"10.{i}.0.0/24")[0] for i in range(4)]
    world.clock.at += 2 * DOWN + 1
    agents_alive(world, "h2", "h3")

    async def both() -> list[int]:
        passes = [failover(world).once for _ in range(4)]
        return await asyncio.gather(*(asyncio.to_thread(one) for one in passes))

    assert sum(asyncio.run(both())) == 2
    assert {len(hosts(world, n)) for n in networks} == {1}
    assert "h1" not in {host for n in networks for host in hosts(world, n)}


def test_a_network_gets_as_many_agents_as_it_should(tmp_path: Path):
    world = World(tmp_path, server_config(dhcp_agents_per_network=2))
    agents_alive(world, "h1")
    network, _ = world.network()
    assert hosts(world, network) == ["h1"]
    world.report(host="h2", start=True)
    world.report(host="h3", start=True)
    assert hosts(world, network) == ["h1", "h2"]
    assert len(world.dhcp_ports(network)) == 2
    world.clock.at += 2 * DOWN + 1
    agents_alive(world, "h2", "h3")
    failover(world).once()
    assert hosts(world, network) == ["h2", "h3"]
    world.close()


# Three agents, as processes would be: each reports, and follows its host's feed.


@dataclass(kw_only=True)
class Living:
    """An agent of a host: what it knows, and the task that ends it."""

    replica: Replica
    task: asyncio.Task[None]

    def networks(self) -> set[str]:
        return {b.resource_id for b in self.replica.all("binding") if b.kind == "dhcp"}


@contextlib.asynccontextmanager
async def served(directory: Path, options: Config) -> AsyncIterator[str]:
    store = Store(DATABASES.fresh(directory), SystemClock().now)
    server = main.prepare(options, store, SystemClock())
    listener = main.listen("127.0.0.1", 0)
    serving = asyncio.ensure_future(main.serve(server, listener))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        store.close()


def live(url: str, host: str) -> Living:
    replica = Replica(source=host)
    client = AgentClient(url, host)
    reporter = StateReporter(client, "DHCP agent", "neutron-dhcp-agent")

    async def life() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(reporter.run(0.2, dict))
                group.create_task(
                    follow(replica, lambda since: stream(url, host, "dhcp", since), SystemClock())
                )
        finally:
            await client.close()
            replica.close()

    return Living(replica=replica, task=asyncio.ensure_future(life()))


def test_three_agents_of_which_one_dies(tmp_path: Path):
    options = server_config(agent_down_time=3)

    async def story() -> None:
        async with served(tmp_path, options) as url, httpx.AsyncClient(base_url=url) as api:
            agents = {host: live(url, host) for host in ("h1", "h2", "h3")}

            async def known() -> bool:
                return len((await api.get("/v2.0/agents?alive=True")).json()["agents"]) >= 3

            await comes_true(known, "three agents", 30)
            made = set()
            for number in range(6):
                answer = await api.post("/v2.0/networks", json={"network": {}})
                id = answer.json()["network"]["id"]
                subnet = {"network_id": id, "ip_version": 4, "cidr": f"10.{number}.0.0/24"}
                assert (await api.post("/v2.0/subnets", json={"subnet": subnet})).is_success
                made.add(id)
            await comes_true(
                lambda: made == set().union(*(a.networks() for a in agents.values())), "all served"
            )
            orphans = agents["h1"].networks()
            agents["h1"].task.cancel()
            others = [agents["h2"], agents["h3"]]
            await comes_true(lambda: made == set().union(*(a.networks() for a in others)), "moved")
            for agent in others:
                for id in agent.networks() & orphans:
                    assert agent.replica.get("network", id) is not None
                    assert [p.host for p in agent.replica.ports_by_network(id)] != ["h1"]
            for agent in agents.values():
                agent.task.cancel()
            await asyncio.gather(*(a.task for a in agents.values()), return_exceptions=True)

    asyncio.run(story())
