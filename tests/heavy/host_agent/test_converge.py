"""The loop of both agents over a fake host that behaves, and fails, like the kernel."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import structlog
from structlog.testing import capture_logs

from a9fe.host_agent.converge import Outcome, converge
from a9fe.host_agent.convergence_log import LASTS
from a9fe.host_agent.converger import Converger, Work
from a9fe.model.resources import Resource
from a9fe.plan import names, parts
from a9fe.plan.damage import damages
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.host import HostPlan
from a9fe.plan.operations import (
    AddLink,
    DeleteBridge,
    OpenListener,
    Operation,
    PlugTap,
    StartDnsmasq,
    scope,
)
from a9fe.plan.parts import Look, Part
from a9fe.plan.settings import DhcpSettings
from tests.kit.conditions import comes_true
from tests.kit.fake_host import FakeHost, Refused
from tests.kit.fake_model import HOST, bound, dhcp_port, network, subnet
from tests.kit.fake_replica import FakeReplica
from tests.kit.http_world import turns

SOON = 0.002  # s: a resync at once
LONG = 1000.0  # a resync that no test lives to see
SETTINGS = DhcpSettings(dhcp_confs="/d")


def one(number: int) -> list[Resource]:
    net = network(number)
    sub = subnet(number, net, "10.1.0.0/24", "10.1.0.1")
    return [net, sub, dhcp_port(number, net, (sub, "10.1.0.2")), bound("dhcp", net)]


def space(number: int) -> str:
    return names.dhcp_namespace(network(number).id)


@dataclass
class Agent:
    host: FakeHost
    model: FakeReplica
    resync: float = LONG
    outcomes: list[Outcome] = field(default_factory=list)
    errors: list[tuple[str, Part | None]] = field(default_factory=list)
    unplannable: set[Part] = field(default_factory=set)

    def __post_init__(self) -> None:
        work = Work(
            owner="dhcp",
            parts=lambda: dhcp.all_parts(self.model),
            plan=self.plan_part,
            after_pass=self.outcomes.append,
            after_error=lambda reason, part: self.errors.append((reason, part)),
        )
        self.loop = Converger(work, self.model, self.host, resync=self.resync)

    def plan_part(self, part: Part) -> HostPlan:
        if part in self.unplannable:
            raise Refused("no such luck")
        return dhcp.plan_part(self.model, HOST, SETTINGS, part)

    def plan(self) -> HostPlan:
        return dhcp.plan(self.model, HOST, SETTINGS)

    def settled(self) -> bool:
        return bool(self.outcomes) and self.loop.is_idle

    def as_planned(self) -> bool:
        return self.host.observe("dhcp") == self.plan()


@asynccontextmanager
async def running(agent: Agent) -> AsyncIterator[Agent]:
    task = asyncio.ensure_future(agent.loop.run())
    try:
        yield agent
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_a_host_is_converged_and_then_left_alone():
    async def main() -> None:
        async with running(Agent(FakeHost(), FakeReplica(one(1)))) as agent:
            await comes_true(agent.settled, "settled")
            assert agent.as_planned()
            assert sum(len(o.applied) for o in agent.outcomes) == len(agent.host.applied)

    asyncio.run(main())


def test_changes_are_followed_as_they_come():
    async def main() -> None:
        async with running(Agent(FakeHost(), FakeReplica())) as agent:
            await comes_true(agent.settled, "settled with nothing")
            for resource in one(1):
                agent.model.put(resource)
            await comes_true(lambda: space(1) in agent.host.spaces, "made")
            await comes_true(agent.as_planned, "as planned")
            agent.model.drop(network(1))
            await comes_true(lambda: agent.host.spaces == {}, "removed")

    asyncio.run(main())


def test_before_the_first_sync_nothing_is_touched_and_then_orphans_go():
    host = FakeHost()
    converge(host, "dhcp", dhcp.plan(FakeReplica(one(1)), HOST, SETTINGS))

    async def main() -> None:
        async with running(Agent(host, FakeReplica(synced=False))) as agent:
            agent.model.put(network(2))
            await turns()
            assert space(1) in host.spaces
            assert agent.outcomes == []
            agent.model.sync()
            await comes_true(agent.settled, "settled")
            assert set(host.bridges) == {names.bridge(network(2).id)}
            assert host.spaces == {}

    asyncio.run(main())


def failing_in(where: str, kind: type = AddLink) -> Callable[[Operation], None]:
    def fail(operation: Operation) -> None:
        if isinstance(operation, kind) and scope(operation).startswith(where):
            raise Refused("no such luck")

    return fail


def test_one_failing_namespace_does_not_stop_others_and_recovers():
    host = FakeHost()
    host.failing = failing_in(space(1))

    async def main() -> None:
        async with running(Agent(host, FakeReplica([*one(1), *one(2)]))) as agent:
            await comes_true(lambda: agent.outcomes, "a pass")
            assert agent.outcomes[0].failures == {space(1): "AddLink: no such luck"}
            assert host.spaces[space(2)].listeners
            assert not host.spaces[space(1)].listeners
            host.failing = lambda operation: None
            await comes_true(agent.settled, "settled")
            assert agent.as_planned()

    asyncio.run(main())


def test_a_part_that_cannot_be_planned_is_said_and_stops_no_other():
    async def main() -> None:
        bad = parts.network(network(1).id)
        agent = Agent(FakeHost(), FakeReplica([*one(1), *one(2)]), unplannable={bad})
        async with running(agent):
            await comes_true(lambda: agent.outcomes, "a whole pass")
            assert agent.outcomes[0].failures[space(1)] == "cannot be planned: no such luck"
            assert space(2) in agent.host.spaces
            agent.model.put(replace(network(1), mtu=1400))
            said = ("cannot be planned: no such luck", bad)
            await comes_true(lambda: said in agent.errors, "a pass over the part")
            agent.unplannable.clear()
            agent.model.put(replace(network(1), mtu=1300))
            await comes_true(agent.settled, "settled")
            assert agent.as_planned()

    asyncio.run(main())


def test_a_failure_is_logged_once_and_so_is_its_end():
    host = FakeHost()
    host.failing = failing_in(space(1))

    async def main() -> None:
        async with running(Agent(host, FakeReplica(one(1)))) as agent:
            for passes in range(1, LASTS + 1):
                await comes_true(lambda least=passes: len(agent.outcomes) >= least, "a pass")
                agent.loop.wake()
            host.failing = lambda operation: None
            agent.loop.wake()
            await comes_true(agent.settled, "settled")

    structlog.reset_defaults()
    with capture_logs() as logs:
        asyncio.run(main())
    told = [line for line in logs if line["event"] != "cannot converge yet, will retry"]
    said = [(line["event"], line["where"]) for line in told if "where" in line]
    assert said == [("cannot converge", space(1)), ("converges again", space(1))]


def test_a_failure_that_does_not_last_is_no_error():
    """For example a proxy that restarts, which takes a second."""
    host = FakeHost()
    host.failing = failing_in(space(1))

    async def main() -> None:
        async with running(Agent(host, FakeReplica(one(1)))) as agent:
            await comes_true(lambda: len(agent.outcomes) >= 3, "three passes")
            host.failing = lambda operation: None
            await comes_true(agent.settled, "settled")

    structlog.reset_defaults()
    with capture_logs() as logs:
        asyncio.run(main())
    assert {line["log_level"] for line in logs} <= {"info", "debug"}
    assert any(line["event"] == "cannot converge yet, will retry" for line in logs)


def test_a_namespace_without_dnsmasq_still_serves_metadata():
    host = FakeHost()
    host.failing = failing_in(space(1), StartDnsmasq)
    outcome = converge(host, "dhcp", dhcp.plan(FakeReplica(one(1)), HOST, SETTINGS))
    assert list(outcome.failures) == [f"{space(1)} dnsmasq"]
    assert host.spaces[space(1)].listeners


def test_without_a_proxy_dhcp_still_works():
    host = FakeHost()
    host.failing = failing_in(space(1), OpenListener)
    outcome = converge(host, "dhcp", dhcp.plan(FakeReplica(one(1)), HOST, SETTINGS))
    assert list(outcome.failures) == [f"{space(1)} listener"]
    assert host.spaces[space(1)].dnsmasq is not None


def test_damage_is_repaired_in_the_next_round_of_the_scrub():
    async def main() -> None:
        agent = Agent(FakeHost(), FakeReplica(one(1)), resync=SOON)
        async with running(agent):
            await comes_true(agent.as_planned, "made")
            with agent.host.lock:
                agent.host.spaces[space(1)].dnsmasq = None
            await comes_true(agent.as_planned, "repaired")

    asyncio.run(main())


def test_waking_makes_a_pass_without_a_change_of_the_model():
    async def main() -> None:
        async with running(Agent(FakeHost(), FakeReplica(one(1)))) as agent:
            await comes_true(agent.settled, "settled")
            with agent.host.lock:
                agent.host.spaces[space(1)].listeners.clear()
            agent.loop.wake()
            await comes_true(agent.as_planned, "repaired")

    asyncio.run(main())


def test_a_kernel_event_makes_a_pass_and_damage_is_logged():
    async def main() -> None:
        async with running(Agent(FakeHost(), FakeReplica(one(1)))) as agent:
            await comes_true(agent.settled, "settled")
            with agent.host.lock:
                agent.host.spaces[space(1)].dnsmasq = None
            agent.loop.kernel_changed({space(1)})
            await comes_true(agent.as_planned, "repaired")
            await comes_true(agent.settled, "settled again")

    structlog.reset_defaults()
    with capture_logs() as logs:
        asyncio.run(main())
    (said,) = [line for line in logs if line["event"] == "damage repaired"]
    assert said["where"] == space(1)
    assert said["wrong"] == f"dnsmasq of network {network(1).id} was not running"
    assert said["done"] == "started"


def test_a_bridge_deleted_with_its_last_device_is_no_damage():
    operations = [DeleteBridge(name="brq1"), PlugTap(tap="tap1", bridge="brq2")]
    assert [one.wrong for one in damages(operations)] == ["tap1 was on no bridge"]


class TellingHost(FakeHost):
    """Sends an event for every change, as the kernel does, also for our own."""

    def __init__(self) -> None:
        super().__init__()
        self.tell: Callable[[set[str]], object] = lambda names: None

    def apply(self, operation: Operation) -> None:
        super().apply(operation)
        self.tell({scope(operation).partition(" ")[0]})


def test_events_of_our_own_changes_cause_few_passes():
    async def main() -> None:
        host = TellingHost()
        agent = Agent(host, FakeReplica(one(1)))
        loop = asyncio.get_running_loop()
        host.tell = lambda names: loop.call_soon_threadsafe(agent.loop.kernel_changed, names)
        async with running(agent):
            await comes_true(agent.settled, "settled")
            seen = host.observations
            agent.model.put(network(2))
            await comes_true(lambda: agent.settled() and host.observations > seen, "settled")
            assert host.observations <= seen + 3

    asyncio.run(main())


class BlindHost(FakeHost):
    """The first observation fails."""

    blind = True

    def observe(self, owner: str, look: Look | None = None) -> HostPlan:
        if self.blind:
            self.blind = False
            raise Refused("netlink is busy")
        return super().observe(owner, look)


def test_a_failed_observation_is_tried_again():
    async def main() -> None:
        async with running(Agent(BlindHost(), FakeReplica(one(1)))) as agent:
            await comes_true(agent.settled, "settled")
            assert agent.as_planned()

    asyncio.run(main())


def test_a_burst_of_changes_is_one_pass():
    async def main() -> None:
        async with running(Agent(FakeHost(), FakeReplica())) as agent:
            await comes_true(agent.settled, "settled")
            agent.outcomes.clear()
            for number in range(1, 20):
                for resource in one(number):
                    agent.model.put(resource)
            await comes_true(
                lambda: any(o.applied for o in agent.outcomes) and agent.settled(), "all made"
            )
            assert len(agent.host.spaces) == 19
            busy = [outcome for outcome in agent.outcomes if outcome.applied]
            assert len(busy) == 1

    asyncio.run(main())


def test_stopping_ends_after_the_operation_under_way():
    host = FakeHost()
    outcome = converge(
        host, "dhcp", dhcp.plan(FakeReplica(one(1)), HOST, SETTINGS), lambda: bool(host.applied)
    )
    assert len(outcome.applied) == 1
