"""A host that follows changes part by part ends as one that makes whole passes, and costs less."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a9fe.host_agent.converge import Outcome, converge
from a9fe.host_agent.converger import Converger, Work
from a9fe.model.resources import Resource
from a9fe.plan import parts as plan_parts
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.host import HostPlan
from a9fe.plan.model_view import ModelView
from a9fe.plan.operations import FILTERS, AddLink, Operation, StartDnsmasq, scope
from a9fe.plan.parts import Look, Part
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from tests.kit.conditions import comes_true
from tests.kit.fake_host import FakeHost, Refused
from tests.kit.fake_model import (
    HOST,
    bound,
    dhcp_port,
    interface,
    network,
    port,
    router,
    subnet,
)
from tests.kit.fake_replica import FakeReplica
from tests.kit.models import models

PLAN: dict[str, Callable[[ModelView, Part], HostPlan]] = {
    "dhcp": lambda model, part: dhcp.plan_part(model, HOST, DhcpSettings(dhcp_confs="/d"), part),
    "l3": lambda model, part: l3.plan_part(model, HOST, L3Settings(), part),
}
PARTS: dict[str, Callable[[ModelView], list[Part]]] = {
    "dhcp": lambda model: list(dhcp.all_parts(model)),
    "l3": lambda model: list(l3.all_parts(model, HOST)),
}


class CountingHost(FakeHost):
    """Counts what is read and applied, and sends events of all that is applied."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[Look | None] = []
        self.tell: Callable[[set[str]], object] = lambda names: None

    def observe(self, owner: str, look: Look | None = None) -> HostPlan:
        self.read.append(look)
        return super().observe(owner, look)

    def apply(self, operation: Operation) -> None:
        super().apply(operation)
        self.tell({scope(operation).partition(" ")[0]})


@dataclass
class Agent:
    owner: str
    host: CountingHost
    model: FakeReplica
    outcomes: list[Outcome] = field(default_factory=list)
    planned: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        work = Work(
            owner=self.owner,
            parts=lambda: PARTS[self.owner](self.model),
            plan=self.plan,
            after_pass=self.outcomes.append,
        )
        self.loop = Converger(work, self.model, self.host, resync=1000.0)

    def plan(self, part: Part) -> HostPlan:
        self.planned.append(part)
        return PLAN[self.owner](self.model, part)

    def whole_plan(self) -> HostPlan:
        plans = (PLAN[self.owner](self.model, part) for part in PARTS[self.owner](self.model))
        return plan_parts.union(plans, plan_parts.NONE[self.owner])

    def as_planned(self) -> bool:
        return self.host.observe(self.owner) == self.whole_plan()


@asynccontextmanager
async def running(*agents: Agent) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()

    def tell(names: set[str]) -> None:
        for agent in agents:
            loop.call_soon_threadsafe(agent.loop.kernel_changed, names)

    for agent in agents:
        agent.host.tell = tell
    tasks = [asyncio.ensure_future(agent.loop.run()) for agent in agents]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@st.composite
def storms(draw: st.DrawFn) -> list[tuple[str, object]]:
    """Changes of the model, failing scopes, damages and restarts, in any order."""
    final = draw(models())
    before = draw(models())
    changes: list[tuple[str, object]] = [("put", r) for r in before.resources.values()]
    gone = before.resources.keys() - final.resources.keys()
    later: list[tuple[str, object]] = [("put", r) for r in final.resources.values()]
    later += [("drop", before.resources[key]) for key in sorted(gone)]
    later += [("fail", None), ("mend", None), ("kill", None), ("damage", None)]
    return [
        ("wait", None),
        *changes,
        ("damage", None),
        ("wait", None),
        *draw(st.permutations(later)),
    ]


@settings(max_examples=15, database=None, deadline=None)
@given(storm=storms())
def test_any_storm_ends_in_the_host_of_a_whole_pass(storm: list[tuple[str, object]]):
    """With failures, damage that events tell of, and restarts of the agents in between."""
    host, model = CountingHost(), FakeReplica()

    async def main() -> None:
        agents = [Agent("dhcp", host, model), Agent("l3", host, model)]
        rest = list(storm)
        while True:
            async with running(*agents):
                while rest:
                    what, resource = rest.pop(0)
                    if what == "kill":
                        break
                    await happen(host, model, what, resource)
                else:
                    host.failing = lambda operation: None
                    for agent in agents:
                        await comes_true(agent.as_planned, f"{agent.owner} as planned")
                    return
            agents = [Agent("dhcp", host, model), Agent("l3", host, model)]

    asyncio.run(main())
    new = FakeHost()
    for _ in range(2):  # the second time for bridges of the other agent
        for owner in ("dhcp", "l3"):
            converge(new, owner, Agent(owner, CountingHost(), model).whole_plan())
            assert host.observe(owner) == new.observe(owner)


async def happen(host: CountingHost, model: FakeReplica, what: str, resource: object) -> None:
    if what == "put":
        model.put(resource)  # type: ignore[arg-type]
    elif what == "drop":
        model.drop(resource)  # type: ignore[arg-type]
    elif what == "fail":
        host.failing = fail_links
    elif what == "mend":
        host.failing = lambda operation: None
    elif what == "damage":
        damage(host)
    if what == "wait":
        seen = host.observations
        await comes_true(lambda: host.observations > seen, "a pass")


def fail_links(operation: Operation) -> None:
    if isinstance(operation, AddLink | StartDnsmasq):
        raise Refused("no such luck")


def damage(host: CountingHost) -> None:
    """Change each namespace as another process may, and send the events."""
    with host.lock:
        for space in host.spaces.values():
            space.dnsmasq = None
            space.addresses = []
        harmed = {FILTERS, *host.spaces}  # so that there is at least one pass
    host.tell(harmed)


def a_network(number: int) -> list[Resource]:
    net = network(number)
    sub = subnet(number, net, "10.1.0.0/24", "10.1.0.1")
    own, vm = (
        dhcp_port(number, net, (sub, "10.1.0.2")),
        port(5000 + number, net, (sub, "10.1.0.5")),
    )
    leg_of = router(number)
    leg = interface(9000 + number, leg_of, net, (sub, "10.1.0.1"))
    return [net, sub, own, bound("dhcp", net), vm, leg_of, bound("l3", leg_of), leg]


@pytest.mark.parametrize("owner", ["dhcp", "l3"])
def test_a_change_costs_the_same_on_a_host_of_any_size(owner: str):
    """One network more, and one port more: parts planned, objects read, operations applied."""
    costs = [asyncio.run(cost_of_changes(owner, size)) for size in (2, 60)]
    assert costs[0] == costs[1]
    planned, spaces, bridges, applied, whole = costs[0]
    assert whole == 0
    assert max(planned, spaces, bridges) <= 8
    assert applied > 0


async def cost_of_changes(owner: str, size: int) -> tuple[int, int, int, int, int]:
    there = [resource for number in range(1, size + 1) for resource in a_network(number)]
    agent = Agent(owner, CountingHost(), FakeReplica(there))
    async with running(agent):
        await comes_true(agent.as_planned, "as planned")
        await settled(agent)
        agent.planned.clear()
        agent.host.read.clear()
        agent.host.applied.clear()
        for resource in a_network(size + 1):
            agent.model.put(resource)
        await settled(agent)
        looks = [look for look in agent.host.read if look is not None]
        return (
            len(agent.planned),
            sum(len(look.namespaces) for look in looks),
            sum(len(look.bridges) for look in looks),
            len(agent.host.applied),
            len(agent.host.read) - len(looks),
        )


async def settled(agent: Agent) -> None:
    """Wait until nothing is due but the scrub, after everything that is now."""
    await comes_true(lambda: agent.loop.is_idle, "idle")
