"""The lines of the panel, at any size of the terminal."""

from __future__ import annotations

from unicodedata import category

from hypothesis import given
from hypothesis import strategies as st
from support.records import node

from dbt_relay.cli.output.panel import Look, cells, duration, panel, roughly, title
from dbt_relay.cli.output.progress import Running, Status
from dbt_relay.sinks import Backlog

PLAIN = Look(colours=False)
ERROR = "Database Error in model m (m.sql)\n  Binder Error: no such column\n  more"
STATUS = Status(
    done=142,
    total=300,
    outcomes={"success": 8, "failure": 1, "skipped": 3},
    seconds=83.0,
    left=131.0,
    running=[
        Running("model.shop.orders", "Thread-1", 75.0, 10.0),
        Running("test.shop.unique_orders_id.e3b841c71a", "Thread-12", 2.9),
    ],
    failures=[node("model.shop.broken", "error", message=ERROR)],
    backlogs=[Backlog("jsonl:/a", 0, None), Backlog("airflow", 2, "503")],
)


def test_what_a_person_reads() -> None:
    assert panel(STATUS, 100, 24, PLAIN) == [
        "",
        " 142 of 300 nodes  ━━━━━━━━━━━━━━────────────────  1:23, about 2 min left",
        " 8 success, 1 failure, 3 skipped; jsonl: all delivered; airflow: 2 records waiting (503)",
        " error model broken: Binder Error: no such column",
        " Thread-1   model orders           1:15  usually 10 s",
        " Thread-12  test unique_orders_id   2 s",
    ]


def test_a_run_that_announced_no_number_has_no_bar() -> None:
    status = Status(done=7, total=None, outcomes={"success": 7}, seconds=5.0)
    assert panel(status, 80, 24, PLAIN) == ["", " 7 nodes  5 s so far", " 7 success"]


def test_after_the_end_of_dbt_only_what_is_not_delivered_is_told() -> None:
    waiting = Status(3, 3, {}, 1.0, is_over=True, backlogs=STATUS.backlogs)
    told = " dbt has ended. Delivering: airflow: 2 records waiting (503)"
    assert panel(waiting, 80, 24, PLAIN) == ["", told]
    assert panel(Status(3, 3, {}, 1.0, is_over=True), 80, 24, PLAIN) == []


def test_a_terminal_without_unicode_gets_ascii() -> None:
    assert all(line.isascii() for line in panel(STATUS, 60, 24, Look(unicode=False)))


def test_more_running_nodes_than_there_is_room_for_are_counted() -> None:
    running = [Running(f"model.shop.m{n}", "", float(n)) for n in range(100)]
    lines = panel(Status(0, 100, {}, 1.0, running=running), 80, 40, PLAIN)
    assert lines[-1] == " and 93 more"
    assert len(lines) == 10


@given(
    st.integers(20, 250),
    st.integers(4, 60),
    st.booleans(),
    st.lists(st.text(max_size=120), max_size=12),
    st.text(max_size=300),
)
def test_no_line_is_wider_than_the_terminal_and_the_panel_leaves_half_of_it(
    columns: int, rows: int, unicode: bool, names: list[str], error: str
) -> None:
    status = Status(
        1,
        2,
        {"failure": 1},
        1e6,
        left=1e6,
        running=[Running(name, name[:10], 3.0, 2.0) for name in names],
        failures=[node(name, "error", message=error) for name in names],
        backlogs=[Backlog("airflow", 5, error)],
    )
    lines = panel(status, columns, rows, Look(colours=False, unicode=unicode))
    assert len(lines) <= max(1, rows // 2)
    for line in lines:
        assert cells(line) < columns
        assert not any(category(character) == "Cc" for character in line)


def test_times_as_people_read_them() -> None:
    assert [duration(s) for s in (0, 59.9, 60, 3599, 3600)] == [
        "0 s", "59 s", "1:00", "59:59", "1:00:00",
    ]  # fmt: skip
    assert [duration(s, exact=True) for s in (0.04, 9.94, 9.96, 59.6)] == [
        "0.0 s", "9.9 s", "10 s", "1:00",
    ]  # fmt: skip
    assert [roughly(s) for s in (1, 33, 58, 100, 7000)] == [
        "5 s", "35 s", "1 min", "2 min", "1 h 50 min",
    ]  # fmt: skip


def test_a_node_is_named_without_its_package() -> None:
    assert title("model.shop.orders.v2") == "model orders.v2"
    assert title("test.shop.unique_orders_id.e3b841c71a") == "test unique_orders_id"
    assert title("odd") == "odd "
