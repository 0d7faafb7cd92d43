"""A failed node and all that dbt skipped for it are one entry, root causes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.records import node

from dbt_relay.consumer.causes import Cause, Causes
from dbt_relay.records import NodeRecord


def skipped(name: str, cause: str | None) -> NodeRecord:
    return node(name, "skipped", caused_by=cause)


def test_a_failed_node_and_its_skips_are_one_entry() -> None:
    failed = node("model.shop.orders", "error", message="boom")
    below = [skipped(f"model.shop.m{n}", failed.unique_id) for n in range(40)]
    causes = Causes.of([node("model.shop.fine"), *below[:20], failed, *below[20:]])
    assert causes.found == (Cause(failed.unique_id, failed, tuple(r.unique_id for r in below)),)
    assert causes.unexplained == ()


def test_the_failure_with_most_skips_comes_first_and_interrupted_nodes_last() -> None:
    cut = node("model.shop.cut", "interrupted")
    records = [
        cut,
        node("test.shop.early", "fail"),
        node("model.shop.late", "error"),
        skipped("model.shop.below", "model.shop.late"),
        skipped("model.shop.below_cut", cut.unique_id),
        skipped("model.shop.below_cut_too", cut.unique_id),
    ]
    found = [cause.unique_id for cause in Causes.of(records).found]
    assert found == ["model.shop.late", "test.shop.early", "model.shop.cut"]


def test_a_skip_for_a_node_without_a_record_names_that_node() -> None:
    causes = Causes.of([skipped("model.shop.below", "model.shop.ephemeral")])
    assert causes.found == (Cause("model.shop.ephemeral", None, ("model.shop.below",)),)


def test_a_skip_for_an_unknown_failure_belongs_to_none() -> None:
    causes = Causes.of([node("model.shop.a", "error"), skipped("model.shop.b", None)])
    assert [cause.skipped for cause in causes.found] == [()]
    assert causes.unexplained == ("model.shop.b",)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["success", "warn", "error", "fail", "interrupted", "skipped"]),
            st.none() | st.integers(0, 9),
        ),
        max_size=10,
    )
)
def test_every_node_that_is_not_green_is_told_once(drawn: list[tuple[str, int | None]]) -> None:
    records = [
        node(f"model.shop.m{n}", status, caused_by=f"model.shop.m{by}" if by is not None else None)
        for n, (status, by) in enumerate(drawn)
    ]
    causes = Causes.of(records)
    told = [u for cause in causes.found for u in cause.skipped]
    told += [cause.unique_id for cause in causes.found if cause.record is not None]
    told += causes.unexplained
    assert sorted(told) == sorted(r.unique_id for r in records if not r.has_succeeded)
