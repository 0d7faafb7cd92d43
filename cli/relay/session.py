"""One relayed run: dbt's bytes go in; text, records and the exit code come out."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ...consumer.causes import Causes
from ...records.display import displayed
from ...records.instant import time_text
from ...records.outcomes import FAILED
from ...records.schema import NodeRecord
from ...sinks.journal.usual import usual_seconds
from .. import exit_codes
from ..output import report
from ..output.note_text import task_note
from .last_flush import deliver_the_rest
from .pipeline import Pipeline
from .run_record import at_the_end, at_the_start, now, with_versions
from .state_folder import command_for, make_room
from .watched import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from ...parser.secrets import Secrets
    from ...records.exits import Exit
    from ...sinks import Backlog, Delivery, Figures, Journal, RunInfo
    from ..output.console import Console
    from ..output.progress import Progress
    from .deadline import Deadline
    from .destination import Destination


class RelayedRun:
    """Feeds dbt's log to the console, the journal and the sinks, and ends as dbt did.

    Enter it once dbt has been forked, as delivery starts threads. `feed` it the log, tell it when
    `log_ended`, then `end` it.

    The run begins in the journal with dbt's first event, or with the first record: a log without
    an event, and a command that runs no dbt, leave nothing there that could pass for a run.
    `carried` are records of earlier attempts to publish again. `target_dir` is where dbt writes its
    artifacts if its log does not say. `is_printed` says that dbt prints its events by itself.
    `is_saved` says that the log is a saved one: nothing of it is printed before its first event,
    and no dbt is running. `progress` follows the run.
    """

    def __init__(
        self,
        destination: Destination,
        journal: Journal,
        console: Console,
        info: RunInfo,
        *,
        secrets: Secrets,
        target_dir: Path,
        carried: Sequence[NodeRecord] = (),
        is_printed: bool = False,
        is_saved: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._destination = destination
        self._journal = journal
        self._console = console
        self._record = at_the_start(info, carried)
        self._info = info
        self._carried = carried
        self._secrets = secrets
        self._is_saved = is_saved
        self._exit: Exit | None = None
        self._delivery: Delivery | None = None
        self._watched: Watched | None = None
        self._pipeline = Pipeline(
            console,
            self._put,
            begin=self._begin,
            recall=self._recall,
            secrets=secrets,
            target_dir=target_dir,
            attempt=info.attempt,
            since=max((r.invocation_started_at or "" for r in carried), default=None),
            complete=destination.complete(target_dir),
            renews=info.renews,
            awaits_event=is_saved,
            is_printed=is_printed,
            progress=progress,
        )
        self._announced: int | None = None

    def __enter__(self) -> RelayedRun:
        if self._carried:
            self._put(self._carried)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watched is not None:
            self._watched.close()
        if self._delivery is not None:
            self._delivery.close()
        else:
            self._destination.close()

    @property
    def has_events(self) -> bool:
        """Whether an event of dbt has come."""
        return bool(self._pipeline.run.invocations)

    @property
    def dbt_pid(self) -> int | None:
        """The process id of dbt, once an event has named it."""
        return self._pipeline.dbt_pid

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the log. Never waits for a sink."""
        pipeline = self._pipeline
        pipeline.feed(chunk)
        if self._delivery is None or self._is_saved:
            return
        if pipeline.artifacts_dir is not None:
            self._delivery.run.set_target_dir(str(pipeline.artifacts_dir))
        # The sensors of Cosmos ask for the versions before anything else.
        if (
            self._destination.asks_for_versions
            and not self._record.adapter
            and pipeline.run.adapter
        ):
            self._record = with_versions(self._record, pipeline.run)
            self._delivery.put(self._record)
        # Whoever watches the run finds the number in the journal. No sink needs it before the end.
        if pipeline.run.announced != self._announced:
            self._announced = pipeline.run.announced
            self._delivery.run.put(replace(self._record, announced=self._announced), 0.0, ())

    def stopped(self, seconds: float) -> None:
        """Take that dbt was told to stop so many seconds ago."""
        self._pipeline.run.stop(time_text(time.time() - seconds))

    def backlogs(self) -> list[Backlog]:
        """For each sink how many records it does not have yet. Any thread may ask."""
        return self._delivery.backlogs() if self._delivery is not None else []

    def log_ended(self, ended: Exit | None) -> None:
        """Publish what is known only now. `ended` is how dbt ended, None for a saved log."""
        self._exit = ended
        self._pipeline.end(ended)
        if ended is not None and ended.status != 0:
            # Whoever waits for a node has to learn that dbt failed before its first event.
            self._begin()

    def end(self, deadline: Deadline) -> int:
        """Say how the run went and deliver what is left; returns the relay's exit code.

        The last line is the task's `return_value` in Airflow: print nothing after it.
        """
        records = self._pipeline.run.records()
        causes = Causes.of(records)
        failed = [r for r in records if r.outcome in FAILED]
        if causes.found:
            self._console.say_errors(report.failures_title(causes), report.failures(causes))
        run = self._pipeline.run
        if self._exit is not None and self._exit.status:
            for line in report.not_run(run.missing, run.announced):
                self._console.say(line)
        if self._console.shows_info:
            times = self._pipeline.run.execution_times()
            for line in report.slowest(times, self._usual_seconds):
                self._console.say(line)
        if causes.found and self._pipeline.dbt_summary and not self._console.marks_levels:
            self._console.say(displayed(self._pipeline.dbt_summary))
        self._console.flush()

        outcomes = self._delivery.run.outcomes() if self._delivery is not None else {}
        figures = self._deliver(failed, outcomes, deadline)
        code = self._exit.status if self._exit is not None else 0
        is_complete = all(f.is_complete for f in figures)
        if code == 0 and self._destination.settings.is_strict and not is_complete:
            code = exit_codes.UNDELIVERED
        self._report(failed, outcomes, figures, deadline, code)
        return code

    def _usual_seconds(self, names: Sequence[str]) -> Mapping[str, float]:
        return usual_seconds(self._journal, self._info, names) if not self._is_saved else {}

    def _begin(self) -> Delivery:
        """The delivery, with the run's own record in it."""
        if self._delivery is None:
            run = self._journal.begin(self._info)
            if self._destination.channel is not None:
                self._destination.channel.tell({"run": run.number})
            self._delivery = self._destination.open(run)
            self._delivery.put(self._record)
            if not self._is_saved and run.running_nodes is not None:
                self._watched = Watched(self._pipeline.run, run.running_nodes)
        return self._delivery

    def _put(self, records: Sequence[NodeRecord]) -> None:
        self._begin().put(*records)

    def _recall(self, unique_id: str) -> NodeRecord | None:
        record = self._begin().run.record(unique_id)
        return record if isinstance(record, NodeRecord) else None

    def _deliver(
        self, failed: Sequence[NodeRecord], outcomes: dict[str, int], deadline: Deadline
    ) -> list[Figures]:
        """Deliver what is left and write the task's note; what has become of all records."""
        if self._delivery is None:
            return []
        record = at_the_end(
            self._record,
            self._pipeline.run,
            self._exit,
            failed,
            outcomes=outcomes,
            finished_at=now(),
        )
        figures = deliver_the_rest(self._delivery, record, deadline)
        note = self._destination.note
        if note is not None:
            last = deadline.for_note()
            trouble = note.write(
                task_note(record, failed),
                attempt=self._info.attempt,
                timeout=last.left,
                interrupted=last.is_over,
            )
            if trouble is not None:
                self._console.say(f"relay: the task's note is not written: {trouble}")
        return figures

    def _report(
        self,
        failed: Sequence[NodeRecord],
        outcomes: dict[str, int],
        figures: Sequence[Figures],
        deadline: Deadline,
        code: int,
    ) -> None:
        """Say what has become of the records, call who wants to know, make room in the journal."""
        say = self._console.say
        for line in report.unread(self._pipeline.malformed, self._pipeline.faults):
            say(line)
        if self._console.shows_info or not all(f.is_complete for f in figures):
            for line in report.delivery(figures, deadline.describe()):
                say(line)
        if self._console.shows_info and not figures:
            say(report.kept(sum(outcomes.values()), self._command_for("report")))
        for line in report.leftovers(self._journal, self._command_for("deliver"), figures):
            say(line)
        # A relay that was told to stop has no time for what another command can do as well.
        if not deadline.is_stopped:
            for line in self._reports():
                say(line)
        self._call(code, deadline)
        if not deadline.is_stopped:
            for line in make_room(self._journal, self._destination.settings.keeping):
                say(line)
        summary = report.summary(outcomes, failed, figures)
        if self._destination.channel is not None:
            self._destination.channel.tell({"result": summary})
        elif self._destination.in_airflow:
            say(report.in_one_line_of_json(summary))
        self._console.flush()

    def _command_for(self, what: str) -> list[str]:
        """What to type about this run; empty if the journal's file does not have it."""
        if self._delivery is None or self._journal.file is None:
            return []
        return command_for(self._journal, what, self._delivery.run.number, os.environ)

    def _call(self, code: int, deadline: Deadline) -> None:
        """Run the commands of `--on-failure` and `--on-end`, unless there was no run."""
        commands = self._destination.settings.calls.after(code)
        if not commands or self._delivery is None:
            return
        from .last_commands import LastCommands  # noqa: PLC0415 - few need it

        last = LastCommands(self._console, self._secrets, os.environ, lambda: deadline.is_stopped)
        last.run(commands, self._journal, self._delivery.run.number, code)

    def _reports(self) -> Iterator[str]:
        """Write the reports that were asked for; the lines to print."""
        reports = self._destination.settings.reports
        if not reports or self._delivery is None:
            return
        from ..reports.writing import at_the_end as write  # noqa: PLC0415 - few need it

        yield from write(self._journal, self._delivery.run.number, reports, os.environ)
