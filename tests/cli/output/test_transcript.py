"""What is shown of a stream whose lines have text before dbt's events."""

from __future__ import annotations

import io

import pytest
from support.logs import line, log
from support.pipelines import printed

from dbt_relay.cli.output.console import Console
from dbt_relay.cli.output.transcript import Transcript
from dbt_relay.parser import Event, EventReader, Text

LOG = log("1.11.16/build_fail_debug")
BEGIN = line("MainReportVersion", {"version": "=1.11.16"}, level="info", msg="Running with dbt")
HIDDEN = line("NodeStart", {}, msg="not shown")
SHOWN = line("LogStartLine", {}, level="info", msg="1 of 5 START")

PREFIXES = [
    "dbt-1  | ",
    "\x1b[36mdbt-1  | \x1b[0m",
    "[pod/dbt-x#/main] ",
    "2026-01-01T00:00:00.00000000#Z ",
    "2026-01-01T00:00:00.00000000#Z stdout F ",
    "[2026-01-01, 00:00:00 UTC] {subprocess.py:93} INFO - ",
    "[2026-01-01T00:00:0#.123+0000] {{task#.py:#}} DEBUG - ",
    "Jan  1 00:00:00 host dbt[#]: ",
    "00:00:00.123 | INFO    | Flow run 'x' - ",
]


def shown(stream: bytes, *, quiet: bool = False) -> str:
    return printed(stream, chunk=5000, quiet=quiet).decode()


def prefixed(prefix: str, stream: bytes = LOG) -> bytes:
    lines = stream.decode().splitlines()
    return "".join(
        f"{prefix.replace('#', str(n))}{text}\n" for n, text in enumerate(lines)
    ).encode()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_are_not_shown(prefix: str) -> None:
    events = b"".join(text + b"\n" for text in LOG.splitlines() if text.startswith(b'{"data"'))
    assert shown(prefixed(prefix, events)) == shown(events)
    assert shown(prefixed(prefix, events), quiet=True) == shown(events, quiet=True)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_text_between_prefixed_events_is_shown_without_the_prefix(prefix: str) -> None:
    lines = (BEGIN, b"hello\n", HIDDEN, b"there\n", b"\n", b"12 of 5\n", SHOWN)
    got = shown(prefixed(prefix, b"".join(lines)))
    assert got.splitlines() == [
        "03:04:05  Running with dbt",
        *("hello", "there", "", "12 of 5"),
        "03:04:05  1 of 5 START",
    ]


def test_text_with_another_prefix_stays_as_it_is() -> None:
    stream = prefixed("dbt-1  | ", BEGIN + HIDDEN) + b"db-1  | ready\ndbt-1  | dbt-1  | twice\n"
    assert shown(stream).splitlines()[1:] == ["db-1  | ready", "dbt-1  | twice"]


def test_a_print_glued_before_an_event_is_shown() -> None:
    begun = BEGIN + HIDDEN
    assert shown(begun + b"progress 0% " + SHOWN).endswith("\nprogress 0% 03:04:05  1 of 5 START\n")
    assert "progress 0% " in shown(begun + b"progress 0% " + HIDDEN + SHOWN)
    many = b"".join(b"progress %d%% " % n + HIDDEN for n in range(3))
    assert "progress 0% progress 1% progress 2% 03" in shown(BEGIN + many + SHOWN)


@pytest.mark.parametrize("first", [BEGIN, HIDDEN.replace(b"NodeStart", b"MainReportVersion")])
def test_a_print_before_the_first_event_is_shown_in_its_place(first: bytes) -> None:
    assert shown(b"starting " + first + HIDDEN + SHOWN).startswith("starting ")
    assert shown(b"starting " + first).startswith("starting ")
    assert shown(b"starting " + first + b"text\n" + SHOWN).startswith("starting ")


def test_each_invocation_shows_anew_whether_it_is_prefixed() -> None:
    second = prefixed("dbt-1  | ", BEGIN.replace(b"i-1", b"i-2") + SHOWN.replace(b"i-1", b"i-2"))
    assert "dbt-1" not in shown(BEGIN + SHOWN + second)
    bare = BEGIN.replace(b"i-1", b"i-3") + b"50% " + SHOWN.replace(b"i-1", b"i-3")
    assert shown(BEGIN + SHOWN + second + bare).endswith("50% 03:04:05  1 of 5 START\n")


def test_a_refused_event_is_shown_with_what_stands_before_it() -> None:
    forged = SHOWN.replace(b"i-1", b"i-9")
    assert shown(BEGIN + SHOWN + b"print: " + forged).endswith("print: " + forged.decode())


@pytest.mark.parametrize(("number", "words"), [(1, "1 byte"), (2, "2 bytes")])
def test_text_that_is_left_out_is_counted(number: int, words: str) -> None:
    out = io.BytesIO()
    console = Console(out)
    transcript = Transcript(console, awaits_event=True)
    for line_ in (b"x" * number, b"y" * (1 << 20)):
        transcript.text(Text(line_))
    (event,) = (item for item in EventReader().feed(BEGIN) if isinstance(item, Event))
    transcript.event(event)
    console.flush()
    first = out.getvalue().splitlines()[0].decode()
    assert first == f"relay: not shown here: {words} of text before dbt's log"
