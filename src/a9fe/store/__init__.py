"""The database: SQL schema, migrations, transactions, and the change log.

Callers read and write the model's frozen dataclasses. A write and its rows in the change log are
one transaction, so that a follower of the log misses no change and sees none that was rolled
back. This room decides nothing: operations and the model choose addresses and agents and say
what may be deleted. SQL is SQLAlchemy Core on SQLite and PostgreSQL; engine.py has the
differences.
"""

from a9fe.store.engine import BUSY_TIMEOUT, StoreError, StoreFull
from a9fe.store.session import Change, Session
from a9fe.store.side_tables.identity_keys import IdentityKey
from a9fe.store.side_tables.imds_usage import UsageOfInstance
from a9fe.store.store import Outcome, Store
from a9fe.store.transfer import TransferError

__all__ = [
    "BUSY_TIMEOUT",
    "Change",
    "IdentityKey",
    "Outcome",
    "Session",
    "Store",
    "StoreError",
    "StoreFull",
    "TransferError",
    "UsageOfInstance",
]
