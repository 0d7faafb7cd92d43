"""Delivery: retry, hold and deadline, with a clock that only the tests move."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given
from support.journals import deliver
from support.journals import node as record
from support.timing import PATIENCE, Clock, longest, wait_until, within

from dbt_relay.records.schema import Record, RunRecord
from dbt_relay.sinks import Delivered, Delivery, Hold, Rejected, Retry, Verdict
from dbt_relay.sinks.outbox import BATCH, BATCH_SECONDS
from dbt_relay.sinks.patience import LONGEST_DELAY, LONGEST_RETRY_AFTER, PROBE_EVERY, retry_delay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Scripted:
    """A sink that answers from a script and then takes everything. `sent` has the times, too."""

    name = "scripted"

    def __init__(self, *script: Verdict | Exception, clock: Clock, workers: int = 1) -> None:
        self.most_workers = workers
        self.script = deque(script)
        self.clock = clock
        self.sent: list[tuple[float, str, int]] = []
        self.is_closed = False

    def send(self, record: Record) -> Verdict:
        self.sent.append((self.clock.now, record.key, record.sequence))
        step = self.script.popleft() if self.script else Delivered()
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.is_closed = True

    @property
    def times(self) -> list[float]:
        return [at for at, _, _ in self.sent]

    def wait_until_asked(self, delivery: Delivery, times: int) -> None:
        """Wait until the delivery has taken so many answers. Only then may the clock move on."""
        queue = delivery.run.queue(self.name)
        wait_until(lambda: len(self.sent) == times and not queue.is_sending)


class Hanging:
    """A sink that hangs in every request until `answers` is set.

    The first request for a key in `hold_once` is answered with Hold.
    """

    name = "hanging"
    most_workers = 16

    def __init__(self, hold_once: set[str] | None = None) -> None:
        self.hold_once = hold_once or set()
        self.entered = threading.Semaphore(0)
        self.answers = threading.Event()
        self.sent: list[tuple[str, int]] = []
        self.is_closed = False

    def send(self, record: Record) -> Verdict:
        self.sent.append((record.key, record.sequence))
        self.entered.release()
        if record.key in self.hold_once:
            self.hold_once.remove(record.key)
            return Hold("403")
        assert self.answers.wait(PATIENCE)
        return Delivered()

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait_until(lambda: set(threading.enumerate()) <= before)


def idle(delivery: Delivery, clock: Clock, worker: str = "relay-scripted-0") -> None:
    """Wait until the worker has woken up, has read the clock, and sleeps again."""
    seen = clock.reads.get(worker, 0)
    delivery.flush(0)
    wait_until(lambda: clock.reads.get(worker, 0) > seen)
    delivery.figures()


class TestRetryDelay:
    @pytest.mark.parametrize(
        ("failures", "ceiling"),
        [(0, 0.5), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30), (10**6, 30)],
    )
    def test_the_ceiling_doubles_up_to_a_cap(self, failures: int, ceiling: float) -> None:
        assert retry_delay(failures, None, longest) == ceiling

    @pytest.mark.parametrize(
        ("after", "delay"), [(7.0, 7.0), (0.0, 0.5), (0.1, 0.5), (300.0, 300), (1e9, 300)]
    )
    def test_retry_after_is_honoured_up_to_a_cap(self, after: float, delay: float) -> None:
        assert retry_delay(0, after, longest) == delay

    @given(
        st.integers(0, 10**9),
        st.none() | st.floats(0, allow_nan=False),
        st.floats(0, 1),
    )
    def test_any_delay_is_bounded(self, failures: int, after: float | None, luck: float) -> None:
        delay = retry_delay(failures, after, lambda low, high: low + luck * (high - low))
        assert min(after or 0, LONGEST_RETRY_AFTER) <= delay
        assert delay <= max(LONGEST_DELAY, min(after or 0, LONGEST_RETRY_AFTER))


class TestRetry:
    def test_waits_longer_each_time_and_starts_over_after_a_success(self, clock: Clock) -> None:
        sink = Scripted(*[Retry("down")] * 3, clock=clock)
        with deliver([sink], clock=clock, jitter=longest) as delivery:
            delivery.put(record("a"))
            for sends, pause in enumerate((0.5, 1.0, 2.0), start=1):
                sink.wait_until_asked(delivery, sends)
                assert delivery.figures()[0].waiting == {"a": "down"}
                clock.now += pause - 0.01
                idle(delivery, clock)
                assert len(sink.sent) == sends, "too early"
                clock.now += 0.01
                delivery.flush(0)
            wait_until(lambda: delivery.figures()[0].delivered == 1)
            assert sink.times == pytest.approx([0, 0.5, 1.5, 3.5])

            sink.script.append(Retry("down again"))
            delivery.put(record("b"))
            sink.wait_until_asked(delivery, 5)
            clock.now += 0.5
            delivery.flush(0)
            sink.wait_until_asked(delivery, 6)

    def test_retry_after_holds_back_all_records(self, clock: Clock) -> None:
        sink = Scripted(Retry("slow down", after=7), clock=clock)
        with deliver([sink], clock=clock, jitter=longest) as delivery:
            delivery.put(record("a"))
            sink.wait_until_asked(delivery, 1)
            for key in "bcd":
                delivery.put(record(key))
            clock.now = 6.9
            idle(delivery, clock)
            assert len(sink.sent) == 1
            clock.now = 7.0
            delivery.flush(0)
            wait_until(lambda: delivery.figures()[0].delivered == 4)
            assert sink.times == [0, 7, 7, 7, 7]

    def test_the_newest_record_is_sent_after_an_outage(self, clock: Clock) -> None:
        sink = Scripted(Retry("down"), clock=clock)
        with deliver([sink], clock=clock, jitter=longest) as delivery:
            delivery.put(record("a", 1))
            sink.wait_until_asked(delivery, 1)
            for sequence in (2, 3, 4):
                delivery.put(record("a", sequence))
            clock.now = 1.0
            delivery.flush(0)
            wait_until(lambda: delivery.figures()[0].delivered == 1)
        assert sink.sent == [(0, "a", 1), (1, "a", 4)]

    def test_a_sink_that_raises_is_tried_again_and_its_message_is_not_shown(
        self, clock: Clock
    ) -> None:
        sink = Scripted(ValueError("token=hunter2"), clock=clock)
        with deliver([sink], clock=clock, jitter=longest) as delivery:
            delivery.put(record("a"))
            wait_until(lambda: delivery.figures()[0].waiting["a"] != "not sent yet")
            assert delivery.figures()[0].waiting == {"a": "ValueError in the sink"}
            clock.now = 0.5
            delivery.flush(0)
            wait_until(lambda: delivery.figures()[0].delivered == 1)
        assert sink.times == [0, 0.5]


class TestHold:
    def test_a_held_sink_is_tried_rarely(self, clock: Clock) -> None:
        sink = Scripted(Hold("403"), Hold("still 403"), clock=clock)
        with deliver([sink], clock=clock) as delivery:
            delivery.put(record("a"))
            wait_until(lambda: "403" in delivery.figures()[0].waiting.values())
            for second in range(1, 2 * int(PROBE_EVERY) + 1):
                clock.now = float(second)
                seen = clock.reads["relay-scripted-0"]
                delivery.put(record(f"n{second}"))
                wait_until(lambda seen=seen: clock.reads["relay-scripted-0"] > seen)
                if second == PROBE_EVERY:
                    wait_until(lambda: "still 403" in delivery.figures()[0].waiting.values())
            wait_until(lambda: not delivery.figures()[0].waiting)
            assert sink.times[:3] == [0, PROBE_EVERY, 2 * PROBE_EVERY]

    def test_it_is_tried_once_more_at_the_end(self, clock: Clock) -> None:
        sink = Scripted(Hold("no such run"), clock=clock)
        with deliver([sink], clock=clock) as delivery:
            delivery.put(record("a"))
            wait_until(lambda: delivery.figures()[0].waiting == {"a": "no such run"})
            delivery.flush(PATIENCE)
            assert delivery.figures()[0].delivered == 1

    def test_if_it_still_does_not_work_the_flush_gives_up(self, clock: Clock) -> None:
        sink = Scripted(*[Hold("403")] * 9, clock=clock)
        with deliver([sink], clock=clock) as delivery:
            delivery.put(record("a"))
            delivery.put(record("b"))
            wait_until(lambda: "403" in delivery.figures()[0].waiting.values())
            with within(PATIENCE):
                delivery.flush(1000)
            assert len(sink.sent) == 2
            figures = delivery.figures()[0]
            assert figures.waiting.keys() == {"a", "b"}
            assert not figures.is_complete

    def test_a_single_held_record_is_tried_once_more_at_the_end(self, clock: Clock) -> None:
        """One of two workers is told Hold, and then the other delivers."""
        sink = Hanging(hold_once={"a"})
        with deliver([sink], clock=clock, workers=2) as delivery:
            delivery.put(record("b"))
            assert sink.entered.acquire(timeout=PATIENCE)
            delivery.put(record("a"))
            wait_until(lambda: delivery.figures()[0].waiting["a"] == "403")
            sink.answers.set()
            wait_until(lambda: delivery.figures()[0].delivered >= 1)
            delivery.flush(PATIENCE)
            assert delivery.figures()[0].delivered == 2


class TestFlush:
    def test_it_gives_up_early_if_the_next_try_comes_too_late(self, clock: Clock) -> None:
        sink = Scripted(Retry("slow down", after=31), clock=clock)
        with deliver([sink], clock=clock, jitter=longest) as delivery:
            delivery.put(record("a"))
            with within(PATIENCE):
                delivery.flush(30)
            assert clock.now == 0
            assert delivery.figures()[0].waiting == {"a": "slow down"}

    def test_it_waits_for_a_try_that_comes_in_time(self, clock: Clock) -> None:
        sink = Scripted(Retry("slow down", after=29), clock=clock)
        with deliver([sink], clock=clock, jitter=longest) as delivery:
            delivery.put(record("a"))
            flush = threading.Thread(target=delivery.flush, args=(30,))
            flush.start()
            wait_until(lambda: delivery.figures()[0].waiting == {"a": "slow down"})
            flush.join(0.15)
            assert flush.is_alive()
            clock.now = 29.0
            delivery.put(record("b"))
            flush.join(PATIENCE)
            assert delivery.figures()[0].delivered == 2

    @pytest.mark.parametrize("workers", [1, 3])
    def test_a_hanging_sink_delays_it_only_by_the_timeout(self, workers: int) -> None:
        sink = Hanging()
        delivery = deliver([sink], workers=workers)
        for key in "abcde":
            delivery.put(record(key))
        for _ in range(workers):
            assert sink.entered.acquire(timeout=PATIENCE)
        started, cpu = time.monotonic(), time.process_time()
        with within(PATIENCE / 2):
            delivery.flush(0.3)
            delivery.close()
        assert time.monotonic() - started >= 0.3
        assert time.process_time() - cpu < 0.2, "a thread spins"
        assert delivery.figures()[0].waiting == dict.fromkeys("abcde", "not sent yet")
        assert not sink.is_closed, "a worker still uses the sink"
        sink.answers.set()
        wait_until(lambda: delivery.figures()[0].delivered == workers)
        assert len(sink.sent) == workers, "a record was sent after close"

    def test_an_interruption_ends_it(self, clock: Clock) -> None:
        sink = Scripted(Retry("down", after=10), clock=clock)
        answers = deque([False, False, True])
        with deliver([sink], clock=clock, jitter=longest) as delivery:
            delivery.put(record("a"))
            delivery.flush(1000, answers.popleft)
            assert not answers
            assert delivery.figures()[0].waiting == {"a": "down"}

    def test_a_sink_in_trouble_does_not_delay_another(self, clock: Clock) -> None:
        hanging, good = Hanging(), Scripted(clock=clock)
        with deliver([hanging, good], clock=clock) as delivery:
            for key in "abc":
                delivery.put(record(key))
            wait_until(lambda: delivery.figures()[1].delivered == 3)
            assert delivery.figures()[0].delivered == 0
            hanging.answers.set()


class TestPut:
    def test_it_never_waits_for_a_sink(self) -> None:
        """It takes thousands of records while the sink hangs in its first request."""
        sink = Hanging()
        with deliver([sink]) as delivery:
            delivery.put(record("first"))
            assert sink.entered.acquire(timeout=PATIENCE)
            for number in range(5000):
                delivery.put(record(f"n{number % 1000}", number))
            assert sink.sent == [("first", 1)], "the sink still hangs"
            assert delivery.figures()[0].records == 1001
            sink.answers.set()
            delivery.flush(PATIENCE)
            assert delivery.figures()[0].delivered == 1001
        assert len(sink.sent) == 1001, "records of one key coalesce"
        assert dict(sink.sent)["n999"] == 4999

    def test_workers_do_not_spin_while_the_only_record_waits_for_an_older_one_on_its_way(
        self,
    ) -> None:
        sink = Hanging()
        with deliver([sink], workers=2) as delivery:
            delivery.put(record("a", 1))
            assert sink.entered.acquire(timeout=PATIENCE)
            delivery.put(record("a", 2))
            cpu = time.process_time()
            threading.Event().wait(0.3)
            assert time.process_time() - cpu < 0.1
            sink.answers.set()
            delivery.flush(PATIENCE)
        assert sink.sent == [("a", 1), ("a", 2)], "two records of one key were on their way at once"

    def test_there_are_no_more_workers_than_the_sink_allows(self, clock: Clock) -> None:
        before = threading.active_count()
        with deliver([Scripted(clock=clock, workers=2)], workers=8):
            assert threading.active_count() == before + 2


class TestFigures:
    def test_every_undelivered_record_has_a_reason(self, clock: Clock) -> None:
        sink = Scripted(Delivered(), Rejected("422"), Retry("reset"), clock=clock)
        with deliver([sink], clock=clock, jitter=longest) as delivery:
            for key in "abcd":
                delivery.put(record(key))
            delivery.flush(0.1)
            wait_until(lambda: len(sink.sent) == 3 and "reset" in str(delivery.figures()))
            figures = delivery.figures()[0]
        assert (figures.sink, figures.records, figures.delivered) == ("scripted", 4, 1)
        assert figures.rejected == {"b": "422"}
        assert figures.waiting == {"c": "reset", "d": "reset"}
        assert figures.to_json() == {"records": 4, "delivered": 1, "waiting": 2, "rejected": 1}
        assert not figures.is_complete

    def test_the_run_record_is_not_counted_but_its_absence_is_told(self, clock: Clock) -> None:
        sink = Scripted(Delivered(), Rejected("422"), clock=clock)
        with deliver([sink], clock=clock) as delivery:
            delivery.put(record("a"))
            delivery.flush(PATIENCE)
            assert delivery.figures()[0].is_complete
            delivery.put(RunRecord(state="finished"))
            wait_until(lambda: len(sink.sent) == 2 and delivery.figures()[0].run_record == "422")
            figures = delivery.figures()[0]
        assert (figures.records, figures.delivered, figures.rejected) == (1, 1, {})
        assert not figures.is_complete

    def test_a_record_that_is_put_after_close_still_waits(self, clock: Clock) -> None:
        sink = Scripted(clock=clock)
        delivery = deliver([sink], clock=clock)
        delivery.close()
        delivery.put(record("a"))
        assert delivery.figures()[0].waiting == {"a": "not sent yet"}
        assert sink.is_closed

    def test_a_sink_with_waiting_records_is_closed_too(self, clock: Clock) -> None:
        sink = Scripted(Retry("full", after=99), clock=clock)
        with deliver([sink], clock=clock) as delivery:
            delivery.put(record("a"))
            wait_until(lambda: delivery.figures()[0].waiting == {"a": "full"})
        assert sink.is_closed


class TestBatches:
    """What a sink has is written to the journal in batches, if the sink is quick."""

    def test_a_kill_repeats_one_batch_at_most(self, tmp_path: Path, clock: Clock) -> None:
        unwritten: list[int] = []

        class Killed(Scripted):
            def send(self, record: Record) -> Verdict:
                account = queue.account()
                unwritten.append(len(self.sent) - len(account.delivered))
                return super().send(record)

        sink = Killed(clock=clock)
        with deliver([sink], tmp_path, clock=clock) as delivery:
            queue = delivery.run.queue(sink.name)
            delivery.put(*(record(f"n{number}") for number in range(200)))
            wait_until(lambda: len(queue.account().delivered) == 200)
        assert max(unwritten) == BATCH - 1
        assert len(sink.sent) == 200

    def test_a_slow_sink_has_each_delivery_written(self, tmp_path: Path, clock: Clock) -> None:
        unwritten: list[int] = []

        class Slow(Scripted):
            def send(self, record: Record) -> Verdict:
                unwritten.append(len(self.sent) - len(queue.account().delivered))
                clock.now += 2 * BATCH_SECONDS
                return super().send(record)

        sink = Slow(clock=clock)
        with deliver([sink], tmp_path, clock=clock) as delivery:
            queue = delivery.run.queue(sink.name)
            delivery.put(*(record(f"n{number}") for number in range(20)))
            wait_until(lambda: len(queue.account().delivered) == 20)
        assert unwritten == [0] * 20

    def test_the_last_delivery_is_written_while_nothing_else_comes(
        self, tmp_path: Path, clock: Clock
    ) -> None:
        sink = Scripted(clock=clock)
        with deliver([sink], tmp_path, clock=clock) as delivery:
            delivery.put(record("a"))
            wait_until(lambda: delivery.run.queue(sink.name).account().delivered == {"a"})
