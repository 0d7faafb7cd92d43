"""A journal on disk: the files that a killed process leaves, and what the next process does."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dbt_relay.records.schema import RunRecord
from dbt_relay.sinks import Delivered, Delivery, Journal, JournalRun, Verdict
from dbt_relay.sinks.journal import history
from support.journals import info, node

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbt_relay.records.schema import Record

# A journal waits for the disk when it opens and closes, and a test opens hundreds. A folder in
# memory saves the wait.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
PAGE = 4096
RECORDS = 60
MANY = 10_000
"""More records than any test has. Who drains more goes round in circles."""


def copy_of_disk(folder: Path, to: Path) -> Path:
    """The files that this process would leave if it were killed now: no lock, no shared memory."""
    return Path(shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*-shm", "opening")))


def killed_journal(
    folder: Path, records: int = 12, *, first_part_in_file: bool = False, checkpoint: bool = False
) -> Path:
    """The state folder of a killed relay.

    It has a run that ended, with every second record delivered, and a run that was killed, with
    none delivered. With `first_part_in_file` the file has the first run and the write-ahead log
    has the second; with `checkpoint` the file has both.
    """
    with Journal(folder / "alive") as journal:
        ended = journal.begin(info())
        for number in range(records):
            ended.put(node(f"ended.{number}", message="x" * 300), 0)
            leased = ended.queue("airflow").lease(0) if number % 2 else None
            if leased is not None:
                ended.queue("airflow").acknowledge(leased)
        ended.put(RunRecord(state="finished", exit_code=0), 0)
        ended.close()
        if first_part_in_file:
            journal.database.checkpoint()
        killed = journal.begin(info())
        for number in range(records):
            killed.put(node(f"killed.{number}", message="x" * 300), 0)
        if checkpoint:
            journal.database.checkpoint()
        dead = copy_of_disk(folder / "alive", folder / "dead")
        if checkpoint:
            (dead / "journal.db-wal").unlink()
    return dead


@dataclass
class TakenUp:
    """What the next process found in a killed journal.

    `got` has the keys that it delivered, by run. `known` counts the records in the journal.
    """

    warnings: list[str] = field(default_factory=list)
    got: dict[str, list[str]] = field(default_factory=dict)
    lost: int = 0
    rejected: dict[str, str] = field(default_factory=dict)
    known: int = 0

    @property
    def keys(self) -> set[str]:
        return {key for keys in self.got.values() for key in keys}


def drain(run: JournalRun, sink: str = "airflow", at: float = 1e9) -> list[str]:
    """Deliver every waiting record; their keys in the order of delivery."""
    got: list[str] = []
    for _ in range(MANY):
        if run.queue(sink).next_due() is None:
            return got
        leased = run.queue(sink).lease(at)
        if leased is not None:
            got.append(leased.record.key)
            run.queue(sink).acknowledge(leased)
    raise AssertionError(f"the queue does not end: {got[-5:]}")


def take_up(folder: Path) -> TakenUp:
    """Open the journal, read every run, deliver what waits, and begin a new run."""
    found = TakenUp()
    with Journal(folder, found.warnings.append) as journal:
        for past in history.runs(journal):
            found.known += len(history.records(journal, past.number))
            history.reasons(journal, past.number)
            run = journal.adopt(past.number)
            assert run is not None
            found.lost += run.lost
            for sink in run.info.sinks:
                found.got[f"{past.number}"] = drain(run, sink)
                found.rejected |= run.queue(sink).account().rejected
            run.close()
        fresh = journal.begin(info())
        for number in range(5):
            fresh.put(node(f"new.{number}"), 0)
        assert drain(fresh) == [f"new.{number}" for number in range(5)]
        assert journal.trouble is None, "the new journal is not in a file"
        number = fresh.number
    with Journal(folder, found.warnings.append) as journal:
        assert len(history.records(journal, number)) == 5, "the new journal has lost records"
        assert history.past_run(journal, number).delivery == {"airflow": {"delivered": 5}}
    return found


class Taking:
    """A sink that takes everything once `is_open` is set."""

    name = "airflow"
    most_workers = 1

    def __init__(self) -> None:
        self.address = {"path": "/airflow"}
        self.is_open = threading.Event()
        self.got: list[str] = []

    def send(self, record: Record) -> Verdict:
        assert self.is_open.wait(20)
        self.got.append(record.key)
        return Delivered()

    def close(self) -> None:
        pass


def relay(folder: Path, fill: Callable[[Journal], object] = lambda _: None) -> tuple[int, str]:
    """Deliver RECORDS records, and call `fill` after the first quarter of them.

    Every record has to be delivered, with at most one warning. Returns how many records are in no
    file, and the warning.
    """
    warnings: list[str] = []
    sink = Taking()
    with Journal(folder, warnings.append) as journal:
        run = journal.begin(info())
        with Delivery(run, [sink]) as delivery:
            for number in range(RECORDS):
                if number == RECORDS // 4:
                    fill(journal)
                delivery.put(node(f"n{number}", message="x" * 3000))
            sink.is_open.set()
            delivery.flush(20)
            (figures,) = delivery.figures()
        assert figures.is_complete, figures
        assert sink.got[:1] + sorted(sink.got[1:]) == sorted(sink.got), "a record was sent twice"
        assert {*sink.got} == {f"n{number}" for number in range(RECORDS)}
        assert len(sink.got) == RECORDS
        assert (journal.trouble is None) == (warnings == []) == (journal.file is not None)
        assert len(warnings) < 2, "the same trouble was told twice"
        assert all("records that still wait at the end are lost" in text for text in warnings)
        return journal.only_in_memory, "".join(warnings)
