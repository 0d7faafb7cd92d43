"""The command in a process of its own, its child's journal, and what it published."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.census import kill, processes_left, processes_with
from support.command import RELAY
from support.environment import clean_environment
from support.logs import line
from support.timing import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
ECHO = (sys.executable, str(HERE / "signal_echo.py"))
RUN = (*RELAY, "run")


def wait_for_words(relay: subprocess.Popen[bytes], words: bytes, times: int) -> None:
    """Read what the relay prints until it has these words so many times."""
    assert relay.stdout is not None
    stdout, seen = relay.stdout, b""
    os.set_blocking(stdout.fileno(), False)

    def are_there() -> bool:
        nonlocal seen
        seen += stdout.read() or b""
        assert relay.poll() is None, seen.decode()
        return seen.count(words) == times

    wait_until(are_there, f"{words.decode()}, {times} times")
    os.set_blocking(stdout.fileno(), True)


def in_flight(*unique_ids: str) -> bytes:
    """A dbt log in which these nodes have started and none has ended."""
    version = {"version": "=1.11.16", "log_version": 3}
    lines = [line("MainReportVersion", version, level="info", msg="Running with dbt=1.11.16")]
    for unique_id in unique_ids:
        node = {
            "unique_id": unique_id,
            "resource_type": "model",
            "node_name": unique_id.rpartition(".")[2],
            "node_path": "a.sql",
            "materialized": "table",
            "node_status": "started",
            "node_started_at": "2026-01-02T03:04:05.000006",
            "node_finished_at": "",
        }
        lines.append(line("NodeStart", {"node_info": node}, code="Q024"))
    return b"".join(lines)


class Running:
    """A relay that was started. `folder` holds its records and the journal of its child.

    Each process below it inherits a marker in its environment, by which `left` finds even those
    that have a session of their own or have lost their parent.
    """

    def __init__(self, folder: Path, env: dict[str, str] | None = None) -> None:
        self.journal = folder / "journal"
        self.records_path = folder / "records.jsonl"
        self.marker = f"RELAY_TEST_MARKER={uuid.uuid4().hex}"
        name, _, value = self.marker.partition("=")
        self.env = clean_environment(**(env or {}), **{name: value})
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def echo(self, *options: str) -> list[str]:
        """The command line of signal_echo.py."""
        return [*ECHO, str(self.journal), *options]

    def echo_of(self, log: bytes, *options: str) -> list[str]:
        """The same, which writes `log` to its stdout first, with its own pid in it."""
        path = self._folder / "log"
        path.write_bytes(log)
        return self.echo("--say", str(path), *options)

    def command(self, child: Sequence[str], *options: str) -> list[str]:
        """The command line of the relay around `child`."""
        return [*RUN, "--sink", f"jsonl:{self.records_path}", *options, "--", *child]

    def start(self, command: Sequence[str], **popen: Any) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        assert self._process is None
        self._process = subprocess.Popen(command, env=self.env, **{**pipes, **popen})
        return self._process

    def heard(self) -> list[str]:
        """What the child's journal says so far."""
        try:
            return self.journal.read_text().splitlines()
        except FileNotFoundError:
            return []

    def signals(self) -> list[str]:
        return [entry for entry in self.heard() if entry.startswith("SIG")]

    def wait_for(self, entry: str) -> str:
        """Wait for a line of the journal that begins with `entry`; returns the rest of it."""

        def found() -> str | None:
            return next((e for e in self.heard() if e.startswith(entry)), None)

        return (wait_until(found, f"{entry!r} in the journal") or "").removeprefix(entry).strip()

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.records_path.read_text().splitlines()]

    def nodes(self) -> dict[str, dict[str, Any]]:
        return {r["unique_id"]: r for r in self.records() if "unique_id" in r}

    def last(self) -> dict[str, Any]:
        """The run's own record, published last."""
        record = self.records()[-1]
        assert record["schema"] == "dbt-relay/run@1"
        return record

    def processes(self) -> dict[int, str]:
        """The command lines of all that runs below, by pid."""
        return processes_with(self.marker)

    def left(self, within: float = 5.0) -> dict[int, str]:
        """What is still there after at most so many seconds; empty as soon as all is gone."""
        return processes_left(self.marker, within)

    def close(self) -> dict[int, str]:
        """Kill what is left, and say what that was."""
        left = self.left(within=2.0)
        kill(left)
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                if self._process.poll() is None:
                    self._process.kill()
            self._process.wait(PATIENCE)
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe is not None and not pipe.closed:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        return left


def cpu_time(pid: int) -> float:
    """Seconds of processor time that a live process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_read(process: subprocess.Popen[bytes]) -> None:
    """Wait until the relay has read, and printed, the first event of `in_flight`."""
    assert process.stdout is not None
    assert b"Running with dbt" in process.stdout.readline()


def end_of(process: subprocess.Popen[bytes], patience: float = PATIENCE) -> tuple[int, str, str]:
    """Wait for its end: exit code, stdout, stderr."""
    out, err = process.communicate(timeout=patience)
    return process.returncode, (out or b"").decode(), (err or b"").decode()


def kill_group(process: subprocess.Popen[bytes], signum: int = signal.SIGTERM) -> None:
    """As Airflow's BashOperator ends its task: the signal to the whole group of its bash."""
    os.killpg(os.getpgid(process.pid), signum)
