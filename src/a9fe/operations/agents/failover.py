"""Failover: move networks and routers from dead agents to live ones (Neutron's rule and times).

An agent is dead after twice agent_down_time without a heartbeat. A binding stays with it while no
live agent can take it. Several servers may run this at once: each pass is one transaction.
"""

import asyncio
from collections.abc import Iterable

import structlog

from a9fe.model.policy import DEFAULT_PROJECT, trusted
from a9fe.model.resources import Agent, Binding, Network, Router
from a9fe.model.rules import scheduling as rules_scheduling
from a9fe.operations.agents.scheduling import (
    DHCP,
    L3,
    bind_network,
    bind_router,
    unbind_network,
    unbind_router,
)
from a9fe.operations.transaction import Transaction
from a9fe.runtime.clock import Clock
from a9fe.runtime.config import Config
from a9fe.store import Session, Store

log = structlog.get_logger()


def dead(agents: Iterable[Agent], now: float, agent_down_time: float) -> list[Agent]:
    """Return the agents without a heartbeat for twice agent_down_time. Pure."""
    return [a for a in agents if not rules_scheduling.alive(a, now, 2 * agent_down_time)]


def move_from_dead(tx: Transaction) -> int:
    """Move the bindings of dead agents to live ones; return how many moved."""
    moved = 0
    for kind in (DHCP, L3):
        agents = tx.session.find(Agent, agent_type=rules_scheduling.AGENT_TYPE[kind])
        for agent in dead(agents, tx.now, tx.config.agent_down_time):
            for binding in tx.session.find(Binding, kind=kind, agent_id=agent.id):
                moved += _move(tx, binding, agent, agents)
    return moved


def _move(tx: Transaction, binding: Binding, agent: Agent, agents: list[Agent]) -> bool:
    bindings = tx.session.find(Binding, kind=binding.kind, resource_id=binding.resource_id)
    serving = {b.agent_id for b in bindings}
    chosen = rules_scheduling.choose(
        [a for a in agents if a.id not in serving],
        tx.session.load(binding.kind),
        1,
        now=tx.now,
        down_time=tx.config.agent_down_time,
    )
    if not chosen:
        return False
    if binding.kind == DHCP:
        network = tx.session.require(Network, binding.resource_id)
        unbind_network(tx, network, agent)
        bind_network(tx, network, chosen[0])
    else:
        router = tx.session.require(Router, binding.resource_id)
        unbind_router(tx, router, agent)
        bind_router(tx, router, chosen[0])
    log.warning(
        "moved from a dead agent",
        kind=binding.kind,
        id=binding.resource_id,
        dead=agent.host,
        to=chosen[0].host,
    )
    return True


def has_bindings_to_move(session: Session, config: Config, now: float) -> bool:
    """Whether a dead agent has bindings. Most passes need no write transaction."""
    dead_ids = {a.id for a in dead(session.find(Agent), now, config.agent_down_time)}
    return bool(dead_ids) and bool(session.find(Binding, agent_id=sorted(dead_ids)))


class Failover:
    """Move bindings from dead agents at every half of agent_down_time, as Neutron does."""

    def __init__(self, store: Store, config: Config, clock: Clock) -> None:
        """Start nothing; `run` does."""
        self._store, self._config, self._clock = store, config, clock

    def once(self) -> int:
        """Run one pass; return how many bindings moved."""
        with self._store.read() as session:
            if not has_bindings_to_move(session, self._config, self._clock.now()):
                return 0
        return self._store.transact(lambda session: move_from_dead(self._transaction(session)))

    def _transaction(self, session: Session) -> Transaction:
        caller = trusted(DEFAULT_PROJECT)
        now = self._clock.now()
        return Transaction(session=session, config=self._config, now=now, caller=caller)

    async def run(self) -> None:
        """Run passes until cancelled; the first waits until agents had time to report."""
        down_time = self._config.agent_down_time
        await asyncio.sleep(down_time)
        while True:
            await asyncio.to_thread(self.once)
            await asyncio.sleep(max(down_time / 2, 0.5))
