"""Reads the ledger: its projects and runs, results by node, and the rows of an export.

A year of a project has half a million results. They come node by node, from the disk.
"""

from __future__ import annotations

import itertools
import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from ...records.brief import BriefRun, Result
from ...records.outcomes import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ..journal.journal import Journal
    from .file import Ledger

_RUN = "id, token, number, project, command, started_at, nodes"


def projects(ledger: Ledger) -> list[str]:
    """The folders of all projects that have results, the project of the latest run first."""
    return [
        project
        for (project,) in ledger.db.execute(
            "select project from run where project is not null and nodes > 0 group by project"
            " order by max(started_at) desc"
        )
    ]


def runs(
    ledger: Ledger, project: str, last: int | None = None, since: float | None = None
) -> list[BriefRun]:
    """The runs of a project that ran nodes, the oldest first.

    Only the `last` ones, and only those since a time in seconds since 1970, where these are given.
    """
    rows = ledger.db.execute(
        f"select {_RUN} from run where project = ? and nodes > 0 and started_at >= ?"  # noqa: S608
        " order by started_at desc, id desc limit ?",
        (project, since if since is not None else 0.0, last if last is not None else -1),
    ).fetchall()
    return [BriefRun(*row) for row in reversed(rows)]


def results(
    ledger: Ledger, runs: Sequence[BriefRun], only: Collection[str] | None = None
) -> Iterator[tuple[str, list[Result]]]:
    """Each node of these runs, or `only` some nodes, with their results, the oldest first."""
    place = {run.id: number for number, run in enumerate(runs)}
    rows = ledger.db.execute(
        "select node, run, outcome, took_ms, checksum, rows_affected, bytes_processed, slot_ms"
        " from result where run in (select value from json_each(:runs)) and (:only is null or node"
        " in (select id from node where unique_id in (select value from json_each(:only))))"
        " order by node",
        {
            "runs": json.dumps([*place]),
            "only": None if only is None else json.dumps([*only]),
        },
    )
    names = ledger.db.cursor()
    for node, of_node in itertools.groupby(rows, itemgetter(0)):
        name = names.execute("select unique_id from node where id = ?", (node,)).fetchone()
        found = [
            Result(place[run], OUTCOMES[outcome], ms / 1000 if ms is not None else None, *rest)
            for _, run, outcome, ms, *rest in of_node
        ]
        found.sort(key=itemgetter(0))
        if name is not None:
            yield name[0], found


def codes(
    ledger: Ledger, runs: Sequence[BriefRun], unique_ids: Collection[str]
) -> dict[str, list[tuple[int, int]]]:
    """The codes of these nodes: for each node the places of the runs in which its code was another
    than before, each with the code, in order."""
    place = {run.id: number for number, run in enumerate(runs)}
    found: dict[str, list[tuple[int, int]]] = {}
    rows = ledger.db.execute(
        "select unique_id, run.id, checksum from node join result on node = node.id"
        " join run on run.id = run"
        " where unique_id in (select value from json_each(?))"
        " and run in (select value from json_each(?)) and checksum is not null"
        " order by run.started_at, run.id",
        (json.dumps([*unique_ids]), json.dumps([*place])),
    )
    for unique_id, run, code in rows:
        of_node = found.setdefault(unique_id, [])
        if not of_node or of_node[-1][1] != code:
            of_node.append((place[run], code))
    return found


def months(ledger: Ledger) -> list[tuple[str, int]]:
    """The months, as `2026-11` in UTC, in which runs began, with how many results each has."""
    return ledger.db.execute(
        "select strftime('%Y-%m', started_at, 'unixepoch') as month, sum(nodes) from run"
        " where nodes > 0 group by month order by month"
    ).fetchall()


def exported(ledger: Ledger, month: str | None = None) -> Iterator[tuple[Any, ...]]:
    """The values of each result for an export: those of its run, then its own, in run's order.

    Times are in seconds since 1970, `outcome` is a place in OUTCOMES.
    """
    runs = ledger.db.execute(
        "select id, token, number, project, command, state, exit_code, started_at, finished_at,"
        " dag_id, dag_run_id, task_id, map_index, attempt, invocation_id, dbt_version, adapter"
        " from run where nodes > 0 and (:month is null or strftime('%Y-%m', started_at,"
        " 'unixepoch') = :month) order by started_at, id",
        {"month": month},
    )
    of_run = ledger.db.cursor()
    for number, *run in runs:
        rows = of_run.execute(
            "select unique_id, outcome, status.text, ? + started_ms / 1000.0, took_ms / 1000.0,"
            " failures, code.text, rows_affected, bytes_processed, bytes_billed, slot_ms, query_id,"
            " thread.text from result join node on node.id = node"
            " left join word as status on status.id = status"
            " left join word as code on code.id = checksum"
            " left join word as thread on thread.id = thread where run = ? order by node",
            (run[6], number),
        )
        for row in rows:
            yield (*run, *row)


def target_dirs(ledger: Ledger, project: str) -> list[str]:
    """The folders in which dbt put its artifacts in the runs of a project, the latest first."""
    rows = ledger.db.execute(
        "select target_dir from run where project = ? and target_dir is not null and nodes > 0"
        " group by target_dir order by max(started_at) desc",
        (project,),
    )
    return [folder for (folder,) in rows]


def number_in_journal(journal: Journal, run: BriefRun) -> int | None:
    """The run's number in the journal; None if the journal has deleted the run."""
    rows = journal.database.rows("select id from run where token = ?", (run.token,))
    return rows[0][0] if rows else None
