"""Where the model lives: the SQL schema, its migrations, and the change log.

Values in and out are the model's frozen dataclasses. A write and its rows in the change log are
one transaction, so that a follower of the log misses nothing and sees nothing that was undone.
It may not decide: which address, which agent, what may be deleted is the server's and the
model's business. SQL is SQLAlchemy Core, on SQLite and PostgreSQL; engine.py has what differs.
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
