"""What `stats` says as JSON: `dbt-relay/stats@1`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...records.instant import time_text

if TYPE_CHECKING:
    from ...consumer.history.flaky import Flaky
    from ...consumer.history.history import NodeHistory
    from ...consumer.history.pace import Slower
    from ...consumer.history.volume import Week
    from ...records.brief import BriefRun
    from .findings import Chain, Findings

SCHEMA: Final = "dbt-relay/stats@1"


def json_form(found: Findings) -> dict[str, Any]:
    """The findings. Runs are `run` (the number in `dbt-relay runs`) and `started_at`."""
    history = found.history
    return {
        "schema": SCHEMA,
        "project": found.project,
        "runs": len(found.runs),
        "first_run": _run(found.runs[0]) if found.runs else None,
        "last_run": _run(found.runs[-1]) if found.runs else None,
        "slow_runs": [
            {**_run(found.runs[run]), "factor": _figure(factor)}
            for run, factor in history.slowness.items()
        ],
        "slower": [_slower(found, one) for one in history.slower],
        "flaky": [_flaky(found, one) for one in found.flaky],
        "failed": [_failed(found, one) for one in history.failing],
        "critical_path": _chain(found.chain) if found.chain is not None else None,
        "nodes": [_node(one) for one in history.nodes],
    }


def _run(run: BriefRun) -> dict[str, Any]:
    return {"run": run.number, "started_at": time_text(run.started_at)}


def _slower(found: Findings, one: Slower) -> dict[str, Any]:
    return {
        "unique_id": one.unique_id,
        "usual_seconds": _figure(one.pace.usual),
        "spread_seconds": _figure(one.pace.spread),
        "last_seconds": _figure(one.last),
        "factor": _figure(one.factor),
        "since": _run(found.runs[one.since]),
        "runs_since": one.times,
        "code_changed": one.code_changed,
        "rows_factor": _figure(one.rows_factor) if one.rows_factor is not None else None,
    }


def _flaky(found: Findings, one: Flaky) -> dict[str, Any]:
    return {
        "unique_id": one.unique_id,
        "failed": one.failed,
        "succeeded": one.succeeded,
        "changes": one.changes,
        "last_failed": _run(found.runs[one.last_failed]),
        "is_code_known": one.is_code_known,
    }


def _failed(found: Findings, one: NodeHistory) -> dict[str, Any]:
    return {
        "unique_id": one.unique_id,
        "failed": one.failed,
        "ran": one.times,
        "is_failing": one.is_failing,
        "last_failed": _run(found.runs[one.last_failed or 0]),
    }


def _chain(chain: Chain) -> dict[str, Any]:
    return {
        **_run(chain.run),
        "seconds": _figure(chain.seconds),
        "run_seconds": _figure(chain.whole),
        "threads": chain.threads,
        "nodes": chain.path,
        "savings": [
            {"unique_id": s.unique_id, "seconds": _figure(s.seconds), "saves": _figure(s.saves)}
            for s in chain.savings
        ],
        "remark": chain.remark,
    }


def _node(one: NodeHistory) -> dict[str, Any]:
    return {
        "unique_id": one.unique_id,
        "ran": one.times,
        "failed": one.failed,
        "usual_seconds": _figure(one.pace.usual) if one.pace is not None else None,
        "spread_seconds": _figure(one.pace.spread) if one.pace is not None else None,
        "last_seconds": one.last,
        "weeks": [_week(week) for week in one.weeks],
    }


def _week(week: Week) -> dict[str, Any]:
    counts = {"rows": week.rows, "bytes_processed": week.bytes, "slot_ms": week.slot_ms}
    known = {name: count for name, count in counts.items() if count is not None}
    return {"week": week.first.isoformat(), "runs": week.runs, **known}


def _figure(value: float) -> float:
    return round(value, 3)
