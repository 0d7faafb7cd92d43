"""Why a node's record is missing or proves no success, in words for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...records.display import displayed
from ...records.outcomes import outcome_of
from ...records.plural import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...records.schema import NodeRecord, RunRecord


def no_record_reason(state: str | None) -> str:
    """Why the run has no record. `state` is the state of the task that runs dbt."""
    if state == "failed":
        return (
            "the task that runs dbt failed, and there is no record of its run: see its log. If dbt "
            "ran, `dbt-relay doctor` on its worker checks whether it can deliver"
        )
    return (
        "the task that runs dbt succeeded, and there is no record of its run: does its command "
        "start with `dbt-relay run`? `dbt-relay doctor` on its worker checks whether it can deliver"
    )


def gap_reason(run: RunRecord, what: str) -> str | None:
    """Why the record of `what` may be missing; None if every announced node has a record."""
    if run.state == "running":
        return (
            f"the relay was killed before dbt had ended {what}, or could not deliver the end of "
            "the run in time; if its journal still exists, `dbt-relay deliver` on that machine "
            "publishes its records"
        )
    # An exit code of 1 without a failed node is an error before all nodes (dbt v2).
    failed_early = run.exit_code == 1 and run.failed == [] and run.message is not None
    if run.state != "finished" or run.exit_code not in (0, 1) or failed_early:
        ended = f"exit code {run.exit_code}" if run.signal is None else run.signal
        told = f": {displayed(run.message)}" if run.message else ""
        return f"dbt ended ({ended}) before it ran {what}{told}"
    undelivered = _undelivered(run.delivery or {})
    if undelivered:
        return (
            f"{undelivered} of this run did not get to Airflow, perhaps a record that this task "
            "waits for; see the end of the log of the task that runs dbt"
        )
    if run.missing:
        return (
            f"dbt was stopped before it ran {counted(run.missing, 'node')} of the {run.announced} "
            "that it had announced, perhaps a node that this task waits for"
        )
    return None


def _undelivered(delivery: Mapping[str, Mapping[str, int]]) -> str | None:
    of_airflow = delivery.get("airflow", {})
    number = of_airflow.get("waiting", 0) + of_airflow.get("rejected", 0)
    return counted(number, "record") if number else None


def doubt_reason(node: NodeRecord) -> str:
    """Why a doubtful record proves no success, although its outcome is one."""
    if outcome_of(node.status) == "warning" and node.outcome == "warning":
        return (
            f"dbt-relay does not know the status {node.status!r}, so this task cannot tell whether "
            "the node succeeded: see dbt's log"
        )
    return (
        f"its record contradicts itself: the status {node.status!r} does not have the outcome "
        f"{node.outcome!r}"
    )
