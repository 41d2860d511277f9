"""Works that share a commit; each is all or nothing for itself."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from a9fe.model.errors import InvalidInput, NotFound
from a9fe.model.resources import FixedIp, Network, Port, Subnet
from a9fe.store import Session, Store, StoreError
from a9fe.store.store import TOGETHER
from tests.kit.databases import DATABASES
from tests.kit.fake_clock import START

NETWORK = Network(id="n1", name="lab")
SUBNET = Subnet(id="s1", network_id="n1", cidr="10.1.0.0/24")
PORT = Port(id="p1", network_id="n1", mac_address="fa:16:3e:00:00:01")
Work = Callable[[Session], object]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(DATABASES.fresh(tmp_path), lambda: START, lambda: 0.0)  # no commit is long
    with made.write() as session:
        session.insert(NETWORK)
        session.insert(SUBNET)
        session.insert(PORT)
    yield made
    made.close()


def renamed(id: str, name: str) -> Work:
    return lambda s: s.update(replace(s.require(Port, id), name=name))


def inserted(id: str, **more: object) -> Work:
    port = replace(PORT, id=id, mac_address=f"fa:16:3e:00:00:{id[1:]:>02}")
    return lambda s: s.insert(replace(port, **more))


def refused(after: Work) -> Work:
    """Write something, then raise."""

    def work(session: Session) -> None:
        after(session)
        raise InvalidInput("name", "x", "another")

    return work


def names(store: Store) -> dict[str, str]:
    with store.read() as session:
        return {port.id: port.name for port in session.find(Port)}


def test_works_share_one_commit_and_consecutive_revisions(store: Store):
    told: list[int] = []
    store.on_commit(told.append)
    with store.read() as session:
        before = session.revision()
    outcomes = store.transact_all([renamed("p1", "a"), inserted("p2"), renamed("p2", "b")])
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert [port.revision_number for port in (o.value for o in outcomes)] == [2, 1, 2]
    assert names(store) == {"p1": "a", "p2": "b"}
    assert told == [before + 3]


def test_a_failing_work_rolls_back_only_itself(store: Store):
    with store.read() as session:
        before = session.revision()
    outcomes = store.transact_all(
        [
            renamed("p1", "a"),
            refused(renamed("p1", "never")),
            refused(inserted("p2")),
            renamed("p2", "nor this"),
            renamed("p1", "b"),
        ]
    )
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [type(None), InvalidInput, InvalidInput, NotFound, type(None)]
    assert names(store) == {"p1": "b"}
    with store.read() as session:
        assert session.revision() == before + 2
        assert [c.revision for c in session.changes_since(before) or []] == [before + 2]
        assert session.require(Port, "p1").revision_number == 3


def test_a_work_that_lost_a_race_is_repeated_alone(store: Store):
    tries: list[int] = []
    address = (FixedIp(subnet_id="s1", ip_address="10.1.0.5"),)

    def second(session: Session) -> Port:
        tries.append(1)
        mac = PORT.mac_address if len(tries) == 1 else "fa:16:3e:00:00:09"
        return session.insert(replace(PORT, id="p3", mac_address=mac))

    outcomes = store.transact_all([inserted("p2", fixed_ips=address), second, renamed("p1", "a")])
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert names(store) == {"p1": "a", "p2": "", "p3": ""}
    assert len(tries) == 2


def test_a_work_that_ends_the_transaction_loses_no_other_work(store: Store):
    def broken(session: Session) -> None:
        session._connection.execute(text("SELECT nothing FROM nowhere"))

    works = [renamed("p1", "a"), broken, inserted("p2")]
    done = store.transact_all(works)
    left = works[len(done) :]
    outcomes = done + (store.transact_all(left) if left else [])
    assert [type(outcome.error) for outcome in outcomes] == [type(None), StoreError, type(None)]
    assert names(store) == {"p1": "a", "p2": ""}


def test_no_work_joins_a_long_commit(tmp_path: Path):
    clock = [0.0]
    store = Store(DATABASES.fresh(tmp_path), lambda: START, lambda: clock[0])

    def slow(_: Session) -> None:
        clock[0] += TOGETHER / 2

    outcomes = store.transact_all([slow] * 10)
    store.close()
    assert len(outcomes) == 3


def test_a_writer_reads_what_it_wrote(store: Store):
    with store.write() as session:
        assert session.get(Port, "p2") is None
        inserted("p2")(session)
        assert session.require(Port, "p2").name == ""
        renamed("p2", "x")(session)
        assert session.require(Port, "p2").name == "x"
        assert session.find(Port, name="x")[0].id == "p2"
        session.delete(Port, "p2")
        assert session.get(Port, "p2") is None
