"""Which failed node caused a skip: the right node or none, never a wrong one."""

from __future__ import annotations

from typing import Any

import pytest
from support.logs import BEGIN, line

from dbt_relay.parser import Event, EventReader, Lineage, Run, read_lineage
from dbt_relay.parser.failed_ancestors import FailedAncestors
from dbt_relay.records import NodeRecord


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}Z"


def started(name: str, second: int) -> bytes:
    info = {"unique_id": name, "node_started_at": at(second)}
    return line("NodeStart", {"node_info": info}, ts=at(second))


def ended(name: str, status: str, second: int) -> bytes:
    info = {"unique_id": name, "node_finished_at": at(second) if status != "skipped" else ""}
    data = {"node_info": info, "run_result": {"status": status}}
    return line("NodeFinished", data, ts=at(second))


def skipped_unbegun(name: str) -> bytes:
    info = {"unique_id": name, "node_started_at": "", "node_status": "None"}
    return line("SkippingDetails", {"node_info": info, "index": 1, "total": 1}, ts=at(30))


def hook(name: str, status: str) -> bytes:
    info = {"unique_id": f"operation.a.a-on-run-{name}", "node_started_at": ""}
    return line("LogHookEndLine", {"node_info": info, "status": status}, ts=at(5))


def causes(stream: bytes, lineage: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """The causes by node, after the whole log."""
    run, records = Run(), list[NodeRecord]()
    for item in EventReader().feed(BEGIN + stream):
        assert isinstance(item, Event)
        records += run.feed(item) or ()
        if lineage is not None:
            run.use_lineage(Lineage("i-1", lineage))
    records += run.finish()
    final = {r.unique_id: r for r in records}
    return {uid: r.caused_by for uid, r in final.items() if r.status == "skipped"}


LINE = {"model.b": ["model.a"], "model.c": ["model.b"], "model.d": ["model.x"]}


@pytest.mark.parametrize("lineage", [None, LINE])
@pytest.mark.parametrize("skip_ends", [1, 4])
def test_a_child_that_starts_before_its_parent_has_failed(
    lineage: dict[str, list[str]] | None, skip_ends: int
) -> None:
    stream = started("model.a", 1) + started("model.b", 1) + ended("model.a", "error", 3)
    stream += ended("model.b", "skipped", skip_ends) + ended("model.c", "skipped", skip_ends)
    assert causes(stream, lineage) == {"model.b": "model.a", "model.c": "model.a"}


def test_without_a_lineage_a_second_failure_before_the_skip_makes_it_doubtful() -> None:
    stream = started("model.b", 1) + ended("model.x", "error", 2) + ended("model.a", "error", 3)
    assert causes(stream + ended("model.b", "skipped", 4)) == {"model.b": None}
    late = started("model.b", 1) + ended("model.a", "error", 3) + ended("model.b", "skipped", 4)
    assert causes(late + ended("model.x", "error", 9)) == {"model.b": "model.a"}


def test_the_first_of_two_failed_parents_stays_where_dbt_did_not_wait_for_the_second() -> None:
    stream = ended("model.z", "error", 1) + ended("model.c", "skipped", 2)
    stream += ended("model.a", "error", 3)
    assert causes(stream, {"model.c": ["model.a", "model.z"]}) == {"model.c": "model.z"}


def test_a_failed_hook_at_the_start_causes_every_skip() -> None:
    stream = hook("start-0", "success") + hook("start-1", "error") + hook("start-2", "skipped")
    stream += skipped_unbegun("model.a") + skipped_unbegun("model.b")
    cause = "operation.a.a-on-run-start-1"
    expected = dict.fromkeys(("operation.a.a-on-run-start-2", "model.a", "model.b"), cause)
    assert causes(stream) == expected
    assert causes(stream, {"model.b": ["model.a"]}) == expected


def test_a_failed_hook_after_which_dbt_went_on_is_no_cause() -> None:
    stream = hook("start-0", "error") + ended("model.a", "error", 6) + started("model.b", 7)
    stream += ended("model.b", "skipped", 8) + hook("end-0", "error") + hook("end-1", "skipped")
    expected = {"model.b": "model.a", "operation.a.a-on-run-end-1": "operation.a.a-on-run-end-0"}
    assert causes(stream) == expected
    assert causes(stream, LINE) == expected


def test_a_skipped_ephemeral_model_passes_its_own_cause_on() -> None:
    stream = ended("model.a", "error", 1) + ended("model.eph", "skipped", 2)
    text = (
        "Compilation Error in model.f, caused by compilation error in referenced ephemeral model "
    )
    data = {
        "node_info": {"unique_id": "model.f"},
        "run_result": {"status": "skipped", "message": text + "model.eph"},
    }
    stream += line("NodeFinished", data, ts=at(3))
    lineage = {"model.f": ["model.eph"], "model.eph": ["model.a"]}
    assert (
        causes(stream) == causes(stream, lineage) == {"model.eph": "model.a", "model.f": "model.a"}
    )
    assert causes(stream.replace(b"skipped", b"error", 1))["model.f"] == "model.eph"


def test_the_manifest_of_v2_has_the_lineage_too() -> None:
    manifest = (
        b'{"metadata":{"invocation_id":"i-1"},"nodes":{"m":{"sql":"\\"parent_map\\":{"}},'
        b'"child_map":{},"parent_map":{"model.b":["model.a"]},"group_map":{},"disabled":{}}'
    )
    lineage = read_lineage(manifest)
    assert lineage is not None
    assert lineage.parents == {"model.b": ["model.a"]}


TESTS = {
    "model.b": ["model.a"],
    "model.c": ["model.b", "model.o"],
    "model.far": ["model.bad"],
    "model.one": ["model.a", "model.far"],
    "test.t": ["model.a"],
    "test.joint": ["model.a", "model.o"],
    "unit_test.u": ["model.a"],
}


@pytest.mark.parametrize(
    ("failed", "skipped", "cause"),
    [
        (["test.t"], "model.b", "test.t"),
        (["test.t"], "model.c", "test.t"),
        (["unit_test.u"], "model.a", "unit_test.u"),
        (["unit_test.u"], "model.c", "unit_test.u"),
        (["test.joint"], "model.c", "test.joint"),
        (["test.joint"], "model.b", None),  # it does not depend on both tested nodes
        (["test.joint", "model.bad"], "model.one", "model.bad"),
        (["model.a", "model.o"], "model.c", "model.o"),  # the closest
        (["test.t"], "model.a", None),  # a data test comes after its model
    ],
)
def test_tests_hold_back_what_dbt_build_says(
    failed: list[str], skipped: str, cause: str | None
) -> None:
    assert FailedAncestors(Lineage("i", TESTS), failed).closest(skipped) == cause


def test_the_search_ends_in_a_damaged_lineage_with_a_cycle() -> None:
    ring = Lineage("i", {"model.a": ["model.b"], "model.b": ["model.a", "model.x"]})
    assert FailedAncestors(ring, ["model.x"]).closest("model.a") == "model.x"
    assert FailedAncestors(ring, []).closest("model.a") is None
