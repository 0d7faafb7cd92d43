"""`runs`, `show` and `deliver` as a newcomer meets them, with the command in a process of its own.

To renew the golden files: RENEW_GOLDEN=1 python -m pytest tests/commands/test_journal_commands.py
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import airflow_faults as fake
from support.command import Shell, ended
from support.environment import AIRFLOW_TASK
from support.fake_airflow import FakeAirflow
from support.logs import fold, folded_log, log
from support.timing import wait_until

from dbt_relay.records.schema import RunRecord
from dbt_relay.sinks import Journal
from dbt_relay.sinks.journal import history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOLDEN = Path(__file__).parents[1] / "golden" / "journal"
KEY = "1.9.11/example_debug"
TOKEN = {"DBT_RELAY_AIRFLOW_TOKEN": "op-0"}
TOLD = re.compile(r"to deliver them: (dbt-relay deliver \d+.*)")


@pytest.fixture(scope="session")
def dbt_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "dbt.log"
    path.write_bytes(log(KEY))
    return path


@pytest.fixture(scope="session")
def truth() -> dict[str, dict[str, Any]]:
    """The records of the log's nodes, by XCom key."""
    nodes = folded_log(KEY).final
    return {uid: {**record.to_json(), "attempt": 1} for uid, record in nodes.items()}


@pytest.fixture
def down() -> str:
    """The address of an Airflow that will be there later."""
    with FakeAirflow() as server:
        return server.url


def up(url: str, *faults: fake.Fault | None) -> FakeAirflow:
    return FakeAirflow(faults, port=int(url.rpartition(":")[2]))


class Newcomer(Shell):
    """Is shown no traceback and no token."""

    def __call__(self, *words: object, **env: Any) -> subprocess.CompletedProcess[str]:
        done = super().__call__(*words, **env)
        assert "Traceback" not in done.stderr, done.stderr
        assert "op-0" not in done.stdout + done.stderr, "a token is shown"
        return done


@pytest.fixture
def relay(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


@dataclass
class Ended:
    """A run that could deliver nothing: what it said, and to which address."""

    stdout: str
    url: str


@pytest.fixture(scope="session")
def home_of_undelivered(
    tmp_path_factory: pytest.TempPathFactory, dbt_log: Path
) -> tuple[Newcomer, Ended]:
    with FakeAirflow() as server:
        url = server.url
    relay = Newcomer(tmp_path_factory.mktemp("home"))
    env = {**AIRFLOW_TASK, **TOKEN, "DBT_RELAY_AIRFLOW_URL": url}
    done = relay("run", "--flush-timeout", "0.2", "--", "cat", dbt_log, **env)
    assert done.returncode == 0, done.stderr
    return relay, Ended(done.stdout, url)


@pytest.fixture
def undelivered(relay: Newcomer, home_of_undelivered: tuple[Newcomer, Ended]) -> Ended:
    """Run 1, whose Airflow was down."""
    first, ended = home_of_undelivered
    shutil.copytree(first.state, relay.state)
    return ended


def check(name: str, said: str, *hide: object) -> None:
    """Compare with the golden file; times, paths and ports are another's each time."""
    for path in hide:
        said = said.replace(str(path), "<hidden>")
    said = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+Z)?", "<time>", said)
    said = re.sub(r"\d+\.\d MB", "<size>", said)
    said = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:<port>", said)
    # Whether there was time for a first try is up to the machine.
    said = re.sub(r"not sent yet|Airflow at \S+ cannot be reached: .*", "<not yet>", said)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("RENEW_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(said)
    assert said == path.read_text()


class TestAnAirflowThatWasDown:
    def test_the_last_lines_name_the_command_that_delivers(
        self, relay: Newcomer, undelivered: Ended, truth: dict[str, Any]
    ) -> None:
        (told,) = TOLD.findall(undelivered.stdout)
        assert told == "dbt-relay deliver 1"
        assert json.loads(undelivered.stdout.splitlines()[-1])["delivery"] == {
            "airflow": {"records": 24, "delivered": 0, "waiting": 24, "rejected": 0}
        }
        with up(undelivered.url) as server:
            done = relay(*told.split()[1:], **TOKEN)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == "relay: run 1: 25 records delivered to airflow\n"
            own = server.xcoms[-1].pop(RunRecord.key)
            assert server.xcoms[-1] == truth
            assert (own["state"], own["exit_code"], own["attempt"]) == ("finished", 0, 1)

            again = relay(*told.split()[1:], **TOKEN)
            assert (again.returncode, again.stdout) == (0, "relay: nothing is waiting\n")
            assert relay("deliver", "--all", **TOKEN).stdout == "relay: nothing is waiting\n"
            assert server.commits().total() == 25, "nothing twice"

    def test_the_command_names_a_state_folder_that_is_not_the_users(
        self, relay: Newcomer, down: str, dbt_log: Path, tmp_path: Path
    ) -> None:
        env = {**AIRFLOW_TASK, **TOKEN, "DBT_RELAY_AIRFLOW_URL": down}
        folder = tmp_path / "my state"
        arguments = ("--state-dir", folder, "--flush-timeout", "0", "--", "cat", dbt_log)
        done = relay("run", *arguments, **env)
        assert f"dbt-relay deliver 1 --state-dir '{folder}'\n" in done.stdout
        with up(down) as server:
            assert relay("deliver", "1", "--state-dir", folder, **TOKEN).returncode == 0
            assert len(server.xcoms[-1]) == 25

    def test_it_is_still_down(self, relay: Newcomer, undelivered: Ended) -> None:
        done = relay("deliver", "1", "--flush-timeout", "0.2", **TOKEN)
        assert done.returncode == 75
        check("deliver_still_down", done.stdout)
        with up(undelivered.url) as server:
            assert relay("deliver", "1", **TOKEN).returncode == 0
            assert len(server.xcoms[-1]) == 25

    def test_several_at_once(self, relay: Newcomer, undelivered: Ended) -> None:
        with up(undelivered.url) as server:
            several = [relay.start("deliver", "--all", **TOKEN) for _ in range(3)]
            for process in several:
                _, err = ended(process)
                assert (process.returncode, err) == (0, "")
            assert set(server.commits().values()) == {1}
            assert len(server.xcoms[-1]) == 25

    def test_what_a_person_reads_of_it(
        self, relay: Newcomer, undelivered: Ended, dbt_log: Path
    ) -> None:
        end = undelivered.stdout[undelivered.stdout.index("2 nodes did not succeed") :]
        check("run_end", end)
        check("runs", relay("runs").stdout, relay.state, dbt_log)
        check("show_waiting", relay("show").stdout, dbt_log)
        with up(undelivered.url):
            check("deliver", relay("deliver", "1", **TOKEN).stdout)
        check("show_delivered", relay("show", "1").stdout, dbt_log)

    def test_without_credentials(self, relay: Newcomer, undelivered: Ended) -> None:
        done = relay("deliver", "1")
        assert done.returncode == 78
        check("deliver_no_credentials", done.stderr)
        assert done.stdout == ""


class TestWhichAddress:
    """Today's credentials go to the configured address, or where the person says, or nowhere."""

    @pytest.mark.parametrize("variable", ["DBT_RELAY_AIRFLOW_URL", "AIRFLOW__API__BASE_URL"])
    def test_another_address_only_if_it_is_typed(
        self, relay: Newcomer, undelivered: Ended, variable: str
    ) -> None:
        with FakeAirflow() as other, up(undelivered.url) as meant:
            env = {**TOKEN, variable: other.url}
            done = relay("deliver", "1", **env)
            assert (done.returncode, done.stdout) == (78, "")
            assert all(url in done.stderr for url in (meant.url, other.url))
            assert f"but {variable} is " in done.stderr
            assert "--airflow-url" in done.stderr
            assert (meant.requests, other.requests) == ([], []), "the token went nowhere"
            done = relay("deliver", "1", "--airflow-url", meant.url, "--flush-timeout", "9", **env)
            assert (done.returncode, done.stderr) == (0, "")
            assert other.requests == []
            assert len(meant.xcoms[-1]) == 25

    def test_one_that_is_typed_gets_all(self, relay: Newcomer, undelivered: Ended) -> None:
        with FakeAirflow() as other:
            assert relay("deliver", "1", "--airflow-url", other.url, **TOKEN).returncode == 0
            assert len(other.xcoms[-1]) == 25

    def test_the_same_address_written_otherwise(self, relay: Newcomer, undelivered: Ended) -> None:
        with up(undelivered.url) as server:
            url = undelivered.url.replace("http:", "HTTP:") + "/api/v2/"
            assert relay("deliver", "1", **TOKEN, DBT_RELAY_AIRFLOW_URL=url).returncode == 0
            assert len(server.xcoms[-1]) == 25

    def test_what_is_configured_is_no_address(self, relay: Newcomer, undelivered: Ended) -> None:
        with up(undelivered.url) as server:
            done = relay("deliver", "1", **TOKEN, DBT_RELAY_AIRFLOW_URL="airflow.example.com")
            assert done.returncode == 78
            assert "is not an address of Airflow" in done.stderr
            assert server.requests == []

    def test_runs_of_several(self, relay: Newcomer, undelivered: Ended, dbt_log: Path) -> None:
        with FakeAirflow() as other, up(undelivered.url) as meant:
            env = {**AIRFLOW_TASK, **TOKEN, "DBT_RELAY_AIRFLOW_URL": other.url}
            relay("run", "--flush-timeout", "0", "--", "cat", dbt_log, **env)
            other.requests.clear()
            done = relay("deliver", "--all", **TOKEN, DBT_RELAY_AIRFLOW_URL=other.url)
            assert done.returncode == 78
            assert "run 1, 25 waiting for airflow: " in done.stderr
            assert "run 2: " in done.stdout
            assert len(other.xcoms[-1]) == 25
            assert meant.requests == []


class TestRejected:
    @pytest.fixture
    def rejected(self, relay: Newcomer, down: str, dbt_log: Path) -> Iterator[FakeAirflow]:
        """Takes the run's own record, and refuses the next two.

        dbt ends only then: at its end the run's own record may overtake the others.
        """
        refusal = fake.answering(422, fake.detail("that is no value"))
        env = {**AIRFLOW_TASK, **TOKEN, "DBT_RELAY_AIRFLOW_URL": down}
        os.mkfifo(fifo := relay.folder / "dbt.log")
        with up(down, None, refusal, refusal) as server:
            process = relay.start("run", "--", "cat", fifo, **env)
            try:
                with fifo.open("wb", buffering=0) as output:
                    output.write(dbt_log.read_bytes())
                    wait_until(lambda: not server.faults)
            finally:
                out, err = ended(process)
            assert (process.returncode, err) == (0, "")
            assert "24 records, 22 delivered, 2 rejected" in out
            yield server

    def test_they_are_named_with_the_servers_answer_and_force_sends_them_again(
        self, relay: Newcomer, rejected: FakeAirflow, truth: dict[str, Any]
    ) -> None:
        shown = relay("show").stdout
        assert shown.count("rejected for airflow: ") == 2
        assert "that is no value" in shown
        # Which two the server sees first is up to the machine.
        shown = re.sub(r"(rejected for airflow): \S+:", r"\1: <node>:", shown)
        check("show_rejected", shown, relay.folder / "dbt.log")
        assert relay("deliver", "1", **TOKEN).stdout == "relay: nothing is waiting\n"
        assert len(rejected.xcoms[-1]) == 23

        done = relay("deliver", "1", "--force", **TOKEN)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "relay: run 1: 2 records delivered to airflow\n"
        assert {k: v for k, v in rejected.xcoms[-1].items() if k != RunRecord.key} == truth
        commits = rejected.commits()
        # How often the run's own record is written is up to the machine.
        assert commits.pop(RunRecord.key) > 1
        assert set(commits.values()) == {1}
        own = rejected.xcoms[-1][RunRecord.key]
        assert own["delivery"]["airflow"]["delivered"] == 24, "true again"
        assert "rejected" not in relay("show").stdout


class TestMistakes:
    @pytest.mark.parametrize("command", ["deliver", "show"])
    def test_a_run_that_is_not_there(self, relay: Newcomer, command: str, dbt_log: Path) -> None:
        done = relay(command, "7")
        assert (done.returncode, done.stdout) == (64, "")
        assert "there is no run 7 in" in done.stderr
        assert "dbt-relay runs" in done.stderr
        relay("replay", dbt_log)
        done = relay(command, "7")
        assert done.returncode == 64
        check("no_such_run", done.stderr, relay.state)

    @pytest.mark.parametrize("command", ["deliver", "show"])
    def test_no_run_has_the_number_0(self, relay: Newcomer, command: str, dbt_log: Path) -> None:
        relay("replay", dbt_log)
        done = relay(command, "0")
        assert (done.returncode, done.stdout) == (64, "")
        assert "there is no run 0 in" in done.stderr

    @pytest.mark.parametrize("text", ["", "hello\n", '{"info": {"name": "x"}}\n'])
    def test_a_replay_that_reads_no_event_leaves_no_run(
        self, relay: Newcomer, text: str, tmp_path: Path
    ) -> None:
        (tmp_path / "it").write_text(text)
        done = relay("replay", "--sink", f"jsonl:{tmp_path / 'records'}", tmp_path / "it")
        assert done.returncode == 65
        assert (tmp_path / "records").read_text() == ""
        assert relay("runs").stdout == f"no runs in {relay.state}\n"

    def test_deliver_has_to_know_what(self, relay: Newcomer) -> None:
        for arguments in ((), ("1", "--all")):
            done = relay("deliver", *arguments)
            assert done.returncode == 64
            assert "give the number of a RUN (`dbt-relay runs` lists them), or --all" in done.stderr

    def test_nothing_yet(self, relay: Newcomer) -> None:
        assert relay("runs").stdout == f"no runs in {relay.state}\n"
        assert relay("runs", "--json").stdout == ""
        assert "there is no run yet in" in relay("show").stderr
        assert relay("deliver", "--all").stdout == "relay: nothing is waiting\n"

    @pytest.mark.parametrize(
        "words", [["runs"], ["show"], ["stats"], ["report"], ["export"], ["deliver", "--all"]]
    )
    @pytest.mark.parametrize("holds", [None, "notes.txt"])
    def test_who_reads_leaves_no_journal(
        self, relay: Newcomer, words: list[str], holds: str | None
    ) -> None:
        """A journal that root makes in passing locks the relays of other users out."""
        folder = relay.folder / "meant"
        if holds is not None:
            folder.mkdir()
            (folder / holds).touch()
        before = sorted(relay.folder.rglob("*"))
        done = relay(*words, "--state-dir", folder)
        assert sorted(relay.folder.rglob("*")) == before
        if words[0] in ("show", "report"):
            assert (done.returncode, done.stdout) == (64, "")
            assert f"there is no run yet in {folder}: see `dbt-relay runs`" in done.stderr
        else:
            assert (done.returncode, done.stderr) == (0, "")

    def test_a_state_folder_that_cannot_be(self, relay: Newcomer, dbt_log: Path) -> None:
        """dbt runs all the same, and its exit code is the command's."""
        done = relay("run", "--state-dir", "/dev/null/state", "--", "cat", dbt_log)
        assert done.returncode == 0
        assert "the journal in /dev/null/state cannot be used (Not a directory)" in done.stderr
        assert "relay: 24 records are in no journal: " in done.stdout
        for command in ("runs", "show", "deliver"):
            arguments = ("--all",) if command == "deliver" else ()
            done = relay(command, *arguments, "--state-dir", "/dev/null/state")
            assert done.returncode in (0, 64)
            assert "cannot be used" in done.stderr

    def test_a_journal_of_a_newer_dbt_relay(
        self, relay: Newcomer, dbt_log: Path, tmp_path: Path
    ) -> None:
        """To call it damaged would take its runs from the newer one."""
        state = tmp_path / "newer"
        assert relay("run", "--state-dir", state, "--", "cat", dbt_log).returncode == 0
        with closing(sqlite3.connect(state / "journal.db")) as db:
            db.execute("pragma user_version = 3")
        before = (state / "journal.db").read_bytes()
        done = relay("run", "--state-dir", state, "--", "cat", dbt_log)
        assert done.returncode == 0
        assert "24 records are in no journal" in done.stdout
        said = [done.stderr]
        for command in (
            ["runs"],
            ["runs", "--json"],
            ["show"],
            ["show", "1"],
            ["deliver", "--all"],
        ):
            done = relay(*command, "--state-dir", state)
            assert done.returncode == 64
            assert done.stdout == ""
            said.append(done.stderr)
        for line in said:
            assert "a newer dbt-relay wrote it in version 3; this dbt-relay reads up to 2" in line
            assert "Upgrade dbt-relay, or set --state-dir" in line
        assert (state / "journal.db").read_bytes() == before
        assert {path.name for path in state.glob("journal*")} == {"journal.db", "journal.db.ledger"}

    def test_without_a_home(self, relay: Newcomer, dbt_log: Path) -> None:
        env = {"HOME": "", "XDG_STATE_HOME": "not absolute"}
        done = relay("replay", dbt_log, **env)
        assert done.returncode == 0


SLOW_DBT = """
import sys, time
sys.stdout.buffer.write(open(sys.argv[1], "rb").read()[: int(sys.argv[2])])
sys.stdout.flush()
time.sleep(60)
"""


class TestKilled:
    @pytest.fixture
    def killed(self, relay: Newcomer, dbt_log: Path) -> Callable[..., int]:
        """Kill a relay in the middle of its run; how many records it had committed."""

        def kill(*options: str, **env: str) -> int:
            content = dbt_log.read_bytes()
            part = content.rindex(b"\n", 0, len(content) * 3 // 4) + 1
            slow = (sys.executable, "-c", SLOW_DBT, dbt_log, part)
            process = relay.start("run", *options, "--", *slow, **env)
            try:
                nodes = fold(content[:part]).final.values()
                expected = sum(node.status != "interrupted" for node in nodes)
                with Journal(relay.state) as journal:
                    wait_until(lambda: _nodes(journal) >= expected)
                    assert [past.state for past in history.runs(journal, 1)] == ["running"]
                    assert relay("runs").stdout.splitlines()[1].split()[3] == "running"
            finally:
                process.send_signal(signal.SIGKILL)
                process.communicate()
            return expected

        return kill

    def test_it_shows_as_died_and_is_published_as_such(
        self, relay: Newcomer, killed: Callable[..., int], down: str, truth: dict[str, Any]
    ) -> None:
        count = killed(**AIRFLOW_TASK, **TOKEN, DBT_RELAY_AIRFLOW_URL=down)
        assert relay("runs").stdout.splitlines()[1].split()[3] == "died"
        assert "died: " in relay("show").stdout
        with up(down) as server:
            done = relay("deliver", "1", **TOKEN)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == f"relay: run 1: {count + 1} records delivered to airflow\n"
            own = server.xcoms[-1].pop(RunRecord.key)
            assert (own["state"], sum(own["nodes"].values())) == ("died", count)
            assert "the relay was killed" in own["message"]
            assert own.get("exit_code") is None
            assert len(server.xcoms[-1]) == count
            assert server.xcoms[-1].items() <= truth.items()
            assert relay("deliver", "1", **TOKEN).stdout == "relay: nothing is waiting\n"
        assert relay("runs").stdout.splitlines()[1].split()[3] == "died"
        assert "the relay was killed" in relay("show").stdout

    def test_one_without_a_sink_is_said_to_have_died(
        self, relay: Newcomer, killed: Callable[..., int]
    ) -> None:
        killed()
        assert "died: " in relay("show").stdout
        done = relay("deliver", "--all")
        assert done.returncode == 0
        assert done.stdout == "relay: run 1 was killed. It has no sink, so nothing is sent\n"
        assert relay("deliver", "--all").stdout == "relay: nothing is waiting\n"

    def test_its_standard_output_is_gone(self, relay: Newcomer, killed: Callable[..., int]) -> None:
        killed("--sink", "jsonl:-")
        done = relay("deliver", "1")
        assert done.returncode == 78
        assert "standard output of a process that has ended" in done.stderr
        assert "`dbt-relay show --json` prints the records" in done.stderr


class TestJson:
    def test_show_is_what_the_sink_got(
        self, relay: Newcomer, dbt_log: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out.jsonl"
        relay("replay", "--sink", f"jsonl:{out}", dbt_log)
        got = {_key(line): json.loads(line) for line in out.read_text().splitlines()}
        shown = [json.loads(line) for line in relay("show", "--json").stdout.splitlines()]
        assert {_key(json.dumps(record)): record for record in shown} == got
        assert len(shown) == 25

    def test_runs(self, relay: Newcomer, dbt_log: Path) -> None:
        relay("replay", "--sink", "jsonl:-", dbt_log)
        relay("run", "--", "false")
        first, second = map(json.loads, relay("runs", "--json").stdout.splitlines())
        assert (first["run"], first["state"], first["exit_code"]) == (2, "finished", 1)
        assert second["nodes"] == {"success": 21, "failure": 2, "skipped": 1}
        assert second["delivery"] == {"jsonl:-": {"delivered": 24}}
        assert len(relay("runs", "--json", "--limit", "1").stdout.splitlines()) == 1

    def test_runs_of_several_projects(self, relay: Newcomer) -> None:
        """Their names tell them apart, if there is more than one."""
        projects = [relay.folder / name for name in ("shop", "shop", "bank")]
        for project in projects[1:]:
            project.mkdir()
            (project / "dbt_project.yml").touch()
        for count, project in enumerate(projects, 1):
            relay("run", "--", "false", DBT_PROJECT_DIR=str(project))
            head, *rows = relay("runs").stdout.splitlines()[: count + 1]
            assert ("PROJECT" in head) == (project.name == "bank")
        assert [row[head.index("PROJECT") :].split()[0] for row in rows] == ["bank", "shop", "shop"]


class TestKeeping:
    def test_the_number(self, relay: Newcomer, dbt_log: Path) -> None:
        for _ in range(3):
            done = relay("replay", "--keep-runs", "2", dbt_log)
            assert "deleted" not in done.stdout
        assert [json.loads(s)["run"] for s in relay("runs", "--json").stdout.splitlines()] == [3, 2]

    def test_records_that_wait_survive_the_number_and_their_end_is_said(
        self, relay: Newcomer, undelivered: Ended, dbt_log: Path
    ) -> None:
        for _ in range(2):
            done = relay("run", "--keep-runs", "1", "--", "cat", dbt_log)
        assert [json.loads(s)["run"] for s in relay("runs", "--json").stdout.splitlines()] == [3, 1]
        done = relay("run", "--keep-days", "0", "--", "cat", dbt_log)
        assert done.stdout.splitlines()[-1] == (
            "relay: deleted 25 undelivered records of earlier runs, kept for longer than "
            "--keep-days (0)"
        )
        assert [json.loads(s)["run"] for s in relay("runs", "--json").stdout.splitlines()] == [4]

    def test_the_last_line_in_airflow_is_the_summary_all_the_same(
        self, relay: Newcomer, undelivered: Ended, dbt_log: Path
    ) -> None:
        done = relay("replay", "--keep-days", "0", dbt_log, **AIRFLOW_TASK)
        *_, line, summary = done.stdout.splitlines()
        assert "deleted 25 undelivered records of earlier runs" in line
        assert json.loads(summary)["nodes"]

    def test_who_is_told_to_stop_does_not_tidy_up(
        self, relay: Newcomer, undelivered: Ended, dbt_log: Path
    ) -> None:
        slow = (sys.executable, "-c", SLOW_DBT, dbt_log, 10**9)
        process = relay.start("run", "--keep-days", "0", "--", *slow)
        try:
            with Journal(relay.state) as journal:
                wait_until(lambda: _nodes(journal) == 24 and len(history.runs(journal)) == 2)
            process.send_signal(signal.SIGTERM)
        finally:
            ended(process)
        assert len(relay("runs", "--json").stdout.splitlines()) == 2


def _key(line: str) -> str:
    record = json.loads(line)
    return record.get("unique_id", RunRecord.key)


def _nodes(journal: Journal) -> int:
    return sum(sum(past.nodes.values()) for past in history.runs(journal, 1))
