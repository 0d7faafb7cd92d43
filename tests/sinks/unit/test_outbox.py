"""The outbox against a model: nothing put into it is ever lost, and the newest of a key wins."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dbt_relay.parser.records import NodeRecord
from dbt_relay.sinks.outbox import Outbox

KEYS = st.sampled_from(["a", "b", "c", "d"])


def record(key: str, sequence: int = 1) -> NodeRecord:
    return NodeRecord(unique_id=key, status="success", outcome="success", sequence=sequence)


class OutboxMachine(RuleBasedStateMachine):
    """The model: for each key the newest record, and where the sink and the outbox have it."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox()
        self.now = 0.0
        self.number = 0
        self.newest: dict[str, NodeRecord] = {}
        self.leased: dict[str, NodeRecord] = {}
        self.accepted: dict[str, NodeRecord] = {}
        self.buried: dict[str, NodeRecord] = {}
        self.due: dict[str, float] = {}

    def settled(self, key: str) -> bool:
        newest = self.newest[key]
        return newest in (self.accepted.get(key), self.buried.get(key))

    def waiting(self) -> set[str]:
        return {key for key in self.newest if not self.settled(key)}

    @rule(key=KEYS)
    def put(self, key: str) -> None:
        if key not in self.waiting() or self.leased.get(key) is self.newest.get(key):
            self.due[key] = self.now
        self.number += 1
        self.newest[key] = record(key, self.number)
        self.outbox.put(self.newest[key], self.now)

    @rule(seconds=st.integers(1, 5))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def lease(self) -> None:
        free = {key: self.due[key] for key in self.waiting() - self.leased.keys()}
        next_due = self.outbox.next_due()
        assert next_due == min(free.values(), default=None)
        leased = self.outbox.lease(self.now)
        assert (leased is None) == (next_due is None or next_due > self.now)
        if leased is not None:
            assert leased.key not in self.leased, "two sends of one key at once"
            assert leased is self.newest[leased.key], "an older record than the newest"
            assert self.due[leased.key] <= self.now
            self.leased[leased.key] = self.newest[leased.key]

    @precondition(lambda self: self.leased)
    @rule(data=st.data(), ending=st.sampled_from(["acknowledge", "bury", "put_back"]))
    def settle(self, data: st.DataObject, ending: str) -> None:
        key = data.draw(st.sampled_from(sorted(self.leased)))
        sent = self.leased.pop(key)
        if ending == "acknowledge":
            self.accepted[key] = sent
            self.outbox.acknowledge(sent)
        elif ending == "bury":
            self.buried[key] = sent
            self.outbox.bury(sent, "refused")
        else:
            self.due[key] = self.now + 3
            self.outbox.put_back(sent, self.now + 3, "later")

    @invariant()
    def every_key_is_in_one_place(self) -> None:
        outbox = self.outbox
        places = (outbox.delivered, set(outbox.rejected), set(outbox.waiting))
        assert set.union(*places) == outbox.keys == self.newest.keys()
        assert sum(map(len, places)) == len(self.newest)
        assert set(outbox.waiting) == self.waiting()
        assert outbox.delivered == {
            k for k, newest in self.newest.items() if self.accepted.get(k) is newest
        }
        assert outbox.is_idle == (not self.waiting() and not self.leased)
        assert outbox.is_sending == bool(self.leased)


OutboxMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestOutbox = OutboxMachine.TestCase


def test_what_waits_longest_goes_first_and_a_failure_goes_to_the_end() -> None:
    outbox = Outbox()
    for key in "abc":
        outbox.put(record(key), 0)
    first = outbox.lease(0)
    assert first == record("a")
    outbox.put_back(first, 0, "reset")
    order = [outbox.lease(0) for _ in range(3)]
    assert order == [record("b"), record("c"), record("a")]


def test_records_of_one_key_coalesce_while_they_wait() -> None:
    outbox = Outbox()
    for sequence in range(1, 101):
        outbox.put(record("a", sequence), 0)
    sent = outbox.lease(0)
    assert sent == record("a", 100)
    outbox.put(record("a", 101), 0)
    outbox.put(record("a", 102), 0)
    assert outbox.lease(0) is None
    outbox.acknowledge(sent)
    assert outbox.delivered == set(), "the newest is not delivered yet"
    assert outbox.lease(0) == record("a", 102)


def test_reasons() -> None:
    outbox = Outbox()
    outbox.put(record("a"), 0)
    assert outbox.waiting == {"a": "not sent yet"}
    sent = outbox.lease(0)
    assert sent is not None
    outbox.put_back(sent, 1, "connection refused")
    assert outbox.waiting == {"a": "connection refused"}
    sent = outbox.lease(1)
    assert sent is not None
    outbox.bury(sent, "422")
    assert outbox.rejected == {"a": "422"}
    assert outbox.waiting == {}
