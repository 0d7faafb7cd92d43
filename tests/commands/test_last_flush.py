"""The last deliveries as Airflow and a person see them: what goes first, what is said, and when."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from support import airflow_faults as fake
from support.command import Shell, ended
from support.environment import AIRFLOW_TASK
from support.fake_airflow import FakeAirflow
from support.logs import line
from support.timing import wait_until, within

from dbt_relay.records.schema import RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DBT = """
import sys, time
sys.stdout.buffer.write(open(sys.argv[1], "rb").read())
sys.stdout.flush()
code = int(sys.argv[2])
try:
    time.sleep(60 if code == -2 else 0)
except KeyboardInterrupt:
    code = 2
sys.exit(code)
"""
INTERRUPTED = -2
"""The code of a dbt that runs until it is interrupted, and then ends with 2."""


def dbt_log(nodes: int, failed: int = 0, first: int = 0) -> bytes:
    """A log of a run of so many models, of which the last ones fail."""
    version = {"version": "=1.11.16", "log_version": 3}
    lines = [line("MainReportVersion", version, level="info", msg="Running with dbt=1.11.16")]
    for number in range(first, first + nodes):
        has_failed = number >= first + nodes - failed
        info = {
            "unique_id": f"model.shop.n{number}",
            "resource_type": "model",
            "node_name": f"n{number}",
            "node_path": "a.sql",
            "materialized": "table",
            "node_started_at": "2026-01-02T03:04:05.000006",
        }
        lines.append(line("NodeStart", {"node_info": {**info, "node_status": "started"}}))
        result = {"status": "error" if has_failed else "success", "message": "it is so"}
        lines.append(
            line("NodeFinished", {"node_info": {**info, "node_status": "x"}, "run_result": result})
        )
    return b"".join(lines)


class Slow(FakeAirflow):
    """Takes its time for each request below a DAG."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def log(self, request: Any) -> None:
        super().log(request)
        if "/dags/" in request.path:
            self.lock.release()
            try:
                self.stopping.wait(self.seconds)
            finally:
                self.lock.acquire()


class Relay(Shell):
    """Runs a stand-in for dbt in a task of this Airflow."""

    def __init__(self, folder: Path, server: FakeAirflow) -> None:
        login = {"DBT_RELAY_AIRFLOW_TOKEN": "op-0", "DBT_RELAY_AIRFLOW_URL": server.url}
        super().__init__(folder, **AIRFLOW_TASK, **login, PYTHONUNBUFFERED="1")

    def run(self, log: bytes, *options: object, code: int = 0) -> subprocess.Popen[str]:
        path = self.folder / "dbt.log"
        path.write_bytes(log)
        return self.start("run", *options, "--", sys.executable, "-c", DBT, path, code)

    def runs(self) -> list[dict[str, Any]]:
        done = self("runs", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(text) for text in done.stdout.splitlines()]


def own(server: FakeAirflow) -> dict[str, Any]:
    return server.xcoms[-1][RunRecord.key]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Slow, str, Relay]]:
    """A run of 2,000 nodes that had 10 s for its last deliveries."""
    with Slow(0.2) as server:
        relay = Relay(tmp_path_factory.mktemp("home"), server)
        log = dbt_log(2000, failed=3)
        out, err = ended(relay.run(log, "--flush-timeout", "10", code=1))
        assert err == ""
        yield server, out, relay


class TestASlowAirflow:
    def test_has_the_runs_own_record(self, done: tuple[Slow, str, Relay]) -> None:
        record = own(done[0])
        assert (record["state"], record["exit_code"]) == ("finished", 1)
        assert record["nodes"] == {"success": 1997, "failure": 3}
        counts = record["delivery"]["airflow"]
        assert counts["records"] == 2000
        assert counts["delivered"] + counts["waiting"] == 2000
        assert counts["delivered"] <= len(done[0].xcoms[-1]) - 1, "never more than is there"

    def test_then_has_what_failed(self, done: tuple[Slow, str, Relay]) -> None:
        assert {f"model.shop.n{n}" for n in (1997, 1998, 1999)} <= done[0].xcoms[-1].keys()

    def test_is_named_as_the_reason(self, done: tuple[Slow, str, Relay]) -> None:
        (reason,) = [text for text in done[1].splitlines() if "not sent" in text]
        assert reason.startswith("relay:   not sent before --flush-timeout (10 s): Airflow took 0.")
        assert reason.endswith(" s a record")

    def test_makes_no_line_that_nobody_can_read(self, done: tuple[Slow, str, Relay]) -> None:
        lines = done[1].splitlines()
        assert max(map(len, lines)) < 1000
        assert any(text.startswith("relay: 2,000 records, ") for text in lines)
        (named,) = [text for text in lines if text.startswith("relay: waiting: ")]
        assert named.count("model.shop.n") == 20
        left = json.loads(lines[-1])["delivery"]["airflow"]["waiting"]
        assert named.endswith(f" and {left - 20:,} more")

    def test_is_told_the_truth_by_deliver(self, done: tuple[Slow, str, Relay]) -> None:
        server, _, relay = done
        server.seconds = 0.0
        process = relay.start("deliver", "1", "--workers", "4")
        out, err = ended(process)
        assert (process.returncode, err) == (0, ""), out
        assert len(server.xcoms[-1]) == 2001
        counts = own(server)["delivery"]["airflow"]
        assert (counts["delivered"], counts["waiting"]) == (2000, 0)


def test_an_airflow_that_keeps_up_gets_the_runs_own_record_once_at_the_end(tmp_path: Path) -> None:
    with FakeAirflow() as server:
        relay = Relay(tmp_path, server)
        out, _ = ended(relay.run(dbt_log(30)))
        assert "relay: 30 records, 30 delivered" in out
        assert server.commits()[RunRecord.key] <= 2
        counts = own(server)["delivery"]["airflow"]
        assert (counts["delivered"], counts["waiting"]) == (30, 0)


def test_many_failures_are_bounded_in_what_is_published(tmp_path: Path) -> None:
    with FakeAirflow() as server:
        relay = Relay(tmp_path, server)
        out, _ = ended(relay.run(dbt_log(300, failed=300), code=1))
        summary = json.loads(out.splitlines()[-1])
        assert len(summary["failed"]) == 20
        assert summary["failed_omitted"] == 280
        assert len(own(server)["failed"]) == 100
        assert own(server)["failed_omitted"] == 200
        assert "omitted" not in own(server)


@pytest.mark.parametrize(
    ("records", "words"),
    [(1, "relay: 1 record, 0 delivered, 1 waiting"), (2, "relay: 2 records, 0 delivered, 2 wait")],
)
def test_one_is_not_several(tmp_path: Path, records: int, words: str) -> None:
    with FakeAirflow() as server:
        url = server.url
    relay = Relay(tmp_path, server)
    relay.env["DBT_RELAY_AIRFLOW_URL"] = url
    out, _ = ended(relay.run(dbt_log(records), "--flush-timeout", "0.2"))
    assert words in out


class TestNoRun:
    """Of what said no word of dbt's, and failed in nothing."""

    @pytest.mark.parametrize("command", [("echo", "hi"), ("true",)])
    def test_of_another_command(self, tmp_path: Path, command: tuple[str, ...]) -> None:
        with FakeAirflow() as server:
            relay = Relay(tmp_path, server)
            ended(relay.run(dbt_log(2)))
            there = dict(server.xcoms[-1])
            process = relay.start("run", "--", *command)
            ended(process)
            assert process.returncode == 0
            assert [run["run"] for run in relay.runs()] == [1]
            assert server.xcoms[-1] == there
            out, _ = ended(relay.start("show"))
            assert out.startswith("run 1: ")

    @pytest.mark.parametrize("content", [b"", b"no event\n", b"{}\n", b'{"info": {}}\n'])
    def test_of_a_log_without_an_event(self, tmp_path: Path, content: bytes) -> None:
        """What `deliver` would publish as a death, over the record of a good run."""
        with FakeAirflow() as server:
            relay = Relay(tmp_path, server)
            ended(relay.run(dbt_log(2)))
            there = dict(server.xcoms[-1])
            empty = tmp_path / "empty.log"
            empty.write_bytes(content)
            process = relay.start("replay", "--sink", "airflow", empty)
            ended(process)
            assert process.returncode == 65
            out, _ = ended(relay.start("deliver", "--all"))
            assert out == "relay: nothing is waiting\n"
            assert server.xcoms[-1] == there
            assert [run["run"] for run in relay.runs()] == [1]

    @pytest.mark.parametrize("log", [b"", b"Usage: dbt [OPTIONS]\n"])
    @pytest.mark.parametrize("code", [1, 2, 143])
    def test_but_one_that_failed_before_its_first_event(
        self, tmp_path: Path, log: bytes, code: int
    ) -> None:
        """Who waits for a node is told that dbt failed, and how."""
        with FakeAirflow() as server:
            relay = Relay(tmp_path, server)
            ended(relay.run(log, code=code))
            assert (own(server)["state"], own(server)["exit_code"]) == ("finished", code)
            assert [run["exit_code"] for run in relay.runs()] == [code]

    def test_of_a_relay_that_was_killed_before_dbts_first_event(self, tmp_path: Path) -> None:
        with FakeAirflow() as server:
            relay = Relay(tmp_path, server)
            script = "import sys, time; print('hi', flush=True); time.sleep(60)"
            process = relay.start("run", "--", sys.executable, "-c", script)
            assert process.stdout is not None
            assert process.stdout.readline() == "hi\n"
            process.send_signal(signal.SIGKILL)
            ended(process)
            out, _ = ended(relay.start("deliver", "--all"))
            assert out == "relay: nothing is waiting\n"
            assert relay.runs() == []
            assert server.xcoms == {-1: {}}

    def test_of_a_relay_that_was_killed_after_it(self, tmp_path: Path) -> None:
        with FakeAirflow() as server:
            relay = Relay(tmp_path, server)
            (tmp_path / "log").write_bytes(dbt_log(0))
            process = relay.start("run", "--", "sh", "-c", f"cat {tmp_path / 'log'}; sleep 60")
            assert process.stdout is not None
            assert "Running with dbt" in process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            ended(process)
            ended(relay.start("deliver", "--all"))
            assert own(server)["state"] == "died"


class TestStopped:
    """Airflow kills a task 5 s after its SIGTERM.

    The relay's seconds are added up in tests/cli/relay/test_deadline.py. Here it has to end long
    before the 30 s of the server and of --flush-timeout: nothing hangs that the deadline misses.
    """

    @staticmethod
    def stop(process: subprocess.Popen[str], ask: Callable[[], bool]) -> None:
        """Stop it once the answer is true, and wait for its end."""
        try:
            wait_until(ask)
            process.terminate()
        finally:
            with within(15):
                _, err = ended(process)
        assert err == ""
        assert process.returncode in (0, 2)

    @pytest.mark.parametrize("note", ["--note", "--no-note"])
    @pytest.mark.parametrize("hangs", ["all", "all after the first"])
    def test_in_the_last_flush_of_a_server_that_hangs(
        self, tmp_path: Path, note: str, hangs: str
    ) -> None:
        stalls = [fake.STALL] * 99
        with FakeAirflow() as server:
            first = [None] if hangs == "all after the first" else []
            server.faults.extend([*first, *stalls])
            server.read_faults.extend([*first, *stalls])
            server.other_faults.extend(stalls)
            relay = Relay(tmp_path, server)
            process = relay.run(dbt_log(5), note)
            self.stop(process, lambda: _has_finished(relay))
            (run,) = relay.runs()
            assert (run["state"], run["exit_code"]) == ("finished", 0)

    @pytest.mark.parametrize("note", ["--note", "--no-note"])
    def test_while_dbt_runs(self, tmp_path: Path, note: str) -> None:
        with FakeAirflow() as server:
            server.faults.extend([fake.STALL] * 99)
            server.read_faults.extend([fake.STALL] * 99)
            server.other_faults.extend([fake.STALL] * 99)
            relay = Relay(tmp_path, server)
            process = relay.run(dbt_log(5), note, code=INTERRUPTED)
            self.stop(process, lambda: bool(server.requests) or _asked(server))
            assert [run["exit_code"] for run in relay.runs()] == [2]

    def test_what_matters_most_is_sent_in_the_time_that_is_left(self, tmp_path: Path) -> None:
        with Slow(0.1) as server:
            relay = Relay(tmp_path, server)
            process = relay.run(dbt_log(400, failed=2), code=INTERRUPTED)
            self.stop(process, lambda: len(server.xcoms[-1]) > 3)
            assert (own(server)["state"], own(server)["exit_code"]) == ("finished", 2)
            assert {"model.shop.n398", "model.shop.n399"} <= server.xcoms[-1].keys()

    def test_a_second_signal_is_no_other_end(self, tmp_path: Path) -> None:
        with FakeAirflow() as server:
            server.faults.extend([fake.STALL] * 99)
            server.read_faults.extend([fake.STALL] * 99)
            relay = Relay(tmp_path, server)
            process = relay.run(dbt_log(5))

            def is_stopped() -> bool:
                if not _has_finished(relay):
                    return False
                process.terminate()
                time.sleep(0.3)  # two at once may be one
                return True

            self.stop(process, is_stopped)
            assert process.returncode == 0


def _asked(server: FakeAirflow) -> bool:
    with server.lock:
        return bool(server.connections)


def _has_finished(relay: Relay) -> bool:
    """Whether dbt's end is in the journal's log, where SQLite writes it first."""
    log = relay.state / "journal.db-wal"
    return log.exists() and b'"finished"' in log.read_bytes()


def test_a_worker_that_is_busy_at_the_end_does_not_change_the_exit_code(tmp_path: Path) -> None:
    """The interpreter's end aborted the process now and then: 134 in place of dbt's code."""
    with Slow(0.005) as server:
        relay = Relay(tmp_path, server)
        for number in range(8):
            server.xcoms[-1].clear()
            patience = 1.2 + 0.05 * number
            process = relay.run(
                dbt_log(200), "--flush-timeout", patience, "--workers", 3, code=number % 3
            )
            _, err = ended(process)
            assert (process.returncode, err) == (number % 3, "")
