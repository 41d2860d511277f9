"""Free addresses as ranges, so that finding one costs the same however many ports there are."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Address = IPv4Address | IPv6Address


def upgrade() -> None:
    """Make the table from the pools and the allocations."""
    ranges = op.create_table(
        "free_ranges",
        sa.Column("subnet_id", sa.String(length=36), nullable=False),
        sa.Column("first_ip", sa.LargeBinary(length=16), nullable=False),
        sa.Column("last_ip", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["subnets.id"], name="fk_free_ranges_subnet_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subnet_id", "first_ip", name="pk_free_ranges"),
    )
    for subnet_id, first, last in _free():
        row = {"subnet_id": subnet_id, "first_ip": first.packed, "last_ip": last.packed}
        op.execute(ranges.insert().values(row))


def downgrade() -> None:
    """Drop it."""
    op.drop_table("free_ranges")


def _free() -> Iterator[tuple[str, Address, Address]]:
    subnets = sa.table("subnets", sa.column("id"), sa.column("allocation_pools", sa.JSON))
    allocations = sa.table("ip_allocations", sa.column("subnet_id"), sa.column("ip_address"))
    connection = op.get_bind()
    for subnet in connection.execute(sa.select(subnets)).all():
        query = sa.select(allocations.c.ip_address).where(allocations.c.subnet_id == subnet.id)
        taken = sorted({ip_address(text) for text in connection.execute(query).scalars()}, key=int)
        for pool in subnet.allocation_pools:
            for first, last in _gaps(ip_address(pool["start"]), ip_address(pool["end"]), taken):
                yield subnet.id, first, last


def _gaps(
    first: Address, last: Address, taken: Iterable[Address]
) -> Iterator[tuple[Address, Address]]:
    start, end = int(first), int(last)
    family = type(first)
    for address in taken:
        number = int(address)
        if start <= number <= end:
            if start < number:
                yield family(start), family(number - 1)
            start = number + 1
    if start <= end:
        yield family(start), family(end)
