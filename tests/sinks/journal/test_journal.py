"""The journal against a model: no record is lost, whatever dies, and a key's newest record wins."""

from __future__ import annotations

import fcntl
import tempfile
import threading
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.journal_disk import FAST, copy_of_disk
from support.journals import OPEN, begin, info
from support.journals import node as record
from support.laws import examples

from dbt_relay.records.schema import NodeRecord, RunRecord
from dbt_relay.sinks import Journal, JournalRun
from dbt_relay.sinks.journal import history
from dbt_relay.sinks.journal.database import ClosedError
from dbt_relay.sinks.journal.rows import Leased

SINKS = ("airflow", "jsonl")
KEYS = st.sampled_from("abcd")
NOT_SENT = "not sent yet"


def lease(run: JournalRun, now: float = 0.0, sink: str = "airflow") -> Leased:
    leased = run.queue(sink).lease(now)
    assert leased is not None
    return leased


class Truth:
    """What the model expects of one sink."""

    def __init__(self) -> None:
        self.state: dict[str, str] = {}
        self.reason: dict[str, str] = {}
        self.due: dict[str, float] = {}
        self.on_the_way: dict[str, Leased] = {}
        self.got: list[NodeRecord] = []

    def keys(self, state: str) -> set[str]:
        return {key for key, known in self.state.items() if known == state}

    def free(self) -> list[str]:
        """The keys that can be leased; the one that has waited longest comes first."""
        order = [*self.state]
        free = self.keys("waiting") - self.on_the_way.keys()
        return sorted(free, key=lambda key: (self.due[key], order.index(key)))


class JournalMachine(RuleBasedStateMachine):
    """One run with two sinks, in a journal on disk. Its process dies now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("dbt_relay.sinks.journal.run.LOCK_WAIT", 0.0)  # no other process looks
        self.scratch = tempfile.TemporaryDirectory(dir=FAST)
        self.folder = Path(self.scratch.name) / "0"
        self.journal = Journal(self.folder, pytest.fail)
        self.run = self.journal.begin(info(SINKS))
        self.other: Journal | None = None
        self.now = 0.0
        self.number = self.deaths = 0
        self.newest: dict[str, NodeRecord] = {}
        self.sinks = {sink: Truth() for sink in SINKS}

    def teardown(self) -> None:
        self._close()
        self.scratch.cleanup()
        self.patch.undo()

    def _close(self) -> None:
        self.journal.close()
        if self.other is not None:
            self.other.close()
            self.other = None

    @rule(key=KEYS)
    def put(self, key: str) -> None:
        self.number += 1
        self.newest[key] = record(key, self.number)
        self.run.put(self.newest[key], self.now)
        for truth in self.sinks.values():
            if truth.state.get(key) != "waiting":
                truth.state.pop(key, None)
                truth.state[key], truth.reason[key] = "waiting", NOT_SENT
                truth.due[key] = self.now

    @rule(seconds=st.integers(1, 5))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(sink=st.sampled_from(SINKS))
    def lease(self, sink: str) -> None:
        truth = self.sinks[sink]
        first = next(iter(truth.free()), None)
        assert self.run.queue(sink).next_due() == (None if first is None else truth.due[first])
        leased = self.run.queue(sink).lease(self.now)
        if first is None or truth.due[first] > self.now:
            assert leased is None
            return
        assert leased is not None, "a due record is not leased"
        assert leased.record.key not in truth.on_the_way, "two sends of one key at once"
        assert leased.record.key == first, "another record has waited longer"
        assert leased.record == self.newest[first], "an older record than the newest"
        assert leased.record not in truth.got, "an acknowledged record is sent again"
        truth.on_the_way[first] = leased

    @precondition(lambda self: any(truth.on_the_way for truth in self.sinks.values()))
    @rule(data=st.data(), ending=st.sampled_from(["acknowledge", "reject", "fail", "hold"]))
    def settle(self, data: st.DataObject, ending: str) -> None:
        sink = data.draw(st.sampled_from([s for s in SINKS if self.sinks[s].on_the_way]))
        truth = self.sinks[sink]
        key = data.draw(st.sampled_from(sorted(truth.on_the_way)))
        leased = truth.on_the_way.pop(key)
        is_newest = leased.record == self.newest[key]
        if ending == "acknowledge":
            self.run.queue(sink).acknowledge(leased)
            truth.got.append(self.newest[key] if is_newest else record(key, -1))
            truth.state[key] = "delivered" if is_newest else "waiting"
        elif ending == "reject":
            self.run.queue(sink).reject(leased, "refused")
            if is_newest:
                truth.state[key], truth.reason[key] = "rejected", "refused"
        else:
            due = self.now + 3 if ending == "fail" else self.now
            self.run.queue(sink).put_back(leased, due, ending)
            truth.due[key], truth.reason[key] = due, ending

    @rule(clock=st.sampled_from([0.0, 1e6]), is_killed=st.booleans())
    def process_ends_and_another_adopts_the_run(self, clock: float, is_killed: bool) -> None:
        if is_killed:
            self.deaths += 1
            old, self.folder = self.folder, Path(self.scratch.name) / str(self.deaths)
            copy_of_disk(old, self.folder)
        self._close()
        self.journal = Journal(self.folder, pytest.fail)
        adopted = self.journal.adopt(self.run.number)
        assert adopted is not None, "a dead process still holds the lock"
        assert adopted.lost == 0
        assert adopted.info == self.run.info
        self.run, self.now = adopted, clock
        for truth in self.sinks.values():
            truth.on_the_way.clear()
            truth.state = {key: truth.state[key] for key in self.newest}
            truth.due = dict.fromkeys(truth.due, 0.0)

    @rule()
    def another_process_looks_at_it(self) -> None:
        if self.other is None:
            self.other = Journal(self.folder, pytest.fail)
        (past,) = history.runs(self.other)
        assert past.has_owner
        assert self.other.adopt(self.run.number) is None
        assert history.records(self.other, past.number) == self.newest
        for sink, truth in self.sinks.items():
            counted = {s: len(truth.keys(s)) for s in ("delivered", "waiting", "rejected")}
            assert past.delivery[sink] == {s: count for s, count in counted.items() if count}

    @invariant()
    def every_key_is_in_one_place(self) -> None:
        for sink, truth in self.sinks.items():
            account = self.run.queue(sink).account()
            places = (account.delivered, set(account.rejected), set(account.waiting))
            assert set.union(*places) == self.newest.keys()
            assert sum(map(len, places)) == len(self.newest)
            assert account.delivered == truth.keys("delivered")
            assert account.waiting == {k: truth.reason[k] for k in truth.keys("waiting")}
            assert account.rejected == {k: truth.reason[k] for k in truth.keys("rejected")}
            assert self.run.queue(sink).is_sending == bool(truth.on_the_way)


JournalMachine.TestCase.settings = settings(examples(50), stateful_step_count=40)
TestJournal = JournalMachine.TestCase


@pytest.fixture(params=["disk", "memory"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> JournalRun:
    return begin(tmp_path if request.param == "disk" else None, "airflow")


def test_the_longest_wait_goes_first_and_a_failure_goes_to_the_end(run: JournalRun) -> None:
    for now, key in enumerate("abc"):
        run.put(record(key), now)
    first = lease(run, 5)
    assert first.record == record("a")
    run.queue("airflow").put_back(first, 5, "reset")
    assert [lease(run, 5).record.key for _ in range(3)] == ["b", "c", "a"]


def test_records_of_one_key_coalesce_while_they_wait(run: JournalRun) -> None:
    for sequence in range(1, 101):
        run.put(record("a", sequence), 0)
    sent = lease(run)
    assert sent.record == record("a", 100)
    run.put(record("a", 101), 0)
    run.put(record("a", 102), 0)
    assert run.queue("airflow").lease(0) is None
    assert run.queue("airflow").next_due() is None, "a worker would wait for it without a pause"
    run.queue("airflow").acknowledge(sent)
    assert run.queue("airflow").account().delivered == set(), "the newest record still waits"
    assert lease(run).record == record("a", 102)


def test_the_reason_follows_what_became_of_the_record(run: JournalRun) -> None:
    run.put(record("a"), 0)
    assert run.queue("airflow").account().waiting == {"a": NOT_SENT}
    run.queue("airflow").put_back(lease(run), 1, "connection refused")
    assert run.queue("airflow").account().waiting == {"a": "connection refused"}
    run.put(record("a", 2), 0.5)
    assert run.queue("airflow").account().waiting == {"a": "connection refused"}
    assert run.queue("airflow").lease(0.9) is None, "a newer record must not shorten the wait"
    run.queue("airflow").reject(lease(run, 1), "422")
    assert run.queue("airflow").account().rejected == {"a": "422"}
    run.retry_rejected()
    assert run.queue("airflow").account().waiting == {"a": "422"}
    run.queue("airflow").acknowledge(lease(run))
    assert run.queue("airflow").account().delivered == {"a"}
    run.put(record("a", 3), 0)
    assert run.queue("airflow").account().waiting == {"a": NOT_SENT}


def test_two_runs_of_one_process_do_not_see_each_others_records(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    OPEN.append(journal)
    first, second = journal.begin(info()), journal.begin(info())
    first.put(record("a"), 0)
    assert second.queue("airflow").lease(0) is None
    assert lease(first).record.key == "a"


def test_a_run_without_a_sink_is_in_the_journal_too(tmp_path: Path) -> None:
    run = begin(tmp_path)
    run.put(record("a"), 0)
    run.put(RunRecord(state="finished"), 0)
    with Journal(tmp_path) as other:
        assert history.records(other, run.number).keys() == {"a", RunRecord.key}


@pytest.mark.parametrize("disk", [True, False])
def test_names_that_are_not_utf_8(tmp_path: Path, disk: bool) -> None:
    """A folder's name can be any bytes, and dbt's log can have lone surrogates."""
    sink = "jsonl:/tmp/\udcff"
    run = begin(tmp_path if disk else None, sink, cwd="/tmp/\udcff", command=("dbt", "\udcff"))
    run.put(record("model.\ud800"), 0)
    run.put(record("model.b"), 0)
    for _ in range(2):
        run.queue(sink).acknowledge(lease(run, sink=sink))
    assert run.queue(sink).next_due() is None
    assert not run.queue(sink).is_sending
    assert len(run.queue(sink).account().delivered) == 2
    run.put(record("model.\ud800", 2), 0)
    leased = lease(run, sink=sink)
    assert leased.record.key == "model.\ud800"
    run.queue(sink).put_back(leased, 0, "\udcff")
    assert lease(run, sink=sink).record == leased.record


def test_looking_for_an_owner_does_not_keep_another_process_from_adopting(tmp_path: Path) -> None:
    """A process that looks holds the lock for a moment."""
    run = begin(tmp_path / "live", "airflow")
    dead = copy_of_disk(tmp_path / "live", tmp_path / "dead")
    (lock,) = (dead / "claims").iterdir()
    with lock.open() as looking, Journal(dead, pytest.fail) as journal:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.01, fcntl.flock, [looking, fcntl.LOCK_UN]).start()
        assert journal.adopt(run.number) is not None


def test_put_has_committed_when_it_returns(tmp_path: Path) -> None:
    run = begin(tmp_path / "live", "airflow")
    for number in range(5):
        run.put(record(f"n{number}"), 0)
        dead = copy_of_disk(tmp_path / "live", tmp_path / f"dead{number}")
        with Journal(dead, pytest.fail) as journal:
            assert len(history.records(journal, run.number)) == number + 1


def test_a_late_worker_finds_out_that_the_journal_is_closed(run: JournalRun) -> None:
    run.put(record("a"), 0)
    leased = lease(run)
    OPEN.pop().close()
    with pytest.raises(ClosedError):
        run.queue("airflow").acknowledge(leased)


def test_the_log_has_a_limit_even_if_nothing_is_delivered(tmp_path: Path) -> None:
    run = begin(tmp_path, "airflow")
    long = "x" * 20_000
    for number in range(1200):
        node = NodeRecord(unique_id=str(number), status="error", outcome="failure", message=long)
        run.put(node, 0)
    assert (tmp_path / "journal.db-wal").stat().st_size < 30e6
