"""Several workers on one sink: what they do at the same time, and what only one of them does."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from support.journals import deliver
from support.journals import node as record
from support.timing import PATIENCE, Clock, longest, wait_until

from dbt_relay.sinks import Delivered, Delivery, Hold, Retry, Verdict

if TYPE_CHECKING:
    from dbt_relay.records.schema import Record

WORKERS = 4


class Gated:
    """A sink whose requests wait until the test answers as many of them."""

    name = "gated"
    most_workers = WORKERS

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting = 0
        self.most = 0
        self.sent = 0
        self.answers: list[Verdict] = []

    def send(self, record: Record) -> Verdict:
        with self.changed:
            self.sent += 1
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: self.answers, PATIENCE)
            self.waiting -= 1
            return self.answers.pop()

    def answer(self, *verdicts: Verdict) -> None:
        with self.changed:
            self.answers += verdicts
            self.changed.notify_all()

    def close(self) -> None:
        pass


def fail_together(delivery: Delivery, sink: Gated, verdict: Verdict) -> None:
    """Put 20 records; the first request of each worker gets this answer, and has settled it."""
    for number in range(20):
        delivery.put(record(str(number)))
    wait_until(lambda: sink.waiting == WORKERS)
    sink.answer(*[verdict] * WORKERS)
    wait_until(lambda: not delivery.run.queue(sink.name).is_sending)


@pytest.mark.parametrize("trouble", [Retry("down"), Hold("forbidden")], ids=["retry", "hold"])
def test_a_server_in_trouble_gets_one_probe_at_a_time(trouble: Verdict) -> None:
    clock, sink = Clock(), Gated()
    with deliver([sink], workers=WORKERS, clock=clock, jitter=longest) as delivery:
        fail_together(delivery, sink, trouble)

        sink.most = 0
        clock.now = 1000.0
        delivery.flush(0)
        wait_until(lambda: sink.waiting == 1)
        for number in range(20):
            delivery.put(record(f"later {number}"))
        threading.Event().wait(0.05)
        assert sink.most == 1, "two workers probe the sink at once"

        sink.answer(Delivered())
        wait_until(lambda: sink.waiting == WORKERS)
        sink.answer(*[Delivered()] * 50)
        wait_until(lambda: delivery.figures()[0].delivered == 40)


def test_records_that_fail_together_count_as_one_failure() -> None:
    ceilings: list[float] = []

    def recorded(_: float, most: float) -> float:
        ceilings.append(most)
        return most

    clock, sink = Clock(), Gated()
    with deliver([sink], workers=WORKERS, clock=clock, jitter=recorded) as delivery:
        fail_together(delivery, sink, Retry("down"))
        clock.now = 0.6
        delivery.flush(0)
        wait_until(lambda: sink.sent == WORKERS + 1)
        sink.answer(Retry("down"))
        wait_until(lambda: len(ceilings) == WORKERS + 1)
        assert ceilings == [0.5] * WORKERS + [1.0], "the failures of one trouble were counted apart"


def test_workers_that_wait_for_a_probe_do_not_spin() -> None:
    clock, sink = Clock(), Gated()
    with deliver([sink], workers=WORKERS, clock=clock, jitter=longest) as delivery:
        fail_together(delivery, sink, Retry("down"))
        clock.now = 1000.0
        delivery.flush(0)
        wait_until(lambda: sink.waiting == 1)
        cpu = time.process_time()
        threading.Event().wait(0.3)
        assert time.process_time() - cpu < 0.1
        sink.answer(*[Delivered()] * 50)
        wait_until(lambda: delivery.figures()[0].delivered == 20)
