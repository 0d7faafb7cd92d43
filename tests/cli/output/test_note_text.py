"""What the note of a task says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.logs import folded_log
from support.records import node

from dbt_relay.cli.output.note_text import LIMIT, task_note, telling_line
from dbt_relay.records.schema import NodeRecord, RunRecord

BINDER = """Runtime Error in model orders (models/orders.sql)
  Binder Error: Referenced column "nope" not found!
  Candidate bindings: "id"
"""


def run(**fields: Any) -> RunRecord:
    nodes = {"success": 20, "warning": 1, "failure": 2, "skipped": 1, "interrupted": 0}
    return RunRecord(**{"state": "finished", "nodes": nodes, "attempt": 1, **fields})


def failure(name: str, message: str | None = BINDER) -> NodeRecord:
    return node(name, "error", message=message)


def note(run: RunRecord, *failed: NodeRecord, there: str = "") -> str:
    return task_note(run, failed)(there) or "no room"


def test_counts_and_a_line_for_each_failed_node() -> None:
    failed = failure("model.shop.orders"), failure("test.shop.t", "Got 2 results")
    assert note(run(), *failed) == (
        "dbt-relay: 24 nodes: 20 success, 1 warning, 2 failure, 1 skipped\n"
        '- model.shop.orders: Binder Error: Referenced column "nope" not found!\n'
        "- test.shop.t: Got 2 results"
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"nodes": {"success": 1}}, "dbt-relay: 1 node: 1 success"),
        ({"nodes": {"success": 2}, "attempt": 2}, "dbt-relay: 2 nodes: 2 success (try 2)"),
        (
            {"nodes": {"success": 2}, "attempt": 3, "resumed_from": 2},
            "dbt-relay: 2 nodes: 2 success (try 3, which resumed try 2)",
        ),
        (
            {"state": "died", "nodes": {}, "message": "dbt was killed by SIGKILL"},
            "dbt-relay: 0 nodes; dbt was killed by SIGKILL",
        ),
        ({"nodes": None, "message": "Parsing Error\n  no such ref"}, "dbt-relay: 0 nodes; no such"),
    ],
)
def test_the_first_line(fields: dict[str, Any], words: str) -> None:
    assert note(run(**fields)).startswith(words)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (BINDER, 'Binder Error: Referenced column "nope" not found!'),
        ("Got 2 results, configured to fail if != 0", "Got 2 results, configured to fail if != 0"),
        ("PARTIAL SUCCESS (4/5)\nRuntime Error\n  batch boom", "batch boom"),
        ("on-run-start failed, error:\n Catalog Error: x\nDid you?", "Catalog Error: x"),
        (
            "Database Error in model m (m.sql)\n  002003: SQL compilation error:\n  Object 'X'",
            "002003: SQL compilation error: Object 'X'",
        ),
        ("\n\n\x1b[32mactual\x1b[0m differs", "actual differs"),
        ("one\nof text\nwithout\n  indent", "one"),
        ("", ""),
    ],
)
def test_the_line_that_says_most(message: str, line: str) -> None:
    assert telling_line(message) == line


def test_every_failure_of_a_real_log_has_its_line() -> None:
    nodes = folded_log("1.11.16/build_fail_debug").final.values()
    failed = [node for node in nodes if node.outcome == "failure" and node.message]
    assert len(failed) > 5
    for record in failed:
        line = telling_line(record.message or "")
        assert line
        assert line in " ".join((record.message or "").split())
        assert not line.startswith(("Runtime Error in", "Compilation Error in"))


def test_what_does_not_fit_is_counted() -> None:
    failed = [failure(f"model.shop.n{number}", "x" * 300) for number in range(12)]
    said = note(run(), *failed)
    shown = said.count("- model.shop.n")
    assert 0 < shown < 12
    assert said.endswith(f"\n- … and {12 - shown} more")
    assert LIMIT - 200 < len(said) <= LIMIT
    assert max(map(len, said.splitlines())) <= 200


def test_a_persons_note_stays_and_ours_is_replaced() -> None:
    first = note(run(), failure("model.shop.a"), there="Call Ann.\nShe knows.\n")
    assert first.startswith("Call Ann.\nShe knows.\n\ndbt-relay: 24 nodes")
    second = note(run(attempt=2), there=first + "\n\nAnn: mended.")
    assert second.startswith("Call Ann.\nShe knows.\n\nAnn: mended.\n\ndbt-relay: 24 nodes")
    assert second.count("dbt-relay: ") == 1
    assert "model.shop.a" not in second
    assert note(run(attempt=2), there=note(run())) == note(run(attempt=2))


def test_a_note_that_leaves_no_room_is_left_alone() -> None:
    assert task_note(run(), [failure("model.shop.a")])("x" * (LIMIT - 20)) is None
    said = note(run(), failure("model.shop.a"), there="x" * (LIMIT - 100))
    assert len(said) <= LIMIT
    assert said.endswith("- … and 1 more")


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("a *b* **c** ~~d~~ `e`", r"a \*b\* \*\*c\*\* \~\~d\~\~ \`e\`"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)>"),
        ("[here](https://evil) ![x](y)", r"\[here\](https://evil) !\[x\](y)"),
        ("stg__orders of raw_orders", "stg__orders of raw_orders"),
        ("_a_ __init__ b_ (_c_)", r"\_a\_ \_\_init\_\_ b\_ (\_c\_)"),
        ("C:\\dbt &lt; &amp; & &#60;", r"C:\\dbt &amp;lt; &amp;amp; & &amp;#60;"),
        ("\x1b[31mred\x1b[0m\x07 ::group::x", "red\ufffd : :group::x"),
        ("\x1b]0;title\x07 a\rb", "a"),
        ("a >= b -> c | d", "a >= b -> c | d"),
    ],
)
def test_what_is_not_ours_is_no_markdown(message: str, line: str) -> None:
    assert note(run(nodes={}), failure("model.shop.a", message)).splitlines()[1:] == [
        f"- model.shop.a: {line}"
    ]
    said = note(run(nodes={}, message=message))
    assert said == f"dbt-relay: 0 nodes; {line}"


def test_a_name_that_is_markdown() -> None:
    said = note(run(nodes={}), failure("model.shop.*x*\n# _<b>_", "no"))
    assert said.splitlines()[1:] == [r"- model.shop.\*x\* # \_&lt;b>\_: no"]


@pytest.mark.parametrize("special", ["*", "<", "\\", "&amp;", "_ ", "`a"])
def test_a_cut_leaves_no_half_of_what_is_escaped(special: str) -> None:
    for before in range(12):
        failed = [failure(f"model.shop.n{n}", "x" * before + special * 200) for n in range(8)]
        said = note(run(), *failed)
        assert len(said) <= LIMIT
        for line in said.splitlines()[1:-1]:
            assert len(line) <= 200
            kept = line.removesuffix(" \N{HORIZONTAL ELLIPSIS}")
            assert kept != line
            assert (len(kept) - len(kept.rstrip("\\"))) % 2 == 0, line
            assert not re.search(r"&(?!lt;|amp;)", kept), line
