"""Export and import into another database of either kind, all or nothing."""

import json
from pathlib import Path

import pytest

from a9fe.model.resources import KINDS, Agent, FixedIp, Instance, Network, Port
from a9fe.store import Store, TransferError
from tests.kit.databases import DATABASES
from tests.kit.databases import KINDS as DATABASE_KINDS
from tests.kit.fake_clock import START
from tests.kit.stored_resources import ALL, fill


@pytest.fixture
def store(tmp_path: Path):
    made = Store(DATABASES.fresh(tmp_path), lambda: START)
    yield made
    made.close()


def another(directory: Path, kind: str) -> Store:
    """Return a migrated, empty database of a kind."""
    now, DATABASES.kind = DATABASES.kind, kind
    (directory / "other").mkdir()
    store = Store(DATABASES.fresh(directory / "other"), lambda: START + 60)
    DATABASES.kind = now
    return store


def everything(store: Store) -> dict[str, list[object]]:
    with store.read() as session:
        return {kind: list(session.find(cls)) for kind, cls in KINDS.items()}


@pytest.mark.parametrize("kind", DATABASE_KINDS)
def test_the_other_database_has_the_same_model(store: Store, tmp_path: Path, kind: str):
    fill(store)
    with store.read() as session:
        reached = session.revision()
    lines = list(store.export())
    assert json.loads(lines[0])["revision"] == reached
    other = another(tmp_path, kind)
    assert other.load(lines) == len(lines) - 1
    assert everything(other) == everything(store)
    with other.read() as session:
        assert session.changes_since(reached) is None  # its followers begin with a snapshot
        assert session.revision() > reached
        assert session.require(Instance, "i1").user_data == b"\0\xff#!"
        assert session.free_address("s1") == "10.1.0.2"
    fixed = (FixedIp(subnet_id="s1", ip_address="10.1.0.2"),)
    new = Port(id="p9", network_id="n1", mac_address="fa:16:3e:00:00:09", fixed_ips=fixed)
    other.transact(lambda session: session.insert(new))
    other.close()


def test_an_import_keeps_the_id_and_accepts_others_only_on_request(store: Store, tmp_path: Path):
    with store.read() as session:
        first = session.lineage()
    assert (len(first.store), first.accepts) == (16, ())
    taken = store.accept("f" * 16)
    assert taken.store != first.store
    assert set(taken.accepts) == {first.store, "f" * 16}
    restored = store.accept()
    assert set(restored.accepts) == {first.store, taken.store, "f" * 16}
    other = another(tmp_path, "sqlite")
    with other.read() as session:
        assert session.lineage() != restored
    other.load(list(store.export()))
    with other.read() as session:
        assert session.lineage() == restored
    other.close()


def test_a_database_with_anything_in_it_is_left_alone(store: Store):
    fill(store)
    lines = list(store.export())
    before = everything(store)
    with pytest.raises(TransferError, match="is not empty: it has "):
        store.load(lines)
    assert everything(store) == before


BAD = {
    "empty": ([], "line 1: not JSON"),
    "no export": (["{}\n"], "line 1: not an export of"),
    "other schema": (['{"a9fe_export":1,"schema":"0001","revision":5}\n'], "schema 0001"),
}


@pytest.mark.parametrize(("lines", "message"), BAD.values(), ids=BAD)
def test_a_malformed_export_is_refused(store: Store, lines: list[str], message: str):
    with pytest.raises(TransferError, match=message):
        store.load(lines)


LAST_LINES = (
    '{"table":"networks"',
    "[]",
    '{"table":"nothing","row":{}}',
    '{"table":"networks","row":{"id":"n7"}}',
)


@pytest.mark.parametrize("bad", LAST_LINES)
def test_a_bad_line_imports_nothing(store: Store, tmp_path: Path, bad: str):
    fill(store)
    lines = [*store.export(), bad]
    other = another(tmp_path, DATABASES.kind)
    with pytest.raises(TransferError, match=f"^line {len(lines)}: "):
        other.load(lines)
    with other.read() as session:
        assert session.find(Network) == []
        assert session.find(Agent) == []
    other.close()


def test_every_kind_is_in_the_export(store: Store):
    fill(store)
    exported = {json.loads(line).get("table") for line in store.export()}
    assert {"networks", "ports", "ip_allocations", "instances", "agents"} <= exported
    assert len(ALL) < len(list(store.export()))
