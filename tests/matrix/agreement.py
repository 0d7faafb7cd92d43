"""Compares the relay with dbt itself: records with dbt's file, and printed lines."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from support.results import differences

if TYPE_CHECKING:
    import subprocess

    from matrix.dbt_under_test import Dbt
    from real_dbt.project import Project

_VARYING = re.compile(
    r"\x1b\[[0-9;]*m|\d\d:\d\d:\d\d  |((?<=\[) +)?\d+(\.\d+)?( seconds|m?s\b)|-{7}"
    r"|\d+ of (?=\d)|\.{3,}|\btmp[a-z0-9_]{8}"
)
"""Colours, which dbt 1.x prints although no terminal reads them; times; durations, which dbt v2
pads to seven columns, and `-------` if a node took no time; the places of nodes, with the dots that
fill their lines; the database, which is another one for each copy of a project."""

_ONLY_IN_FILE_OF_V2 = ("thread", "timing", "execution_time")
"""What the telemetry of dbt v2 does not say, or measures by itself."""
_OTHER_WORDS_OF_V2 = {("no-op", "skipped"), ("fail", "error")}
"""Statuses of a record and of the file: of ephemeral models, and of unit tests."""


def assert_agreement(dbt: Dbt, project: Project) -> None:
    """Compare the records of the last run with run_results.json, node by node."""
    results, nodes = project.results(), project.nodes()
    without_record = results.keys() - nodes.keys()
    assert not without_record, without_record
    unfiled = [nodes[u] for u in nodes.keys() - results.keys()]
    wrong = [record for record in unfiled if not _may_be_unfiled(dbt, record)]
    assert not wrong, wrong
    found = {u: _differences(dbt, nodes[u], result) for u, result in results.items()}
    found = {u: fields for u, fields in found.items() if fields}
    assert not found, json.dumps(found, indent=1)
    writes = Counter(r["unique_id"] for r in project.records() if "unique_id" in r)
    assert all(n == 1 or (n == 2 and nodes[u]["outcome"] != "success") for u, n in writes.items())
    run = project.records()[-1]
    assert run["nodes"] == Counter(record["outcome"] for record in nodes.values())


def _may_be_unfiled(dbt: Dbt, record: dict[str, Any]) -> bool:
    """The file has no hooks before dbt 1.9 and in v2. That of v2 has no failed microbatch model."""
    if record["resource_type"] == "operation":
        return not dbt.is_since("1.9") or dbt.release == "v2"
    return dbt.release == "v2" and record["outcome"] == "failure"


def _differences(dbt: Dbt, record: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    found = differences(record, result)
    if dbt.release != "v2":
        return found
    for field in _ONLY_IN_FILE_OF_V2:
        found.pop(field, None)
    if found.get("status") in _OTHER_WORDS_OF_V2:
        del found["status"]
    if found.get("message", ("", ""))[1] == "Error":  # the telemetry has the text
        del found["message"]
    if record["resource_type"] == "unit_test":  # the file has no failures of it
        found.pop("failures", None)
    return found


def assert_same_lines(
    plain: subprocess.CompletedProcess[str], relayed: subprocess.CompletedProcess[str]
) -> None:
    """Compare what was printed. The relay prints its own lines behind all of dbt's.

    dbt runs nodes in another order each time, with one thread too.
    """
    expected, printed = _lines(plain.stdout), _lines(relayed.stdout)
    of_dbt, own = printed[: len(expected)], printed[len(expected) :]
    _assert_equal(sorted(expected), sorted(of_dbt))
    assert not own or re.match(r"relay: |\d+ nodes? did not succeed", "".join(own)), own
    errors = [line for line in _lines(relayed.stderr) if not line.startswith("relay: ")]
    _assert_equal(sorted(_lines(plain.stderr)), sorted(errors))


def _assert_equal(expected: list[str], found: list[str]) -> None:
    assert expected == found, "\n".join(difflib.unified_diff(expected, found, n=0, lineterm=""))


def _lines(text: str) -> list[str]:
    """What was printed, without what varies."""
    return [re.sub(" +", " ", _VARYING.sub("", line)).strip() for line in text.splitlines()]
