"""`dbt-relay runs` and `dbt-relay show`: what the journal knows."""

from __future__ import annotations

import itertools
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..consumer.causes import Causes
from ..records.display import displayed, in_one_line
from ..records.outcomes import FAILED
from ..records.plural import counted
from ..records.schema import NodeRecord
from ..records.values import encode
from ..sinks.journal import history
from ..sinks.journal.usual import usual_seconds
from .options import AS_JSON, PROGRESS, journal_options, option
from .output import report
from .output.notice import notice
from .relay.run_record import DIED
from .relay.state_folder import journal_to_read, no_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..records.schema import Record
    from ..sinks import Journal
    from ..sinks.journal.history import PastRun
    from .settings import Keeping

_RUNS_HELP: Final = """List the latest runs: time, command, result and delivery.

\b
Examples:
  dbt-relay runs
  dbt-relay runs --json --limit 1
"""
_SHOW_HELP: Final = """Show the nodes of a run. RUN is its number in `dbt-relay runs`.

Without RUN it shows the latest run. The texts of failures follow. With --json: the records
as a sink gets them, one a line. With --watch: each node as it ends, until the run ends. With
--failed: only nodes that failed or were interrupted.

\b
Examples:
  dbt-relay show
  dbt-relay show 17 --json
  dbt-relay show --failed
  dbt-relay show --watch     a run in another window or of an Airflow worker on this machine
"""
_STATES: Final = ("delivered", "waiting", "rejected")


@click.command(help=_RUNS_HELP)
@option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="How many runs to list.",
)
@AS_JSON
@journal_options
def runs(limit: int, as_json: bool, settings: Keeping) -> int:
    with journal_to_read(settings, os.environ) as journal:
        found = history.runs(journal, limit)
        if as_json:
            for run in found:
                click.echo(encode(_described(run)))
            return 0
        if not found:
            click.echo(f"no runs in {journal.state_dir}")
            return 0
        for line in _table([*_rows(found)]):
            click.echo(line)
        if journal.file is not None:
            kept = len(history.runs(journal))
            size = history.size(journal.file.parent) / 1e6
            click.echo(f"\n{journal.file}: {counted(kept, 'run')}, {size:.1f} MB")
        return 0


@click.command(help=_SHOW_HELP)
@AS_JSON
@option("--watch/--no-watch", default=False, help="Follow the run until it ends.")
@option("--failed/--all", default=False, help="Leave out nodes that did not fail.")
@PROGRESS
@journal_options
@click.argument("run", type=int, required=False)
def show(
    *,
    run: int | None,
    as_json: bool,
    watch: bool,
    failed: bool,
    progress: bool | None,
    settings: Keeping,
) -> int:
    with journal_to_read(settings, os.environ) as journal:
        try:
            past = _run(journal, run)
        except LookupError:
            return no_run(run, journal)
        if watch and past.state == "running":
            return _watch(journal, past, as_json=as_json, wanted=progress)
        if watch:
            notice(f"run {past.number} is over")
        records = (record for _, record in history.each_record(journal, past.number))
        if failed:
            records = (r for r in records if isinstance(r, NodeRecord) and r.outcome in FAILED)
        if as_json:
            for record in records:
                click.echo(encode(record.to_json()))
            return 0
        nothing = "no node failed" if failed else "no node has a record"
        for line in itertools.chain(_heading(past), [""], _nodes(records, nothing)):
            click.echo(line)
        for sink, state, key, reason in history.reasons(journal, past.number):
            click.echo(in_one_line(f"{state} for {sink}: {key}: {reason}"))
        return 0


def _watch(journal: Journal, past: PastRun, *, as_json: bool, wanted: bool | None) -> int:
    from .follow import Follower, follow  # noqa: PLC0415 - few who look at a run watch it

    if as_json:
        for record in Follower(journal, past.number).records():
            click.echo(encode(record.to_json()))
        return 0
    ended = follow(journal, past, wanted=wanted)
    records = history.records(journal, past.number).values()
    nodes = [record for record in records if isinstance(record, NodeRecord)]
    causes = Causes.of(nodes)
    click.echo("")
    for line in _heading(ended):
        click.echo(line)
    if causes.found:
        click.echo(report.failures_title(causes))
        for line in report.failures(causes):
            click.echo(line)
    times = {
        record.unique_id: record.execution_time
        for record in nodes
        if record.execution_time is not None and record.outcome != "skipped"
    }
    for line in report.slowest(times, lambda names: usual_seconds(journal, past.info, names)):
        click.echo(line)
    for sink, counts in ended.delivery.items():
        told = ", ".join(f"{counts[state]} {state}" for state in _STATES if counts.get(state))
        click.echo(f"{sink}: {told or 'no record'}")
    return 0


def _rows(runs: Sequence[PastRun]) -> Iterator[list[str]]:
    """A header, and a row for each run, with its project if they are of several."""
    columns: dict[str, Callable[[PastRun], str]] = {
        "RUN": lambda run: str(run.number),
        "STARTED (UTC)": lambda run: run.info.started_at[:19].replace("T", " "),
        "RESULT": _result,
        "PROJECT": lambda run: Path(run.info.project or "-").name,
        "NODES": _counts,
        "RECORDS": _delivered,
        "COMMAND": _command,
    }
    if len({run.info.project for run in runs}) == 1:
        del columns["PROJECT"]
    yield [*columns]
    for run in runs:
        yield [cell(run) for cell in columns.values()]


def _delivered(run: PastRun) -> str:
    return ", ".join(f"{run.count(s)} {s}" for s in _STATES if run.count(s)) or "-"


def _command(run: PastRun) -> str:
    return shlex.join(run.info.command)


def _counts(run: PastRun) -> str:
    counts = [f"{count} {outcome}" for outcome, count in run.nodes.items()]
    if run.record is not None and run.record.missing and run.state != "running":
        counts.append(f"{run.record.missing} not run")
    return ", ".join(counts) or "none"


def _result(run: PastRun) -> str:
    if run.state != "finished" or run.record is None:
        return run.state
    return "-" if run.record.exit_code is None else f"exit {run.record.exit_code}"


def _heading(run: PastRun) -> Iterator[str]:
    info, record = run.info, run.record
    yield in_one_line(f"run {run.number}: {_command(run)}")
    until = f" to {record.finished_at}" if record is not None and record.finished_at else ""
    yield f"{run.state}: {info.started_at}{until}, {_result(run)}"
    if run.nodes:
        yield f"nodes: {_counts(run)}"
    if info.task is not None:
        place = f"{info.task.dag_id} / {info.task.run_id} / {info.task.task_id}"
        index = f" [{info.task.map_index}]" if info.task.map_index >= 0 else ""
        yield in_one_line(f"Airflow: {place}{index}, attempt {info.attempt or '-'}")
    if record is not None and record.invocation_id:
        yield in_one_line(f"dbt {record.dbt_version or '?'}, invocation {record.invocation_id}")
    if record is not None and record.message:
        yield displayed(record.message)
    elif run.died_unnoticed:
        yield DIED


def _nodes(records: Iterable[Record], nothing: str) -> Iterator[str]:
    """The table of nodes, and the texts of failures; `nothing` is said of no node."""
    rows = [("NODE", "OUTCOME", "STATUS", "SECONDS")]
    bad: list[NodeRecord] = []
    for node in records:
        if not isinstance(node, NodeRecord):
            continue
        seconds = f"{node.execution_time:.2f}" if node.execution_time is not None else ""
        rows.append((node.unique_id, node.outcome, node.status, seconds))
        if node.outcome in FAILED:
            bad.append(node)
    if len(rows) == 1:
        yield nothing
        return
    yield from _table(rows)
    for node in bad:
        yield ""
        yield in_one_line(f"{node.unique_id} [{report.ending(node)}]")
        for line in displayed(node.explanation or "no error text").splitlines():
            yield f"  {line}"


def _run(journal: Journal, number: int | None) -> PastRun:
    """The run of this number, or the latest; LookupError if there is none."""
    if number is not None:
        return history.past_run(journal, number)
    latest = history.runs(journal, 1)
    if not latest:
        raise LookupError("no run yet")
    return latest[0]


def _table(told: Sequence[Sequence[str]]) -> Iterator[str]:
    rows = [[in_one_line(cell) for cell in row] for row in told]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _described(run: PastRun) -> dict[str, Any]:
    info = run.info
    return {
        "run": run.number,
        "state": run.state,
        "exit_code": run.record.exit_code if run.record else None,
        "command": info.command,
        "project_dir": info.project,
        "dag_id": info.task.dag_id if info.task else None,
        "run_id": info.task.run_id if info.task else None,
        "task_id": info.task.task_id if info.task else None,
        "map_index": info.task.map_index if info.task else -1,
        "attempt": info.attempt,
        "invocation_id": run.record.invocation_id if run.record else None,
        "started_at": info.started_at,
        "finished_at": run.record.finished_at if run.record else None,
        "nodes": run.nodes,
        "delivery": run.delivery,
        "bytes": run.bytes,
    }
