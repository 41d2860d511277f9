"""The store: round trips, the change log, races, broken databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from a9fe.model.errors import NotFound
from a9fe.model.resources import (
    KINDS,
    Agent,
    Binding,
    FixedIp,
    Network,
    Port,
)
from a9fe.model.rules.scheduling import timestamp
from a9fe.store import Change, Store, StoreError, session
from a9fe.store import change_log as log
from a9fe.store.schema import upgrading, versions
from a9fe.store.schema.columns import METADATA
from a9fe.store.schema.tables import TABLES
from tests.kit.databases import DATABASES
from tests.kit.stored_resources import ALL, NETWORK, PORT, SUBNET, fill

NOW = 1_795_000_000.0


@pytest.fixture
def store(tmp_path: Path):
    made = Store(DATABASES.fresh(tmp_path), lambda: NOW)
    yield made
    made.close()


def test_every_kind_goes_in_and_comes_out_the_same(store: Store):
    stored = fill(store)
    assert {type(r) for r in stored} == set(KINDS.values())
    with store.read() as reading:
        for resource in stored:
            assert reading.get(type(resource), resource.id) == resource


def test_every_field_of_the_model_has_a_column():
    for kind, cls in KINDS.items():
        missing = {f.name for f in fields(cls)} - set(TABLES[kind].c.keys())
        assert missing <= {"fixed_ips"}, kind


def test_revision_numbers_and_times_are_the_stores(store: Store):
    first = fill(store)[0]
    assert (first.revision_number, first.created_at) == (1, timestamp(NOW))
    later = Store(store._url, lambda: NOW + 60)
    with later.write() as writing:
        changed = writing.update(replace(first, name="other"))
        assert writing.update(changed) == changed
    later.close()
    assert changed.revision_number == 2
    assert (changed.created_at, changed.updated_at) == (first.created_at, timestamp(NOW + 60))


def test_every_write_is_in_the_change_log_once_in_order(store: Store):
    with store.read() as reading:
        start = reading.revision()
    stored = fill(store)
    with store.write() as writing:
        writing.update(replace(stored[0], name="other"))
        writing.delete(Binding, "dhcp:a1:n1")
    with store.read() as reading:
        changes = reading.changes_since(start)
        assert changes is not None
        assert [c.revision for c in changes] == sorted(c.revision for c in changes)
        assert changes[-2].resource == reading.get(Network, "n1")
        gone = Change(
            revision=start + len(ALL) + 2, kind="binding", id="dhcp:a1:n1", resource=None
        )
        assert replace(changes[-1], before=()) == gone
        assert len(changes) == len(ALL)
        assert reading.changes_since(reading.revision()) == []


def test_a_failed_transaction_leaves_neither_rows_nor_changes(store: Store):
    with store.read() as reading:
        start = reading.revision()
    told = []
    store.on_commit(told.append)

    def work(writing: session.Session) -> None:
        writing.insert(NETWORK)
        writing.delete(Port, "no such")

    with pytest.raises(NotFound):
        store.transact(work)
    with store.read() as reading:
        assert reading.get(Network, "n1") is None
        assert reading.revision() == start
    assert told == []


def test_listeners_are_told_of_commits_that_changed_something(store: Store):
    told = []
    store.on_commit(told.append)
    fill(store)
    with store.read() as reading:
        reached = reading.revision()
    with store.write() as writing:
        agent = writing.require(Agent, "a1")
        writing.touch(replace(agent, heartbeat_timestamp="2026-11-22T15:00:30Z"))
    assert told == [reached]
    with store.read() as reading:
        assert reading.require(Agent, "a1").heartbeat_timestamp == "2026-11-22T15:00:30Z"


def test_an_unknown_or_trimmed_revision_has_no_changes(store: Store, tmp_path: Path):
    fill(store)
    with store.read() as reading:
        now = reading.revision()
        assert reading.changes_since(now + 1) is None
        assert reading.changes_since(0) is None
        assert reading.changes_since(now - len(ALL)) is not None
        assert reading.changes_since(now - len(ALL) - 1) is None


def test_the_log_is_trimmed(store: Store):
    fill(store)
    with store.write() as writing:
        ahead = writing.revision() + log.KEPT_CHANGES
        ahead += log.TRIM_EVERY - ahead % log.TRIM_EVERY - 1
        query = f"UPDATE counters SET value = {ahead} WHERE name = 'revision'"
        writing._connection.execute(text(query))
    with store.write() as writing:
        writing.update(replace(writing.require(Network, "n1"), name="other"))
    with store.read() as reading:
        kept = reading._connection.execute(text("SELECT revision FROM change_log")).scalars().all()
    assert kept == [ahead + 1]


def test_another_database_of_the_same_name_is_detected(tmp_path: Path):
    revisions = []
    for born in (NOW, NOW + 10):
        (tmp_path / "empty.db").unlink(missing_ok=True)
        store = Store(DATABASES.empty(tmp_path), lambda born=born: born)
        store.migrate()
        fill(store)
        with store.read() as reading:
            if revisions:
                assert reading.changes_since(revisions[0]) is None
            revisions.append(reading.revision())
        store.close()


def test_find_by_fields_and_by_fixed_ips(store: Store):
    fill(store)
    with store.read() as reading:
        assert [p.id for p in reading.find(Port, ip_address="10.1.0.5")] == ["p1"]
        assert [p.id for p in reading.find(Port, subnet_id=["s1", "x"], network_id="n1")] == ["p1"]
        assert reading.find(Port, ip_address="10.1.0.6") == []
        assert reading.find(Network, id=[]) == []
        assert reading.load("dhcp") == {"a1": 1}
        assert reading.holder("s1", "10.1.0.5") == "p1"
        assert reading.holder("s1", "10.1.0.6") is None


def test_lists_are_in_the_order_of_creation(store: Store):
    ids = [f"n{i * 7 % 10}" for i in range(10)]
    with store.write() as writing:
        for id in ids:
            writing.insert(Network(id=id))
        writing.update(replace(writing.require(Network, ids[0]), name="changed"))
    with store.read() as reading:
        assert [network.id for network in reading.find(Network)] == ids


def test_more_ports_than_one_query_holds(store: Store):
    with store.write() as writing:
        writing.insert(NETWORK)
        writing.insert(SUBNET)
        for i in range(session.IN_CHUNK + 1):
            fixed = (FixedIp(subnet_id="s1", ip_address=f"10.1.{i // 250}.{i % 250}"),)
            mac = f"fa:16:3e:00:{i // 256:02x}:{i % 256:02x}"
            writing.insert(replace(PORT, id=f"p{i}", mac_address=mac, fixed_ips=fixed))
    with store.read() as reading:
        assert all(len(port.fixed_ips) == 1 for port in reading.find(Port))


def test_parallel_creators_get_different_addresses(store: Store):
    with store.write() as writing:
        writing.insert(NETWORK)
        writing.insert(SUBNET)

    def work(writing: session.Session) -> None:
        address = writing.free_address("s1")
        assert address is not None
        last = address.rsplit(".")[-1]
        fixed = (FixedIp(subnet_id="s1", ip_address=address),)
        mac = f"fa:16:3e:00:00:{int(last):02x}"
        writing.insert(replace(PORT, id=f"p{last}", mac_address=mac, fixed_ips=fixed))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.transact(work), range(40)))
    with store.read() as reading:
        addresses = [p.fixed_ips[0].ip_address for p in reading.find(Port)]
    assert len(addresses) == len(set(addresses)) == 40


def test_a_lost_race_is_repeated(store: Store):
    fill(store)
    tries = []

    def work(writing: session.Session) -> Port:
        tries.append(1)
        mac = PORT.mac_address if len(tries) < 3 else "fa:16:3e:00:00:02"
        return writing.insert(replace(PORT, id="p2", mac_address=mac, fixed_ips=()))

    assert store.transact(work).mac_address == "fa:16:3e:00:00:02"
    assert len(tries) == 3


@pytest.mark.parametrize(
    "second",
    [
        replace(PORT, id="p2", fixed_ips=()),
        replace(PORT, id="p2", mac_address="fa:16:3e:00:00:02"),
        replace(PORT, id="p2", mac_address="fa:16:3e:00:00:02", network_id="no such"),
    ],
    ids=["mac", "address", "network"],
)
def test_the_database_itself_refuses_duplicates_and_orphans(store: Store, second: Port):
    fill(store)
    with pytest.raises(StoreError):
        store.transact(lambda writing: writing.insert(second))


@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_the_migrations_make_the_schema(store: Store):
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_the_schemas_that_a9fe_knows_are_those_of_its_migrations(store: Store):
    scripts = upgrading.scripts()
    assert versions.known()[::-1] == tuple(s.revision for s in scripts.walk_revisions())
    assert versions.head() == scripts.get_current_head()


def test_an_empty_database_is_not_current_and_a_migrated_one_is(store: Store):
    assert store.is_current()
    with store.write() as writing:
        writing._connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert not store.is_current()
    with store.write() as writing:
        writing._connection.execute(text("DROP TABLE alembic_version"))
    assert not store.is_current()


def test_migrating_again_changes_nothing(store: Store):
    stored = fill(store)
    store.migrate()
    with store.read() as reading:
        assert reading.get(Network, "n1") == stored[0]


def open_and_migrate(url: str) -> None:
    store = Store(url, lambda: NOW)
    try:
        store.migrate()
    finally:
        store.close()


def test_a_database_of_a_newer_version_is_refused(store: Store):
    with store.write() as writing:
        writing._connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="schema 9999 of a newer a9fe"):
        open_and_migrate(store._url)


@pytest.mark.sqlite
def test_a_missing_directory_is_named(tmp_path: Path):
    with pytest.raises(StoreError, match=r"there is no directory .*/absent\)$") as error:
        open_and_migrate(f"sqlite:///{tmp_path}/absent/a9fe.db")
    assert "\n" not in str(error.value)


@pytest.mark.sqlite
def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    (tmp_path / "a9fe.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreError, match="file is not a database"):
        open_and_migrate(f"sqlite:///{tmp_path}/a9fe.db")


@pytest.mark.sqlite
def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path):
    (tmp_path / "a9fe.db").mkdir()
    with pytest.raises(StoreError, match="unable to open database file"):
        open_and_migrate(f"sqlite:///{tmp_path}/a9fe.db")


@pytest.mark.sqlite
def test_a_damaged_database_is_refused(store: Store, tmp_path: Path):
    fill(store)
    store.close()
    path = tmp_path / "a9fe.db"
    content = bytearray(path.read_bytes())
    content[4096 * 4 : 4096 * 12] = b"\xa5" * 4096 * 8
    path.write_bytes(content)
    with pytest.raises(StoreError) as error:
        open_and_migrate(f"sqlite:///{path}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["", "nonsense", "nosuchdb://x/y", "mysql://x/y"])
def test_an_invalid_url_is_refused(url: str):
    with pytest.raises(StoreError, match="database_connection"):
        Store(url, lambda: NOW)


def test_a_password_is_not_shown():
    with pytest.raises(StoreError, match=r"'nosuchdb://\*\*\*@host/db' is not") as error:
        Store("nosuchdb://user:secret@host/db", lambda: NOW)
    assert "secret" not in str(error.value)
