"""Free addresses: the table always equals the pools without the allocations."""

import random
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from sqlalchemy import select

from a9fe.model.resources import AllocationPool, FixedIp, Network, Port, Subnet
from a9fe.model.rules.free_ranges import free_ranges
from a9fe.store import Session, Store
from a9fe.store.schema.tables import free_ranges as table
from tests.kit.databases import DATABASES
from tests.kit.fake_clock import START

V4 = ("10.1.0.0/26", (("10.1.0.2", "10.1.0.9"), ("10.1.0.10", "10.1.0.20")), "10.1.0.")
V6 = ("fd00::/120", (("fd00::2", "fd00::9"), ("fd00::20", "fd00::2f")), "fd00::")


@pytest.fixture
def store(tmp_path: Path):
    made = Store(DATABASES.fresh(tmp_path), lambda: START)
    yield made
    made.close()


def begin(session: Session, block: str, pools: tuple[tuple[str, str], ...]) -> Subnet:
    session.insert(Network(id="n1"))
    return session.insert(
        Subnet(
            id="s1",
            network_id="n1",
            cidr=block,
            ip_version=ip_address(pools[0][0]).version,
            allocation_pools=tuple(AllocationPool(start=a, end=b) for a, b in pools),
        )
    )


def port(number: int, *addresses: str) -> Port:
    mac = f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}"
    fixed_ips = tuple(FixedIp(subnet_id="s1", ip_address=a) for a in addresses)
    return Port(id=f"p{number}", network_id="n1", mac_address=mac, fixed_ips=fixed_ips)


def stored(session: Session) -> list[tuple[str, str]]:
    query = select(table.c.first_ip, table.c.last_ip).order_by(table.c.first_ip)
    rows = session._connection.execute(query).all()
    return [(str(ip_address(bytes(a))), str(ip_address(bytes(b)))) for a, b in rows]


def addresses_of(ranges: list[tuple[str, str]]) -> set[str]:
    found = set()
    for first, last in ranges:
        family = type(ip_address(first))
        numbers = range(int(ip_address(first)), int(ip_address(last)) + 1)
        fresh = {str(family(n)) for n in numbers}
        assert fresh, "no empty range"
        assert not fresh & found, "no overlap"
        found |= fresh
    return found


@pytest.mark.parametrize("case", [V4, V6], ids=["v4", "v6"])
def test_the_table_equals_pools_without_allocations(store: Store, case: tuple):
    block, pools, prefix = case
    dice = random.Random(8)
    held: dict[int, str] = {}
    every = [f"{prefix}{n}" if "." in prefix else f"{prefix}{n:x}" for n in range(1, 60)]
    with store.write() as session:
        subnet = begin(session, block, pools)
        whole = addresses_of(list(pools))
        for step in range(150):
            free = sorted(whole - set(held.values()), key=lambda a: int(ip_address(a)))
            assert session.free_address("s1") == (free[0] if free else None)
            if len(free) > 1:
                assert session.free_address("s1", {free[0]}) == free[1]
            address = dice.choice(every)
            if held and dice.random() < 0.45:
                session.delete(Port, _drop(held, dice))
            elif address not in held.values():
                session.insert(port(step, address))
                held[step] = address
            assert addresses_of(stored(session)) == whole - set(held.values())
        narrower = (AllocationPool(start=pools[0][0], end=pools[0][1]),)
        session.update(replace(subnet, allocation_pools=narrower))
        left = free_ranges(narrower, held.values())
        assert stored(session) == [(str(r.first), str(r.last)) for r in left]


def _drop(held: dict[int, str], dice: random.Random) -> str:
    number = dice.choice(sorted(held))
    del held[number]
    return f"p{number}"


def test_a_changed_port_releases_its_former_addresses(store: Store):
    with store.write() as session:
        begin(session, V4[0], V4[1])
        made = session.insert(port(1, "10.1.0.2", "10.1.0.3"))
        kept = FixedIp(subnet_id="s1", ip_address="10.1.0.3")
        session.update(replace(made, fixed_ips=(kept,)))
        assert session.free_address("s1") == "10.1.0.2"
        session.delete(Port, "p1")
        assert addresses_of(stored(session)) == addresses_of(list(V4[1]))


def test_the_highest_address_can_be_released(store: Store):
    with store.write() as session:
        begin(session, "255.255.255.0/24", (("255.255.255.254", "255.255.255.255"),))
        session.insert(port(1, "255.255.255.255"))
        session.delete(Port, "p1")
        assert stored(session) == [("255.255.255.254", "255.255.255.255")]


def test_a_deleted_subnet_leaves_no_range(store: Store):
    with store.write() as session:
        begin(session, V4[0], V4[1])
        session.delete(Subnet, "s1")
        assert stored(session) == []
