"""What lies on the disk of a journal: left by a process that died, and taken up by the next."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt_relay.records.schema import NodeRecord, RunRecord
from dbt_relay.sinks import Delivered, Delivery, Journal, JournalRun, Verdict
from dbt_relay.sinks.journal import history
from support.journals import info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dbt_relay.records.schema import Record

# A journal syncs when it is opened and closed, and a test has hundreds: where memory can be a
# folder, a disk need not be waited for.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
PAGE = 4096
RECORDS = 60
MANY = 10_000
"""More steps than any of the tests has records: something goes round in circles."""


def node(key: str, sequence: int = 1, message: str | None = None) -> NodeRecord:
    return NodeRecord(
        unique_id=key, status="success", outcome="success", sequence=sequence, message=message
    )


def copy_of_disk(folder: Path, to: Path) -> Path:
    """What a process leaves behind that is killed now: its files, no lock and no shared memory."""
    return Path(shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*-shm", "opening")))


def journal_of_the_dead(folder: Path, records: int = 12, **kept: Any) -> Path:
    """The state folder of a relay that was killed: a run that had ended in time, every second
    record of it delivered, and one in which nothing was; `checkpoint` says that the file has all
    and the log nothing."""
    with Journal(folder / "alive") as journal:
        ended = journal.begin(info())
        for number in range(records):
            ended.put(node(f"ended.{number}", message="x" * 300), 0)
            leased = ended.queue("airflow").lease(0) if number % 2 else None
            if leased is not None:
                ended.queue("airflow").acknowledge(leased)
        ended.put(RunRecord(state="finished", exit_code=0), 0)
        ended.close()
        if kept.get("first_part_in_file"):
            journal.database.checkpoint()
        killed = journal.begin(info())
        for number in range(records):
            killed.put(node(f"killed.{number}", message="x" * 300), 0)
        if kept.get("checkpoint"):
            journal.database.checkpoint()
        dead = copy_of_disk(folder / "alive", folder / "dead")
        if kept.get("checkpoint"):
            (dead / "journal.db-wal").unlink()
    return dead


@dataclass
class TakenUp:
    """What the next process made of it: what it was told, found and could deliver."""

    notes: list[str] = field(default_factory=list)
    got: dict[str, list[str]] = field(default_factory=dict)
    lost: int = 0
    rejected: dict[str, str] = field(default_factory=dict)
    known: int = 0

    @property
    def keys(self) -> set[str]:
        return {key for keys in self.got.values() for key in keys}


def drain(run: JournalRun, sink: str = "airflow", at: float = 1e9) -> list[str]:
    """Deliver what waits; the keys in the order in which they went."""
    got: list[str] = []
    for _ in range(MANY):
        if run.queue(sink).next_due() is None:
            return got
        leased = run.queue(sink).lease(at)
        if leased is not None:
            got.append(leased.record.key)
            run.queue(sink).acknowledge(leased)
    raise AssertionError(f"there is no end to it: {got[-5:]}")


def take_up(folder: Path) -> TakenUp:
    """Open the journal, look at every run, deliver what waits, and begin a new run."""
    found = TakenUp()
    with Journal(folder, found.notes.append) as journal:
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
        assert journal.trouble is None, "what is damaged is no reason to go without a file"
        number = fresh.number
    with Journal(folder, found.notes.append) as journal:
        assert len(history.records(journal, number)) == 5, "the new journal has kept nothing"
        assert history.past_run(journal, number).delivery == {"airflow": {"delivered": 5}}
    return found


class Taking:
    """A sink that takes everything, once it may."""

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
    """A whole delivery. Every record has to come through, without an exception and with at most
    one note; how many are in no journal, and the note."""
    notes: list[str] = []
    sink = Taking()
    with Journal(folder, notes.append) as journal:
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
        assert sink.got[:1] + sorted(sink.got[1:]) == sorted(sink.got), "nothing twice"
        assert {*sink.got} == {f"n{number}" for number in range(RECORDS)}
        assert len(sink.got) == RECORDS
        assert (journal.trouble is None) == (notes == []) == (journal.file is not None)
        assert len(notes) < 2, "once is enough"
        assert not [note for note in notes if "what is left at the end is lost" not in note]
        return journal.unkept, "".join(notes)


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that runs a script, with the tests' modules at hand."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    )


def outputs(processes: Iterable[subprocess.Popen[str]]) -> list[str]:
    """What each has printed; all have to end well."""
    processes = [*processes]
    try:
        said = [process.communicate(timeout=30)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said
