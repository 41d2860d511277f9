"""The states of a server's connection, as a table: what each does with data, its deadline, and the
state after each event. Pure.

An event that a row does not list leaves its state as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from math import inf
from types import MappingProxyType

from a9fe.wire.limits import Limits


class State(Enum):
    """The state of a connection. `_REST`: the client has half-closed, and may still read.

    The attributes repeat the state's row of TABLE, as connections read them with each request.
    """

    parses: bool
    discards: bool
    after: Mapping["Event", "State"]  # for every event

    IDLE = 0  # between requests
    HEAD = 1  # part of a head has arrived
    BODY = 2  # a head has arrived, and not all of its body
    ANSWERING = 3  # the handler's answer is awaited
    SENDING = 4  # part of an answer is not sent yet, as the client reads slowly
    REST = 5  # the requests that arrived before the end are taken from the buffer
    ANSWERING_REST = 6
    SENDING_REST = 7
    REFUSED = 8  # a refusal is sent: what still arrives is discarded, as a reset would overtake it
    CLOSING = 9  # the transport closes when all is sent
    CLOSED = 10


class Event(IntEnum):
    """What happens to a connection."""

    NOTHING_BEGUN = 0  # the reader holds no part of a request
    HEAD_BEGUN = 1
    BODY_BEGUN = 2
    AWAITED = 3  # the handler returned an awaitable
    ANSWERED = 4  # an answer is about to be written
    BLOCKED = 5  # the transport buffers what is written
    UNBLOCKED = 6
    REFUSED = 7  # a request is refused before it is whole, or cannot be read
    ENDED = 8  # no further request is answered
    EOF = 9  # the client has half-closed
    HUNG_UP = 10  # the client neither sends nor reads
    ABORTED = 11  # we close at once
    LOST = 12  # the transport is closed


class Data(Enum):
    """What a connection does with bytes that arrive or are buffered."""

    PARSE = "parse"  # answer each whole request
    KEEP = "keep"  # buffer them until the request before is answered
    DISCARD = "discard"


class Expiry(Enum):
    """What a connection does at its deadline."""

    CLOSE = "close"
    REFUSE = "refuse"  # answer 408
    ABORT = "abort"
    RESET = "reset"  # abort with RST, so that the kernel drops unsent data


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The time in a state, from its begin: a field of Limits, in seconds."""

    limit: str
    then: Expiry


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One state's row. Without a deadline, `bounded_by` names what ends the state."""

    data: Data
    deadline: Deadline | None = None
    bounded_by: str = ""
    after: Mapping[Event, State]


_ENDS = {Event.ABORTED: State.CLOSED, Event.LOST: State.CLOSED}
_CLOSES = {Event.ENDED: State.CLOSING, Event.HUNG_UP: State.CLOSING, **_ENDS}
_READS = {
    Event.AWAITED: State.ANSWERING,
    Event.BLOCKED: State.SENDING,
    Event.REFUSED: State.REFUSED,
    Event.EOF: State.CLOSING,
    **_CLOSES,
}

TABLE: Mapping[State, Rule] = MappingProxyType(
    {
        State.IDLE: Rule(
            data=Data.PARSE,
            deadline=Deadline(limit="idle_timeout", then=Expiry.CLOSE),
            after={**_READS, Event.HEAD_BEGUN: State.HEAD, Event.BODY_BEGUN: State.BODY},
        ),
        State.HEAD: Rule(
            data=Data.PARSE,
            deadline=Deadline(limit="head_timeout", then=Expiry.REFUSE),
            after={
                **_READS,
                Event.NOTHING_BEGUN: State.IDLE,
                Event.BODY_BEGUN: State.BODY,
                Event.ANSWERED: State.IDLE,
            },
        ),
        State.BODY: Rule(
            data=Data.PARSE,
            deadline=Deadline(limit="body_timeout", then=Expiry.REFUSE),
            after={**_READS, Event.ANSWERED: State.IDLE},
        ),
        State.ANSWERING: Rule(
            data=Data.KEEP,
            bounded_by="the handler: upstream_timeout, or metadata_wait_max",
            after={Event.ANSWERED: State.IDLE, Event.EOF: State.ANSWERING_REST, **_CLOSES},
        ),
        State.SENDING: Rule(
            data=Data.KEEP,
            deadline=Deadline(limit="write_timeout", then=Expiry.RESET),
            after={Event.UNBLOCKED: State.IDLE, Event.EOF: State.SENDING_REST, **_CLOSES},
        ),
        State.REST: Rule(
            data=Data.PARSE,
            deadline=Deadline(limit="half_closed_timeout", then=Expiry.ABORT),
            after={
                Event.AWAITED: State.ANSWERING_REST,
                Event.BLOCKED: State.SENDING_REST,
                Event.REFUSED: State.CLOSING,
                **_CLOSES,
            },
        ),
        State.ANSWERING_REST: Rule(
            data=Data.KEEP,
            deadline=Deadline(limit="half_closed_timeout", then=Expiry.ABORT),
            after={Event.ANSWERED: State.REST, **_CLOSES},
        ),
        State.SENDING_REST: Rule(
            data=Data.KEEP,
            deadline=Deadline(limit="write_timeout", then=Expiry.RESET),
            after={Event.UNBLOCKED: State.REST, **_CLOSES},
        ),
        State.REFUSED: Rule(
            data=Data.DISCARD,
            deadline=Deadline(limit="linger_timeout", then=Expiry.RESET),
            after={Event.EOF: State.CLOSING, **_CLOSES},
        ),
        State.CLOSING: Rule(
            data=Data.DISCARD,
            deadline=Deadline(limit="write_timeout", then=Expiry.RESET),
            after=_ENDS,
        ),
        State.CLOSED: Rule(data=Data.DISCARD, after={}),
    }
)

HALF_CLOSED = frozenset({State.REST, State.ANSWERING_REST, State.SENDING_REST})

for _state, _rule in TABLE.items():
    _state.parses = _rule.data is Data.PARSE
    _state.discards = _rule.data is Data.DISCARD
    _state.after = {event: _rule.after.get(event, _state) for event in Event}


def timeouts(limits: Limits) -> dict[State, float]:
    """Return the seconds that each state may last; infinite without a deadline."""
    return {
        state: getattr(limits, rule.deadline.limit) if rule.deadline else inf
        for state, rule in TABLE.items()
    }
