"""The states of a connection: properties of the table, and random events on a real connection."""

import asyncio
import socket
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.http.report import silent_report
from a9fe.http.server.connection import Connection
from a9fe.http.server.states import HALF_CLOSED, TABLE, Data, Event, Expiry, State, timeouts
from a9fe.http.upstream.errors import UpstreamBroken
from a9fe.wire.limits import LIMITS, Limits
from a9fe.wire.message import Answer, Request
from tests.kit.http_world import run, turns

ENDING = {State.CLOSING, State.CLOSED}


def following(state: State) -> set[State]:
    return set(TABLE[state].after.values())


@pytest.mark.parametrize("state", [one for one in State if one is not State.CLOSED])
def test_every_state_that_is_not_final_ends_in_bounded_time(state):
    rule = TABLE[state]
    assert (rule.deadline is None) == bool(rule.bounded_by)
    if rule.deadline is not None:
        assert rule.deadline.limit in {field.name for field in fields(Limits)}
        assert 0 < timeouts(LIMITS)[state] < 60


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached_and_closed_at_once(state):
    reached = {State.IDLE}
    for _ in State:
        reached |= {after for one in reached for after in following(one)}
    assert state in reached
    assert state.after[Event.LOST] is state.after[Event.ABORTED] is State.CLOSED


def test_nothing_leads_out_of_the_final_states():
    assert following(State.CLOSED) == set()
    assert following(State.CLOSING) == {State.CLOSED}
    assert following(State.REFUSED) == ENDING


@pytest.mark.parametrize("state", [one for one in State if one in HALF_CLOSED])
def test_after_the_clients_end_the_connection_is_never_read_again(state):
    assert following(state) <= HALF_CLOSED | ENDING


@pytest.mark.parametrize("state", State)
def test_a_request_is_started_only_where_none_is_awaited_or_unsent(state):
    busy = state.name.startswith(("ANSWERING", "SENDING"))
    assert state.parses != (busy or state in {State.REFUSED, *ENDING})
    assert (Event.AWAITED in TABLE[state].after) == state.parses
    assert (Event.UNBLOCKED in TABLE[state].after) == state.name.startswith("SENDING")
    if TABLE[state].deadline and TABLE[state].deadline.then is Expiry.REFUSE:
        assert TABLE[state].data is Data.PARSE


class Transport(asyncio.Transport):
    """Keeps what is written; while `blocked`, it is unsent."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.sock = sock
        self.written: list[bytes] = []
        self.unsent = 0
        self.blocked = self.closing = self.aborted = self.eof = False
        self.reading = True
        self.protocol: Connection | None = None

    def write(self, data: bytes) -> None:
        assert not self.aborted
        self.written.append(data)
        if self.blocked:
            first, self.unsent = not self.unsent, self.unsent + len(data)
            if first:
                self.protocol.pause_writing()

    def unblock(self) -> None:
        self.blocked = False
        if self.unsent:
            self.unsent = 0
            self.protocol.resume_writing()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.sock

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def is_reading(self) -> bool:
        return self.reading and not self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True


class World:
    """A connection, its transport, and a handler whose answers are given by hand."""

    limits, report, draining, outgoing = LIMITS, silent_report(), False, None
    timeouts = timeouts(LIMITS)

    def __init__(self, sock: socket.socket) -> None:
        self.now = 0.0
        self.sent = self.got = 0
        self.pending: asyncio.Future[Answer] | None = None
        self.asked: list[bytes] = []
        self.transport = Transport(sock)
        self.connection = self.transport.protocol = Connection(self, None)
        self.connection.connection_made(self.transport)

    @property
    def state(self) -> State:
        return self.connection._state

    # What the connection calls.

    def opened(self, connection: Connection) -> None:
        pass

    def holds(self, connection: Connection, held: int, *, arriving: bool) -> None:
        connection.held, connection.arriving = held, arriving

    def closed(self, connection: Connection) -> None:
        pass

    def handler(self, request: Request) -> Answer | asyncio.Future[Answer]:
        assert self.pending is None or self.pending.done()
        assert not self.transport.unsent
        assert self.state.parses
        self.asked.append(request.target)
        if request.target.endswith(b"0"):
            return self.answer_to(request.target)
        self.pending = asyncio.get_running_loop().create_future()
        return self.pending

    def answer_to(self, target: bytes) -> Answer:
        return Answer(status=200, body=b"<%b>" % target)

    # Steps.

    def receive(self, data: bytes) -> None:
        if self.transport.is_reading() and self.got == 0:
            self.connection.data_received(data)

    def whole(self) -> None:
        self.sent += 1
        self.receive(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % self.sent)

    def part_of_a_head(self) -> None:
        self.receive(b"GET /10 HTTP/1.1\r\nHo")

    def rest_of_the_head(self) -> None:
        self.receive(b"st: a\r\n\r\n")

    def head_with_body(self) -> None:
        self.receive(
            b"PUT /20 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )

    def body(self) -> None:
        self.receive(b"ab")

    def last(self) -> None:
        self.receive(b"GET /9 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    def nonsense(self) -> None:
        self.receive(b"\0\r\n\r\n")

    def answer(self) -> None:
        if self.pending is not None and not self.pending.done():
            self.pending.set_result(self.answer_to(self.asked[-1]))

    def fail(self) -> None:
        if self.pending is not None and not self.pending.done():
            self.pending.set_exception(UpstreamBroken("upstream"))

    def block(self) -> None:
        self.transport.blocked = True

    def unblock(self) -> None:
        if not self.transport.aborted:
            self.transport.unblock()

    def end_of_file(self) -> None:
        if not self.got and not self.transport.closing:
            self.got = 1
            if not self.connection.eof_received():
                self.transport.close()

    def lose(self) -> None:
        self.transport.abort()
        self.connection.connection_lost(None)

    def later(self) -> None:
        self.now += 3
        self.connection.sweep(self.now)

    def drain(self) -> None:
        self.connection.drain()

    def reset(self) -> None:
        self.connection.reset()

    def check(self) -> None:
        assert (self.state in ENDING) == self.transport.closing
        assert (self.state is State.CLOSED) == self.transport.aborted
        if self.state is State.REFUSED:
            assert self.transport.eof
        if self.state in {State.SENDING, State.SENDING_REST}:
            assert self.transport.unsent
        if self.state is State.IDLE:
            assert self.connection._reader.is_empty
        if self.transport.unsent and not self.transport.closing:
            assert self.state in {State.SENDING, State.SENDING_REST, State.REFUSED}
        answers = [one for one in self.transport.written if b" 100 " not in one]
        expected = [b"<%b>" % target for target in self.asked]
        assert all(b in a for a, b in zip(answers, expected, strict=False) if b"<" in a)


STEPS = [
    name
    for name in vars(World)
    if name not in {"opened", "holds", "closed", "handler", "answer_to", "receive", "check"}
    and callable(getattr(World, name))
    and not name.startswith("_")
]
OFTEN = ["whole", "answer", "head_with_body", "body", "block", "unblock"]  # which end nothing


@given(st.lists(st.sampled_from(STEPS + 5 * OFTEN), min_size=3, max_size=25))
def test_any_order_of_events_keeps_to_the_table_and_ends(steps: list[str]):
    async def main():
        ours, theirs = socket.socketpair()
        with ours, theirs:
            world = World(ours)
            for step in steps:
                getattr(world, step)()
                await turns(2)
                world.check()
            world.block()
            for _ in range(5):  # whatever the state, its deadline or the handler ends it
                world.answer()
                await turns(2)
                world.now += 60
                world.connection.sweep(world.now)
                world.check()
            assert world.transport.aborted or (
                world.transport.closing and not world.transport.unsent
            )
            world.lose()
            await turns(2)
            assert world.state is State.CLOSED
            assert world.pending is None or world.pending.done()

    run(main)
