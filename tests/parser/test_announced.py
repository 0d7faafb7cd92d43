"""How many nodes dbt announced, and how many of these have no record."""

from __future__ import annotations

import pytest
from support.logs import BEGIN, SCENARIOS, artifact, fold, folded_log, line, log

from dbt_relay.records.exits import Exit
from dbt_relay.records.schema import NodeRecord

ENDED = sorted(
    key
    for key, scenario in SCENARIOS.items()
    # `docs generate` has no event of a node at level info
    if scenario["exit"] in (0, 1) and artifact(key) is not None and "docs_generate" not in key
)
FAIL_FAST = sorted(key for key in SCENARIOS if "failfast" in key)
STOPPED = sorted(key for key in SCENARIOS if "sigterm" in key or "sigkill" in key)


@pytest.mark.parametrize("key", ENDED)
def test_a_complete_run_left_no_node_out(key: str) -> None:
    run = fold(log(key), results=artifact(key)).run
    assert run.missing in (0, None)
    assert (run.missing is None) == (b'"ConcurrencyLine"' not in log(key))


@pytest.mark.parametrize("key", STOPPED)
def test_a_run_that_was_stopped_left_nodes_out(key: str) -> None:
    run = fold(log(key), ended=Exit(signal=15)).run
    assert run.announced == 4
    assert run.missing
    assert run.missing < 4


@pytest.mark.parametrize("key", FAIL_FAST)
def test_nodes_that_fail_fast_stopped_are_missing_without_the_results_file(key: str) -> None:
    folded = folded_log(key)
    assert folded.run.missing
    counted = [r for r in folded.final.values() if is_counted(r)]
    assert folded.run.missing == (folded.run.announced or 0) - len(counted)


def is_counted(record: NodeRecord) -> bool:
    is_other = record.unique_id.startswith(("operation.", "unit_test."))
    return not is_other and record.materialized != "ephemeral"


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_a_node_whose_events_were_lost_is_missing(lost: int) -> None:
    lines = log("1.11.16/build_ok_debug").splitlines(keepends=True)
    ids = sorted({i for s in lines for i in [id_of(s)] if i.startswith(b"test.")})[:lost]
    kept = [s for s in lines if id_of(s) not in ids]
    assert fold(b"".join(kept)).run.missing == lost


def id_of(text: bytes) -> bytes:
    return text.partition(b'"unique_id": "')[2].partition(b'"')[0]


def start(total: int | None, unique_id: str, status: str = "success") -> bytes:
    kind = unique_id.partition(".")[0]
    info = {"unique_id": unique_id, "resource_type": kind, "node_started_at": "2026-01-01T00:00:00"}
    first = line("LogStartLine", {"index": 1, "total": total, "node_info": info})
    result = {"status": status}
    return first + line("NodeFinished", {"run_result": result, "node_info": info})


@pytest.mark.parametrize("total", [3, 4, 5])
def test_unit_tests_of_a_build_count_neither_once_nor_twice(total: int) -> None:
    """dbt 1.8 to 1.11 announces two nodes, and later adds the unit test once or twice."""
    head = BEGIN + line("ConcurrencyLine", {"node_count": 2, "num_threads": 4})
    unit, model = start(total, "unit_test.shop.orders.u"), start(total, "model.shop.orders")
    assert fold(head + unit + model).run.missing == 1
    assert fold(head + unit + model + start(total, "test.shop.t", "pass")).run.missing == 0


def test_several_invocations_add_up() -> None:
    streams = [log("1.11.16/seed_debug"), log("1.10/sigterm_debug")]
    both = fold(b"".join(streams)).run
    alone = [fold(stream).run for stream in streams]
    assert both.announced == sum(run.announced or 0 for run in alone)
    assert both.missing == sum(run.missing or 0 for run in alone) > 0
