"""The console against the text that dbt itself wrote of the same runs."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path

import pytest
from support.pipelines import printed

from dbt_relay.cli.output.console import Console

GOLDEN = Path(__file__).parents[2] / "golden" / "console"
PAIRS = json.loads((GOLDEN / "pairs.json").read_text())
CLOCK = (re.compile(r"(?m)^((?:\x1b\[0m)?)\d\d:\d\d:\d\d  "), r"\1HH:MM:SS  ")
DURATIONS = (
    (re.compile(r"\bin \d+\.\d\ds\]"), "in N.NNs]"),
    (re.compile(r"\d+ hours \d+ minutes and \d+\.\d\d seconds \(\d+\.\d\ds\)"), "DURATION"),
)


def without_times(text: str, *, same_run: bool) -> str:
    for pattern, replacement in (CLOCK,) if same_run else (CLOCK, *DURATIONS):
        text = pattern.sub(replacement, text)
    return text


@pytest.mark.parametrize("pair", sorted(PAIRS))
def test_it_prints_what_dbt_prints(pair: str) -> None:
    facts = PAIRS[pair]
    log = gzip.decompress((GOLDEN / f"{pair}.jsonl.gz").read_bytes())
    got = printed(
        log,
        level=facts["level"],
        quiet="--quiet" in facts["argv"],
        style=facts["style"],
        colours=facts["colours"],
    ).decode("utf-8", "replace")
    expected = (GOLDEN / f"{pair}.txt").read_bytes().decode("utf-8", "replace")
    same_run = facts["same_run"]
    assert without_times(got, same_run=same_run) == without_times(expected, same_run=same_run)


@pytest.mark.parametrize("pair", sorted(PAIRS))
def test_for_an_operator_lines_have_a_level_in_place_of_dbts_time(pair: str) -> None:
    facts = PAIRS[pair]
    log = gzip.decompress((GOLDEN / f"{pair}.jsonl.gz").read_bytes())
    quiet = "--quiet" in facts["argv"]
    options = {"level": facts["level"], "quiet": quiet, "style": facts["style"]}
    plain = printed(log, **options).decode("utf-8", "replace")
    marked = printed(log, **options, marks_levels=True).decode("utf-8", "replace")
    of_events = re.compile(r"<[3467]>(.*)")
    for line, usual in zip(marked.split("\n"), plain.split("\n"), strict=True):
        found = of_events.fullmatch(line)
        assert usual == line if found is None else CLOCK[0].sub("", usual) == found[1]


def test_a_reader_that_went_away_is_no_error() -> None:
    class Closed(io.BytesIO):
        def write(self, _: object) -> int:
            raise BrokenPipeError

    console = Console(Closed())
    console.say("x")
    console.flush()
    assert console.is_closed
