"""`dbt-relay show --watch`: a run of another process, until it ends or dies."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
from support.command import RELAY, Shell, ended
from support.logs import line
from support.running import ECHO, in_flight
from support.terminal import Terminal
from support.timing import wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

ORDERS, FAILS = "model.shop.orders", "model.shop.fails"


def finished(unique_id: str, status: str, message: str = "") -> bytes:
    info = {
        "unique_id": unique_id,
        "node_name": unique_id,
        "node_started_at": "2026-01-02T03:04:05",
    }
    result = {"status": status, "message": message, "execution_time": 1.5}
    return line("NodeFinished", {"node_info": info, "run_result": result}, code="Q025")


LOG = (
    in_flight(ORDERS, FAILS, "model.shop.runs")
    + line("ConcurrencyLine", {"node_count": 3}, level="info", msg="Concurrency")
    + finished(ORDERS, "success")
    + finished(FAILS, "error", "boom")
)


class Other:
    """A run of another process, in which two of three nodes have ended."""

    def __init__(self, folder: Path) -> None:
        self.shell = Shell(folder)
        (folder / "log").write_bytes(LOG)
        self._go = folder / "go"
        dbt = (*ECHO, str(folder / "heard"), "--say", str(folder / "log"))
        self.locks = self.shell.state / "claims"
        sink = f"jsonl:{folder / 'records.jsonl'}"
        self.process: subprocess.Popen[str] = self.shell.start(
            "run", "--sink", sink, "--", *dbt, "--until-file", str(self._go)
        )
        wait_until((folder / "heard").exists, "dbt")
        wait_until(lambda: FAILS in self.shell("show").stdout, "the second node in the journal")

    def end(self) -> None:
        self._go.touch()
        ended(self.process)


def the_rest(watching: subprocess.Popen[str]) -> str:
    """What it prints until it ends well. `communicate` loses what a `readline` has buffered."""
    assert watching.stdout is not None
    assert watching.stderr is not None
    with watching:
        out, err = watching.stdout.read(), watching.stderr.read()
    assert (watching.returncode, err) == (0, "")
    return out


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Other]:
    other = Other(tmp_path)
    yield other
    other.end()


def test_lines_come_as_nodes_end_and_the_end_of_the_run_ends_it(other: Other) -> None:
    watching = other.shell.start("show", "--watch")
    assert watching.stdout is not None
    first, second = watching.stdout.readline(), watching.stdout.readline()
    assert first.split()[-4:] == ["success", "1.50", "s", ORDERS]
    assert second.split()[-4:] == ["failure", "1.50", "s", FAILS]
    assert watching.poll() is None
    other.end()
    out = the_rest(watching)
    third, _, head, *rest = out.splitlines()
    assert third.split() == ["interrupted", "model.shop.runs"]
    assert head.startswith("run 1: ")
    told = "\n".join(rest)
    assert told.startswith("finished: ")
    assert "2 nodes did not succeed:\n  model.shop.fails [error]\n    boom\n" in told
    assert "3 delivered" in rest[-1]


def test_a_run_whose_process_was_killed_is_told_as_such(other: Other) -> None:
    watching = other.shell.start("show", "--watch", "1")
    assert watching.stdout is not None
    watching.stdout.readline()
    other.process.send_signal(signal.SIGKILL)
    out = the_rest(watching)
    assert "\ndied: " in out
    assert "the relay was killed, or its host went down, before dbt had ended" in out


def test_json_comes_as_nodes_end(other: Other) -> None:
    watching = other.shell.start("show", "--watch", "--json")
    assert watching.stdout is not None
    assert json.loads(watching.stdout.readline())["unique_id"] == ORDERS
    other.end()
    out = the_rest(watching)
    assert [json.loads(text)["unique_id"] for text in out.splitlines()] == [
        FAILS,
        "model.shop.runs",
    ]


def test_a_run_that_nobody_watches_tells_nobody_what_runs(other: Other) -> None:
    assert [path.suffix for path in other.locks.iterdir()] == [""]


def test_a_run_that_is_over_is_shown(other: Other) -> None:
    other.end()
    done = other.shell("show", "--watch")
    assert done.stdout == other.shell("show").stdout
    assert done.stderr == "relay: run 1 is over\n"


def test_on_a_terminal_a_panel_is_below_the_lines(other: Other) -> None:
    env = {name: value for name, value in other.shell.env.items() if name != "CI"}
    with Terminal(100, 24) as terminal:
        terminal.start([*RELAY, "show", "--watch"], env)
        shown = terminal.wait_for(lambda text: "2 of 3 nodes" in text, "the panel")
        assert shown.index(FAILS) < shown.index("2 of 3 nodes")
        assert "1 success, 1 failure; jsonl: all delivered" in shown
        terminal.wait_for(lambda text: "\n model runs  " in text, "the node that runs")
        terminal.press(b"\x03")
        assert terminal.end() == 130
        assert not [*other.locks.glob("*.*")]
        assert "2 of 3" not in terminal.scrolled()
        assert terminal.has_cursor
        assert FAILS in terminal.scrolled()
