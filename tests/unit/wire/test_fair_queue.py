"""The fair queue: bounds, turns, byte rates, timeouts."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from a9fe.wire.fair_queue import FairQueue, QueueLimits

LIMITS = QueueLimits(
    at_once=3,
    at_once_per_client=2,
    queue=1000,
    queue_per_client=900,
    wait=10.0,
    byte_rate=100,
    burst_bytes=50,
)
NOISY, NEIGHBOUR = ("net", "noisy"), ("net", "neighbour")


@dataclass
class Play:
    """A fair queue whose requests are started and ended by hand. A ticket is (client, number)."""

    limits: QueueLimits = LIMITS
    now: float = 100.0
    running: list = field(default_factory=list)
    started: list = field(default_factory=list)
    refused: list = field(default_factory=list)
    left: list = field(default_factory=list)
    CLIENTS: ClassVar = [("a", "0"), ("a", "1"), ("a", "2"), ("b", "0")]

    def __post_init__(self):
        self.queue = FairQueue(self.limits)
        self.count = 0

    def arrive(self, client):
        self.count += 1
        ticket = (client, self.count)
        if self.queue.begin(client, self.now):
            self._run(ticket)
        elif not self.queue.enqueue(client, ticket, self.now):
            self.refused.append(ticket)
        return ticket

    def finish(self, ticket, size=0):
        self.running.remove(ticket)
        self.queue.end(ticket[0], size, self.now)
        self.queue.free(ticket[0], self.now)
        self.go_on()

    def go_on(self):
        while (ticket := self.queue.take(self.now)) is not None:
            self._run(ticket)

    def _run(self, ticket):
        self.running.append(ticket)
        self.started.append(ticket)

    def of(self, client):
        return [ticket for ticket in self.running if ticket[0] == client]

    def leave(self, number):
        waiting = list(self.queue._tickets)
        if waiting:
            self.left.append(waiting[number % len(waiting)])
            self.queue.leave(self.left[-1], self.now)

    def step(self, what, number, size):
        if what == "arrive":
            self.arrive(self.CLIENTS[number % 4])
        elif what == "finish" and self.running:
            self.finish(self.running[number % len(self.running)], size)
        elif what == "leave":
            self.leave(number)
        else:
            self.now += number / 10
            self.go_on()

    def run_dry(self):
        while self.running or self.queue.next_at() is not None:
            while self.running:
                self.finish(self.running[0])
            self.now = max(self.now, self.queue.next_at() or 0)
            self.go_on()


def test_a_thousand_requests_of_one_delay_another_by_one():
    play = Play(replace(LIMITS, at_once=1, at_once_per_client=1))
    for _ in range(800):
        play.arrive(NOISY)
    mine = play.arrive(NEIGHBOUR)
    play.finish(play.running[0])
    play.finish(play.running[0])
    assert mine in play.started[:3]


def test_many_clients_on_one_network_delay_another_network_by_one():
    play = Play(replace(LIMITS, at_once=1, at_once_per_client=1))
    for n in range(100):
        play.arrive(("net", str(n)))
        play.arrive(("net", str(n)))
    mine = play.arrive(("other", "guest"))
    play.finish(play.running[0])
    play.finish(play.running[0])
    assert mine in play.started[:3]


def test_a_client_has_a_bounded_number_of_places():
    play = Play()
    for _ in range(5):
        play.arrive(NOISY)
    assert len(play.running) == 2
    assert play.arrive(NEIGHBOUR) in play.running


def test_the_queue_is_bounded_per_client_and_in_all():
    play = Play(replace(LIMITS, queue=5, queue_per_client=3))
    for _ in range(7):
        play.arrive(NOISY)
    assert len(play.refused) == 2
    for _ in range(6):
        play.arrive(NEIGHBOUR)
    assert play.queue.queued == 5


def test_without_a_queue_a_request_waits_only_for_an_ended_ones_place():
    play = Play(replace(LIMITS, queue=0, queue_per_client=0))
    first, _ = play.arrive(NOISY), play.arrive(NOISY)
    assert play.arrive(NOISY) in play.refused
    play.queue.end(NOISY, 0, play.now)  # answered, and its place still taken
    waits = play.arrive(NOISY)
    assert waits not in play.refused
    assert play.arrive(NOISY) in play.refused
    play.running.remove(first)
    play.queue.free(NOISY, play.now)
    play.go_on()
    assert waits in play.running


def test_after_large_answers_a_client_waits_for_its_byte_rate():
    play = Play()
    play.finish(play.arrive(NOISY), size=250)  # 2.5 s of its rate, less the burst's 0.5 s
    waits = play.arrive(NOISY)
    assert waits not in play.running
    assert play.arrive(NEIGHBOUR) in play.running
    assert play.queue.next_at() == 102.0
    play.now = 101.9
    play.go_on()
    assert waits not in play.running
    play.now = 102.0
    play.go_on()
    assert waits in play.running
    assert play.queue.next_at() is None


def test_a_burst_of_bytes_delays_nothing():
    play = Play()
    for _ in range(5):
        ticket = play.arrive(NOISY)
        assert ticket in play.running
        play.finish(ticket, size=10)


def test_queued_requests_expire_and_can_leave():
    play = Play(replace(LIMITS, at_once_per_client=1))
    under_way, late, gone = (play.arrive(NOISY) for _ in range(3))
    play.now += 5
    later = play.arrive(NOISY)
    play.queue.leave(gone, play.now)
    assert play.queue.overdue(play.now + 4.9) == []
    assert play.queue.overdue(play.now + 5) == [late]
    play.finish(under_way)
    assert play.running == [later]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "arrive", "finish", "leave", "wait"]),
        st.integers(0, 5),
        st.integers(0, 200),
    ),
    max_size=150,
)


@given(STEPS)
def test_bounds_hold_and_every_request_is_served(steps):
    play = Play(replace(LIMITS, queue=20, queue_per_client=8, wait=1e9))
    for step in steps:
        play.step(*step)
        assert len(play.running) <= 3
        assert all(len(play.of(client)) <= 2 for client in Play.CLIENTS)
    play.run_dry()
    assert play.queue.queued == 0
    ends = play.started + play.refused + play.left
    assert len(ends) == len(set(ends)) == play.count
    play.queue.forget_paid(play.now + 1e6)
    assert play.queue.clients == 0
