"""A follower's part: after any changes, the changes and a snapshot give the same part."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from a9fe.model.resources import (
    KIND_OF,
    Agent,
    Binding,
    Instance,
    Network,
    Port,
    Resource,
    Router,
    Subnet,
)
from a9fe.model.subnet_pools import FloatingIp
from a9fe.server.feed.changes import deliveries
from a9fe.server.feed.roles import ROLES, Follower
from a9fe.server.feed.snapshot import snapshot
from a9fe.store import Change, Session, Store
from tests.kit.databases import DATABASES
from tests.kit.fake_clock import START

HOSTS = ("h1", "h2")
FOLLOWERS = [Follower(host, agent) for host in HOSTS for agent in ROLES]
FOLLOWERS.append(Follower("*", "service"))
ROUTER_PORT = "network:router_interface"
Part = dict[tuple[str, str], Resource]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(DATABASES.fresh(tmp_path), lambda: START)
    with made.write() as session:
        for host in HOSTS:
            for kind in ("dhcp", "l3"):
                session.insert(Agent(id=f"{kind}-{host}", agent_type=kind, binary=kind, host=host))
    yield made
    made.close()


class Parts:
    """The parts of all followers, from snapshots and changes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.revision = 0
        self.parts: dict[Follower, Part] = {key: self.whole(key) for key in FOLLOWERS}
        with store.read() as session:
            self.revision = session.revision()

    def whole(self, key: Follower) -> Part:
        with self.store.read() as session:
            return {(KIND_OF[type(r)], r.id): r for r in snapshot(session, key)}

    def catch_up(self) -> None:
        with self.store.read() as session:
            changes = session.changes_since(self.revision)
            assert changes is not None
            self.revision = session.revision()
            told = deliveries(session, changes, FOLLOWERS)
        for key, for_key in told.items():
            assert [c.revision for c in for_key] == sorted(c.revision for c in for_key)
            apply(self.parts[key], for_key)

    def check(self) -> None:
        for key, part in self.parts.items():
            expected = self.whole(key)
            assert missing(expected, part) == [], key
            spare = list(part.keys() - expected.keys())
            if key[1] == "service" and key[0] != "*":  # keeps networks of instances that have left
                spare = [
                    name
                    for name in spare
                    if name[0] not in {"network", "subnet", "security_group"}
                ]
            assert spare == [], key


def missing(expected: Part, part: Part) -> list[tuple[str, str]]:
    return [name for name, resource in expected.items() if part.get(name) != resource]


def apply(part: Part, changes: Iterable[Change]) -> None:
    for change in changes:
        part.pop((change.kind, change.id), None)
        if change.resource is not None:
            part[change.kind, change.id] = change.resource


class Life:
    """Random but repeatable changes of the model, as the server makes them."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.made = 0

    def new(self, kind: str) -> str:
        self.made += 1
        return f"{kind}{self.made}"

    def one(self, session: Session, cls: type) -> object:
        found = session.find(cls)
        return self.dice.choice(found) if found else None

    def host(self) -> str:
        return self.dice.choice(["", *HOSTS, "elsewhere"])

    def add_network(self, session: Session) -> None:
        network = session.insert(Network(id=self.new("n")))
        session.insert(Subnet(id=self.new("s"), network_id=network.id, cidr="10.1.0.0/24"))

    def change_network(self, session: Session) -> None:
        if network := self.one(session, self.dice.choice([Network, Subnet, Router, Instance])):
            session.update(replace(network, name=self.new("name")))

    def delete_network(self, session: Session) -> None:
        network = self.one(session, Network)
        if network is None:
            return
        for cls, where in (
            (Binding, {"resource_id": network.id}),
            (FloatingIp, {"floating_network_id": network.id}),
            (Port, {"network_id": network.id}),
            (Subnet, {"network_id": network.id}),
        ):
            for resource in session.find(cls, **where):
                session.delete(cls, resource.id)
        session.delete(Network, network.id)

    def add_port(self, session: Session) -> None:
        network = self.one(session, Network)
        if network is None:
            return
        instance = self.one(session, Instance) if self.dice.random() < 0.6 else None
        router = self.one(session, Router) if instance is None else None
        id = self.new("p")
        session.insert(
            Port(
                id=id,
                network_id=network.id,
                mac_address=id,
                host=self.of_router(session, router) if router else self.host(),
                device_id=instance.id if instance else router.id if router else "",
                device_owner=ROUTER_PORT if router else "compute:nova" if instance else "",
            )
        )

    def of_router(self, session: Session, router: Router) -> str:
        return next((b.host for b in session.find(Binding, kind="l3", resource_id=router.id)), "")

    def move_port(self, session: Session) -> None:
        port = self.one(session, Port)
        if port and port.device_owner != ROUTER_PORT:
            instance = self.one(session, Instance)
            changed = {"host": self.host()} if self.dice.random() < 0.7 else {}
            if instance and self.dice.random() < 0.4:
                changed |= {"device_id": instance.id, "device_owner": "compute:nova"}
            session.update(replace(port, **changed, name=self.new("name")))

    def delete_port(self, session: Session) -> None:
        if port := self.one(session, Port):
            session.delete(Port, port.id)

    def add_floating_ip(self, session: Session) -> None:
        if network := self.one(session, Network):
            id = self.new("f")
            session.insert(
                FloatingIp(
                    id=id,
                    floating_network_id=network.id,
                    floating_ip_address=id,
                    floating_port_id="",
                )
            )

    def associate(self, session: Session) -> None:
        floating = self.one(session, FloatingIp)
        router = self.one(session, Router) if self.dice.random() < 0.8 else None
        if floating:
            session.update(replace(floating, router_id=router.id if router else None))

    def delete_floating_ip(self, session: Session) -> None:
        if floating := self.one(session, FloatingIp):
            session.delete(FloatingIp, floating.id)

    def add_instance(self, session: Session) -> None:
        session.insert(Instance(id=self.new("i"), name="x", number=self.made))

    def delete_instance(self, session: Session) -> None:
        if instance := self.one(session, Instance):
            for port in session.find(Port, device_id=instance.id):
                session.delete(Port, port.id)
            session.delete(Instance, instance.id)

    def add_router(self, session: Session) -> None:
        session.insert(Router(id=self.new("r")))

    def bind_network(self, session: Session) -> None:
        if network := self.one(session, Network):
            self.bind(session, "dhcp", network.id, self.dice.choice(HOSTS))

    def bind(self, session: Session, kind: str, resource_id: str, host: str) -> None:
        id = f"{kind}:{kind}-{host}:{resource_id}"
        if session.get(Binding, id) is None:
            session.insert(
                Binding(
                    id=id, kind=kind, agent_id=f"{kind}-{host}", host=host, resource_id=resource_id
                )
            )

    def disable(self, session: Session) -> None:
        """Disable or enable an agent, as the server does."""
        if binding := self.one(session, Binding):
            host = "" if binding.host else binding.agent_id.partition("-")[2]
            for other in session.find(Binding, agent_id=binding.agent_id):
                session.update(replace(other, host=host))

    def unbind_network(self, session: Session) -> None:
        found = session.find(Binding, kind="dhcp")
        if found:
            session.delete(Binding, self.dice.choice(found).id)

    def move_router(self, session: Session) -> None:
        router = self.one(session, Router)
        if router is None:
            return
        for binding in session.find(Binding, kind="l3", resource_id=router.id):
            session.delete(Binding, binding.id)
        host = self.dice.choice(["", *HOSTS])
        if host:
            self.bind(session, "l3", router.id, host)
        for port in session.find(Port, device_id=router.id, device_owner=ROUTER_PORT):
            session.update(replace(port, host=host))

    def delete_router(self, session: Session) -> None:
        router = self.one(session, Router)
        if router and not session.find(Port, device_id=router.id):
            for floating in session.find(FloatingIp, router_id=router.id):
                session.update(replace(floating, router_id=None))
            for binding in session.find(Binding, kind="l3", resource_id=router.id):
                session.delete(Binding, binding.id)
            session.delete(Router, router.id)

    def happen(self, store: Store) -> None:
        every: list[Callable[[Session], None]] = [
            self.add_network,
            self.add_port,
            self.add_port,
            self.add_instance,
            self.add_router,
            self.bind_network,
            self.bind_network,
            self.move_router,
            self.add_floating_ip,
            self.associate,
            self.associate,
            self.delete_floating_ip,
            self.move_port,
            self.move_port,
            self.change_network,
            self.unbind_network,
            self.disable,
            self.delete_port,
            self.delete_network,
            self.delete_instance,
            self.delete_router,
        ]
        done = self.dice.choices(every, k=self.dice.choice([1, 1, 3]))
        with store.write() as session:
            for one in done:
                one(session)


@pytest.mark.parametrize("seed", range(6))
def test_changes_and_snapshots_agree(store: Store, seed: int):
    life, parts = Life(seed), Parts(store)
    late = Parts(store)
    for step in range(40):
        life.happen(store)
        parts.catch_up()
        parts.check()
        if step % 13 == 12:  # a follower that was away resumes to the same part
            late.catch_up()
            late.check()


def test_a_host_is_sent_nothing_of_other_hosts(store: Store):
    with store.write() as session:
        for name in ("here", "there"):
            session.insert(Network(id=name))
            session.insert(Subnet(id=f"s-{name}", network_id=name, cidr="10.1.0.0/24"))
            session.insert(Instance(id=f"i-{name}", name=name, number=len(name)))
            session.insert(
                Port(
                    id=f"p-{name}",
                    network_id=name,
                    mac_address=name,
                    device_id=f"i-{name}",
                    device_owner="compute:nova",
                )
            )
        life = Life(0)
        life.bind(session, "dhcp", "here", "h1")
        life.bind(session, "dhcp", "there", "h2")
    parts = Parts(store)
    ids = {agent: {id for _, id in parts.parts["h1", agent]} for agent in ROLES}
    assert ids["service"] == {"here", "s-here", "p-here", "i-here"}
    assert ids["dhcp"] == {"here", "s-here", "p-here", "dhcp:dhcp-h1:here"}
    assert ids["metadata"] == {"here", "p-here"}


def test_floating_ips_are_sent_to_the_l3_agent_of_their_router_only(store: Store):
    with store.write() as session:
        session.insert(Network(id="n"))
        for host in HOSTS:
            session.insert(Router(id=f"r-{host}"))
            Life(0).bind(session, "l3", f"r-{host}", host)
            session.insert(
                FloatingIp(
                    id=f"f-{host}",
                    floating_network_id="n",
                    floating_ip_address=host,
                    floating_port_id="",
                    router_id=f"r-{host}",
                )
            )
    parts = Parts(store)
    where = {key for key, part in parts.parts.items() if ("floatingip", "f-h1") in part}
    assert where == {Follower("h1", "l3")}
    with store.write() as session:
        floating = session.require(FloatingIp, "f-h1")
        session.update(replace(floating, router_id="r-h2"))
    parts.catch_up()
    where = {key for key, part in parts.parts.items() if ("floatingip", "f-h1") in part}
    assert where == {Follower("h2", "l3")}


def test_a_port_that_moves_is_deleted_on_one_host_and_upserted_on_the_other(store: Store):
    with store.write() as session:
        session.insert(Network(id="n"))
        session.insert(Subnet(id="s", network_id="n", cidr="10.1.0.0/24"))
        port = session.insert(Port(id="p", network_id="n", mac_address="m", host="h1"))
        before = session.revision()
    with store.write() as session:
        session.update(replace(port, host="h2"))
    with store.read() as session:
        changes = session.changes_since(before)
        told = deliveries(session, changes or [], FOLLOWERS)
    gone = {(c.kind, c.id, c.resource is None) for c in told["h1", "dhcp"]}
    come = {(c.kind, c.id, c.resource is None) for c in told["h2", "dhcp"]}
    assert gone == {("port", "p", True), ("network", "n", True), ("subnet", "s", True)}
    assert come == {("port", "p", False), ("network", "n", False), ("subnet", "s", False)}


def test_a_disabled_agents_bindings_leave_its_host(store: Store):
    with store.write() as session:
        session.insert(Network(id="n"))
        Life(0).bind(session, "dhcp", "n", "h1")
    parts = Parts(store)
    assert ("binding", "dhcp:dhcp-h1:n") in parts.parts["h1", "dhcp"]
    with store.write() as session:
        Life(0).disable(session)
    parts.catch_up()
    assert parts.parts["h1", "dhcp"] == {}
    with store.write() as session:
        Life(0).disable(session)
    parts.catch_up()
    assert {kind for kind, _ in parts.parts["h1", "dhcp"]} == {"network", "binding"}
