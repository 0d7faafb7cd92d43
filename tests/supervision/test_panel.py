"""The live panel on a real terminal: where it is shown, and what it leaves there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.environment import AIRFLOW_TASK
from support.logs import line
from support.running import Running, in_flight
from support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

NODES = tuple(f"model.shop.node_{n}" for n in range(5))
NOT_RUN = "dbt ended before it ran 295 of 300 nodes."
TALK = [f"a line of dbt, number {n}" for n in range(60)]
LOG = (
    in_flight(*NODES)
    + line("ConcurrencyLine", {"node_count": 300}, level="info", msg="Concurrency: 5 threads")
    + b"".join(line("Note", {}, level="info", msg=text) for text in TALK)
)
SIZES = [(80, 24), (120, 40), (200, 50)]


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    with Terminal(*getattr(request, "param", (80, 24))) as terminal:
        yield terminal


def start(running: Running, terminal: Terminal, *options: str, **env: str) -> None:
    dbt = running.echo_of(
        LOG, "--until", "SIGINT", "--linger", "0.3", "--exit", "2", "--last-words", "stopped"
    )
    kept = {name: value for name, value in running.env.items() if name not in ("CI", "NO_COLOR")}
    terminal.start(running.command(dbt, *options), {**kept, **env})


def is_panel(text: str) -> bool:
    return "0 of 300 nodes" in text and all(f"model node_{n}" in text for n in range(5))


@pytest.mark.parametrize("terminal", SIZES, indirect=True, ids=str)
def test_the_panel_is_below_all_lines_and_leaves_no_trace(
    running: Running, terminal: Terminal
) -> None:
    start(running, terminal)
    shown = terminal.wait_for(lambda text: is_panel(text) and TALK[-1] in text, "the panel")
    assert shown.index(TALK[-1]) < shown.index("0 of 300")
    terminal.press(b"\x03")
    assert terminal.end() == 2
    told = terminal.scrolled()
    assert "0 of 300" not in told
    assert [text[10:] for text in told.splitlines() if "a line of dbt" in text] == TALK
    assert told.count("stopped") == 2
    assert told.splitlines()[-1] == "relay: 5 records, 5 delivered"
    assert terminal.has_cursor
    assert terminal.cursor[1] == 0
    assert running.signals() == ["SIGINT"]


def test_another_size_of_the_terminal_changes_the_panel_and_loses_no_line(
    running: Running, terminal: Terminal
) -> None:
    start(running, terminal)
    terminal.wait_for(is_panel, "the panel")
    for columns, rows in ((60, 24), (132, 40), (40, 12), (80, 24)):
        terminal.resize(columns, rows)
        shown = terminal.wait_for(lambda text: text.count("0 of 300 nodes") == 1, "one panel")
        assert all(len(text) < columns for text in shown.splitlines()), shown
    terminal.press(b"\x03")
    assert terminal.end() == 2
    told = terminal.text()
    assert told.count(NOT_RUN) == 1
    assert "of 300" not in told.replace(NOT_RUN, "")
    assert terminal.cursor[1] == 0


def test_a_killed_relay_leaves_the_cursor_visible(running: Running, terminal: Terminal) -> None:
    start(running, terminal)
    terminal.wait_for(is_panel, "the panel")
    assert terminal.process is not None
    terminal.process.kill()
    terminal.end()
    assert terminal.has_cursor


@pytest.mark.parametrize(
    ("options", "env"),
    [
        (["--no-progress"], {}),
        ([], {"DBT_RELAY_PROGRESS": "0"}),
        ([], {"TERM": "dumb"}),
        ([], {"CI": "true"}),
        (["--progress"], {"TERM": "dumb"}),
        (["--progress"], AIRFLOW_TASK),
    ],
    ids=["option", "variable", "dumb", "ci", "dumb although asked", "airflow although asked"],
)
def test_where_no_panel_is_shown_lines_are_plain(
    running: Running, terminal: Terminal, options: list[str], env: dict[str, str]
) -> None:
    start(running, terminal, *options, **env)
    terminal.wait_for(lambda text: TALK[-1] in text, "the last line")
    terminal.press(b"\x03")
    assert terminal.end() == 2
    assert terminal.raw.count(NOT_RUN.encode()) == 1
    assert b"of 300" not in terminal.raw.replace(NOT_RUN.encode(), b"")
    assert b"\x1b[?" not in terminal.raw
    lines = terminal.raw.decode().splitlines()
    told = [text.partition("a line of dbt") for text in lines]
    assert [word + rest for _, word, rest in told if word] == TALK


def test_a_panel_that_is_asked_for_in_ci_is_shown(running: Running, terminal: Terminal) -> None:
    start(running, terminal, "--progress", CI="true", NO_COLOR="1")
    terminal.wait_for(is_panel, "the panel")
    terminal.press(b"\x03")
    assert terminal.end() == 2
    assert b"\x1b[1m" not in terminal.raw
    assert b"\x1b[3" not in terminal.raw
