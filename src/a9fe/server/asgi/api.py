"""Run an operation's work in a thread, inside one transaction of the store."""

from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from a9fe.model.errors import InvalidInput
from a9fe.model.policy import Caller
from a9fe.operations.transaction import Transaction
from a9fe.runtime.clock import Clock
from a9fe.runtime.config import Config
from a9fe.server.asgi.writes import Writes
from a9fe.server.auth.admissions import Admissions
from a9fe.server.auth.credentials import Authenticator
from a9fe.server.feed.hub import Hub
from a9fe.server.feed.port_watch import PortWatch
from a9fe.store import Session, Store

T = TypeVar("T")

QUERY_MAX = 500
"""Values in one query string. Databases bound a statement's parameters and depth."""


class Api:
    """The objects that every handler needs: `app.state.api`."""

    def __init__(
        self, store: Store, config: Config, clock: Clock, hub: Hub, authenticator: Authenticator
    ) -> None:
        """Store the arguments; the event loop's thread and worker threads use all of them."""
        self.store = store
        self.hub = hub
        self.port_watch = PortWatch(store)
        self.admissions = Admissions(authenticator)
        self.config = config
        self._writes = Writes(store)
        self._clock = clock

    async def write(self, request: Request, work: Callable[[Transaction], T]) -> T:
        """Return the result of `work`, committed. It runs again if its transaction loses a race.

        Raises what `work` raises, and StoreError.
        """
        caller = caller_of(request)
        return await self._writes.do(lambda session: work(self._transaction(session, caller)))

    async def read(self, request: Request, work: Callable[[Transaction], T]) -> T:
        """Return the result of `work` over a consistent view of the database."""
        caller = caller_of(request)

        def reading() -> T:
            with self.store.read() as session:
                return work(self._transaction(session, caller))

        return await run_in_threadpool(reading)

    def _transaction(self, session: Session, caller: Caller) -> Transaction:
        now = self._clock.now()
        return Transaction(session=session, config=self.config, now=now, caller=caller)


def api_of(request: Request) -> Api:
    """Return the application's Api."""
    api: Api = request.app.state.api
    return api


def caller_of(request: Request) -> Caller:
    """Return the caller that the gate authenticated."""
    caller: Caller = request.state.caller
    return caller


def query_of(request: Request) -> dict[str, list[str]]:
    """Return all values of each query parameter by name.

    Raises InvalidInput for more than QUERY_MAX values.
    """
    query: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        query.setdefault(name, []).append(value)
    if sum(map(len, query.values())) > QUERY_MAX:
        most = max(query, key=lambda name: len(query[name]))
        given = f"{len(query[most])} values"
        raise InvalidInput(most, given, f"at most {QUERY_MAX} values in the whole query")
    return query


def last_values(request: Request) -> dict[str, str]:
    """Return the last value of each query parameter. Raises InvalidInput like query_of."""
    return {name: values[-1] for name, values in query_of(request).items()}


def root_of(request: Request) -> str:
    """Return the URL of the server's root, without a trailing slash."""
    return str(request.base_url).rstrip("/")
