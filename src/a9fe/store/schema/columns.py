"""Columns and indexes that most tables have, and the MetaData of all tables."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, MetaData, String, text

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

ID = String(36)
NAME = String(255)
TIME = String(20)
ADDRESS = String(45)


BORN = "born"
"""The column with the revision of a resource's creation, by which lists are ordered."""


def identity(of: String = ID) -> list[Column[Any]]:
    return [
        Column("id", of, primary_key=True),
        Column(BORN, BigInteger, nullable=False, index=True),
    ]


def described() -> list[Column[Any]]:
    return [
        Column("project_id", NAME, nullable=False),
        Column("name", NAME, nullable=False),
        Column("description", NAME, nullable=False),
    ]


def listed(table: str) -> list[Index]:
    """Return the indexes with which a page of a list costs the same in a large table."""
    return [
        Index(f"ix_{table}_project_id_born", "project_id", BORN),
        Index(f"ix_{table}_name_born", "name", BORN),
        Index(f"ix_{table}_lower_name", text("lower(name)"), BORN),
    ]


def revised() -> list[Column[Any]]:
    return [
        Column("revision_number", BigInteger, nullable=False),
        Column("created_at", TIME, nullable=False),
        Column("updated_at", TIME, nullable=False),
    ]


def json_column(name: str) -> Column[Any]:
    return Column(name, JSON, nullable=False)
