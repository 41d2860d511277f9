"""Databases of the store, filled with any number of ports without the API."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from sqlalchemy import insert, text
from tests.kit.databases import empty_sqlite, running_postgres

from a9fe.model.resources import AllocationPool, FixedIp, Network, Port, Subnet
from a9fe.store import Session, Store
from a9fe.store.schema.columns import BORN
from a9fe.store.schema.rows import to_row
from a9fe.store.schema.tables import ip_allocations, ports

BATCH = 5_000
DURABLE = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on"}
"""Settings of PostgreSQL on a host that must not lose data."""


@contextmanager
def both(directory: Path) -> Iterator[dict[str, str]]:
    """Yield the URL of an empty, migrated database of each kind; PostgreSQL with fsync."""
    large = {"shared_buffers": "256MB", "max_wal_size": "4GB"}
    with running_postgres({**DURABLE, **large}) as cluster:
        yield {"SQLite": _file(directory), "PostgreSQL": cluster.fresh()}


def _file(directory: Path) -> str:
    (directory / "a9fe.db").write_bytes(empty_sqlite())
    return f"sqlite:///{directory}/a9fe.db"


def subnet(session: Session, number: int) -> Subnet:
    """Create a network with one 10.x.0.0/16."""
    network = session.insert(Network(id=str(uuid.uuid4()), name=f"n{number}", project_id="bench"))
    pool = AllocationPool(start=f"10.{number}.0.10", end=f"10.{number}.254.254")
    made = Subnet(
        id=str(uuid.uuid4()),
        network_id=network.id,
        project_id="bench",
        cidr=f"10.{number}.0.0/16",
        gateway_ip=f"10.{number}.0.1",
        allocation_pools=(pool,),
    )
    return session.insert(made)


def fill(store: Store, to: Subnet, count: int, first: int = 0) -> None:
    """Add `count` ports to a subnet, from the `first` address of its pool on."""
    start = int(ip_address(to.allocation_pools[0].start)) + first
    for begin in range(0, count, BATCH):
        numbers = range(begin, min(begin + BATCH, count))
        with store.write() as session:
            _add(session, [_port(to, start + n) for n in numbers])
    with store.write() as session:
        session._free.define(to)  # noqa: SLF001 - rows were added without the session


def _port(to: Subnet, number: int) -> Port:
    octets = number.to_bytes(4, "big")
    return Port(
        id=str(uuid.uuid4()),
        network_id=to.network_id,
        mac_address=(b"\xfa\x16" + octets).hex(":"),
        name=f"port-{number}",
        project_id=f"p{number % 5}",
        device_id=str(uuid.UUID(int=number)),
        device_owner="compute:nova",
        host=f"h{number % 500}",
        fixed_ips=(FixedIp(subnet_id=to.id, ip_address=str(ip_address(number))),),
        created_at="2026-11-22T15:00:00Z",
        updated_at="2026-11-22T15:00:00Z",
        revision_number=1,
    )


def _add(session: Session, made: list[Port]) -> None:
    connection = session._connection  # noqa: SLF001 - no method adds so many
    base = session.revision()
    rows = [{**to_row(port), BORN: base + i} for i, port in enumerate(made, 1)]
    connection.execute(insert(ports), rows)
    held = [
        {"port_id": p.id, "position": 0, "subnet_id": f.subnet_id, "ip_address": f.ip_address}
        for p in made
        for f in p.fixed_ips
    ]
    connection.execute(insert(ip_allocations), held)
    query = text("UPDATE counters SET value = :value WHERE name = 'revision'")
    connection.execute(query, {"value": base + len(rows)})


def analyze(store: Store) -> None:
    """Update the query planner's statistics, as autovacuum would later."""
    with store.write() as session:
        session._connection.execute(text("ANALYZE"))  # noqa: SLF001 - as above
