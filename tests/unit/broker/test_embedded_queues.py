"""Who gets what from the embedded broker's queues, without any line or loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from skymap_scanner.broker.embedded.queues import Held, QueueBoard

if TYPE_CHECKING:
    from collections.abc import Hashable


def take(board: QueueBoard, queue: str = "q") -> dict[Hashable, list[tuple[int, Held]]]:
    taken: dict[Hashable, list[tuple[int, Held]]] = {}
    for key, deliveries in board.take(queue, lambda _: True):
        taken.setdefault(key, []).extend(deliveries)
    return taken


def test_consumers_share_what_is_left() -> None:
    board = QueueBoard()
    board.attach("a", "q", 100)
    board.attach("b", "q", 100)
    board.publish("q", [b"%d" % i for i in range(10)])
    shares = [len(got) for got in take(board).values()]
    assert sum(shares) == 10
    assert min(shares) >= 3


def test_a_consumer_that_cannot_be_written_to_gets_nothing() -> None:
    board = QueueBoard()
    board.attach("slow", "q", 100)
    board.attach("quick", "q", 2)
    board.publish("q", [b"1", b"2", b"3"])
    taken = dict(board.take("q", lambda key: key != "slow"))
    assert taken.keys() == {"quick"}
    assert board.n_ready("q") == 1


def test_lost_consumers_count_an_attempt_and_closed_ones_do_not() -> None:
    for is_lost, attempt in ((True, 2), (False, 1)):
        board = QueueBoard()
        board.publish("q", [b"x"])
        board.attach("a", "q", 1)
        take(board)
        assert board.detach("a", is_lost=is_lost) == "q"
        board.attach("b", "q", 1)
        ((_, held),) = take(board)["b"]
        assert held == Held(b"x", attempt)


def test_what_returns_comes_first_and_in_its_order() -> None:
    board = QueueBoard()
    board.publish("q", [b"1", b"2", b"3", b"4"])
    board.attach("a", "q", 3)
    take(board)
    board.detach("a", is_lost=True)
    board.attach("b", "q", 9)
    assert [held.body for _, held in take(board)["b"]] == [b"1", b"2", b"3", b"4"]


def test_a_turn_is_bounded_in_bytes() -> None:
    board = QueueBoard()
    board.attach("a", "q", 100)
    board.publish("q", [bytes(200_000)] * 5)
    turns = [len(deliveries) for _, deliveries in board.take("q", lambda _: True)]
    assert turns == [1] * 5


def test_queues_that_nobody_uses_are_forgotten() -> None:
    board = QueueBoard()
    for i in range(100):
        board.attach("a", f"q{i}", 1)
        board.detach("a", is_lost=False)
    board.publish("full", [b"x"])
    board.delete("full")
    assert board._queues == {}


class Books(RuleBasedStateMachine):
    """Publishes, takes and settles at random, and keeps books of where every body must be."""

    def __init__(self) -> None:
        super().__init__()
        self.board = QueueBoard()
        self.n_published = 0
        self.ready: dict[bytes, int] = {}  # body -> attempt
        self.unsettled: dict[str, dict[int, Held]] = {}
        self.prefetch: dict[str, int] = {}
        self.settled: set[bytes] = set()

    @rule(n=st.integers(0, 5))
    def publish(self, n: int) -> None:
        bodies = [b"%d" % (self.n_published + i) for i in range(n)]
        self.n_published += n
        self.board.publish("q", bodies)
        self.ready.update(dict.fromkeys(bodies, 1))

    @rule(name=st.sampled_from("abc"), prefetch=st.integers(0, 4))
    def attach_or_adjust(self, name: str, prefetch: int) -> None:
        if name in self.unsettled:
            assert self.board.set_prefetch(name, prefetch) == "q"
        else:
            self.board.attach(name, "q", prefetch)
            self.unsettled[name] = {}
        self.prefetch[name] = prefetch

    @rule(unwritable=st.sets(st.sampled_from("abc")))
    def take(self, unwritable: set[str]) -> None:
        before = {name: len(held) for name, held in self.unsettled.items()}
        for key, deliveries in self.board.take("q", lambda key: key not in unwritable):
            assert isinstance(key, str)
            assert key not in unwritable
            for tag, held in deliveries:
                assert self.ready.pop(held.body) == held.attempt
                self.unsettled[key][tag] = held
        for name, held_now in self.unsettled.items():
            assert len(held_now) <= max(self.prefetch[name], before[name])
        hungry = [
            name
            for name, held_now in self.unsettled.items()
            if name not in unwritable and len(held_now) < self.prefetch[name]
        ]
        assert not (hungry and self.ready), "somebody could have had more"

    @rule(name=st.sampled_from("abc"), data=st.data(), is_ack=st.booleans())
    def settle(self, name: str, data: st.DataObject, is_ack: bool) -> None:
        tags = sorted(self.unsettled.get(name, {}))
        chosen = data.draw(st.lists(st.sampled_from([*tags, 10**9]), unique=True))
        (self.board.ack if is_ack else self.board.nack)(name, chosen)
        for tag in chosen:
            held = self.unsettled.get(name, {}).pop(tag, None)
            if held is None:
                continue
            if is_ack:
                self.settled.add(held.body)
            else:
                self.ready[held.body] = held.attempt

    @rule(name=st.sampled_from("abc"), is_lost=st.booleans())
    def detach(self, name: str, is_lost: bool) -> None:
        self.board.detach(name, is_lost=is_lost)
        for held in self.unsettled.pop(name, {}).values():
            self.ready[held.body] = held.attempt + is_lost

    @precondition(lambda self: self.n_published > 10)
    @rule()
    def delete(self) -> None:
        self.board.delete("q")
        self.ready.clear()
        for held in self.unsettled.values():
            held.clear()

    @invariant()
    def every_body_is_in_one_place(self) -> None:
        assert self.board.n_ready("q") == len(self.ready)
        n_unsettled = sum(map(len, self.unsettled.values()))
        assert self.board.n_unsettled("q") == n_unsettled
        assert self.board.n_consumers("q") == len(self.unsettled)
        assert not self.settled & set(self.ready)


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=50, stateful_step_count=25)
