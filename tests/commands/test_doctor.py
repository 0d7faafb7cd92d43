"""`dbt-relay doctor`: each line, what it says to do, and the exit code."""

from __future__ import annotations

import base64
import email.utils
import json
import shutil
import socket
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from click.testing import CliRunner
from support import airflow_faults as fake
from support.airflow_faults import Answer
from support.environment import forget_settings
from support.fake_airflow import PASSWORDS, FakeAirflow
from support.timing import within

from dbt_relay import __version__
from dbt_relay.cli import doctor as doctor_module
from dbt_relay.cli.main import cli
from dbt_relay.records import TaskInstance
from dbt_relay.sinks import Journal
from dbt_relay.sinks.airflow import AirflowSettings, Login
from dbt_relay.sinks.airflow.checks import Check, check_airflow

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE = ["--dag-id", "shop", "--run-id", "run+1", "--task-id", "dbt"]
STARTED = {"name": "MainReportVersion", "invocation_id": "i", "ts": "2026-01-01T00:00:00Z"}
NOT_FOUND = fake.answering(404, {"detail": "Not Found"})
SECRET = "hunter2"


class Said(NamedTuple):
    code: int
    text: str

    @property
    def failures(self) -> list[str]:
        return [line for line in self.text.splitlines() if line.startswith("FAIL")]

    @property
    def states(self) -> list[str]:
        return [line[:4].strip() for line in self.text.splitlines() if line[:4].strip()]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_settings(monkeypatch)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dbt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a script on the PATH that stands for dbt; no other dbt is there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "env", "sleep", "cat"):
        (folder / tool).symlink_to(shutil.which(tool) or "")
    monkeypatch.setenv("PATH", str(folder))

    def write(script: str) -> Path:
        (folder / "dbt").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "dbt").chmod(0o755)
        return folder / "dbt"

    write(logging("1.11.16"))
    (folder / "dbt-relay").write_text(f"#!/bin/sh\necho dbt-relay {__version__} '(python 3)'\n")
    (folder / "dbt-relay").chmod(0o755)
    return write


def logging(version: str) -> str:
    """What a dbt does that logs as it is told, and is asked what costs nothing."""
    event = {"data": {"version": f"={version}", "log_version": 3}, "info": STARTED}
    text = f"Core:\\n  - installed: {version}\\n"
    return (
        f'case "$*" in *debug*) [ "$DBT_LOG_FORMAT" = json ] && echo \'{json.dumps(event)}\';; '
        f"*) printf '{text}';; esac"
    )


def doctor(*arguments: str, **env: str) -> Said:
    done = CliRunner().invoke(cli, ["doctor", *arguments], env=env, standalone_mode=False)
    assert done.exception is None, done.exception
    for secret in (SECRET, *PASSWORDS.values(), "op-0"):
        assert secret not in done.output
    return Said(done.return_value, done.output)


def ask(server_url: str, *arguments: str, **env: str) -> Said:
    login = {"DBT_RELAY_AIRFLOW_USERNAME": "op", "DBT_RELAY_AIRFLOW_PASSWORD": PASSWORDS["op"]}
    return doctor("--airflow-url", server_url, *PLACE, *arguments, **(login | env))


def jwt(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.{SECRET}"


@pytest.mark.usefixtures("dbt")
class TestAirflow:
    def test_all_is_well(self, tmp_path: Path) -> None:
        with FakeAirflow() as server:
            said = ask(server.url, "--xcom-task-id", "results")
            assert said.code == 0
            free = said.text.splitlines()[-1].rpartition(", ")[2]
            assert said.text.splitlines() == [
                f"ok    dbt 1.11.16 at {tmp_path}/bin/dbt: its JSON log can be read",
                f"ok    dbt-relay {__version__} is on the PATH: {tmp_path}/bin/dbt-relay",
                "ok    Airflow: all settings that delivery needs are set",
                f"ok    Airflow 3.3.2 at {server.url} answers",
                "ok    the clock agrees with Airflow's",
                "ok    the credentials are accepted",
                "ok    XComs of DAG 'shop' may be read, created and edited",
                "ok    run 'run+1' of DAG 'shop' is running",
                "ok    task 'results' is at try 1, running",
                "ok    task 'dbt' is at try 1, running",
                f"ok    {tmp_path}/state/dbt-relay can be written to, {free}",
            ]
            assert server.tasks == {"dbt": {-1: {}}, "results": {-1: {}}}
            assert not server.commits()

    def test_airflow_alone(self) -> None:
        with FakeAirflow() as server:
            said = ask(server.url, "--airflow-only")
            assert said.code == 0
            assert said.text.startswith("ok    Airflow: all settings that delivery needs are set")
            assert "XComs of DAG 'shop' may be read" in said.text
            assert "dbt 1.11" not in said.text
            assert "can be written to" not in said.text

    def test_nothing_is_configured(self) -> None:
        said = doctor()
        assert said.code == 0
        assert "ok    Airflow: not configured" in said.text
        assert "warn" not in said.text

    @pytest.mark.parametrize(
        ("arguments", "env"),
        [(["--sink", "airflow"], {}), ([], {"AIRFLOW_CTX_TASK_ID": "dbt"})],
    )
    def test_nothing_is_configured_where_it_is_needed(
        self, arguments: list[str], env: dict[str, str]
    ) -> None:
        said = doctor(*arguments, **env)
        assert said.code == 78
        assert len(said.failures) == 1
        assert "set --dag-id and --run-id" in said.text
        assert "DBT_RELAY_AIRFLOW_URL and DBT_RELAY_AIRFLOW_TOKEN" in said.text

    def test_only_an_address(self) -> None:
        with FakeAirflow() as server:
            said = doctor("--airflow-url", server.url)
            assert said.code == 0
            assert "warn  Airflow: a task needs more settings than this machine has" in said.text
            assert f"ok    Airflow 3.3.2 at {server.url} answers" in said.text
            assert "credentials" not in said.text

    def test_an_address_and_credentials(self) -> None:
        with FakeAirflow() as server:
            said = doctor("--airflow-url", server.url, DBT_RELAY_AIRFLOW_TOKEN="op-0")
            assert said.code == 0
            assert "ok    the credentials are accepted" in said.text
            assert (
                "ok    XComs may be read, created and edited (tried with DAG 'shop')" in said.text
            )
            assert "warn  DAG and run and task: not set, so not checked" in said.text
            assert server.tasks == {"dbt": {-1: {}}, "results": {-1: {}}}
            assert not server.commits()

    def test_a_viewer_and_no_ids(self) -> None:
        with FakeAirflow() as server:
            login = {"USERNAME": "viewer", "PASSWORD": PASSWORDS["viewer"]}
            env = {f"DBT_RELAY_AIRFLOW_{name}": value for name, value in login.items()}
            said = doctor("--airflow-url", server.url, **env)
        assert said.code == 78
        assert "forbids writing XComs (Forbidden)" in said.failures[0]

    @pytest.mark.parametrize(
        "answer",
        [Answer(200, {"dags": []}), Answer(200, ["?"]), Answer(200, {"dags": [{"dag_id": "no"}]})],
    )
    def test_no_ids_and_no_dag_either(self, answer: Answer) -> None:
        with FakeAirflow() as server:
            server.dags_answer = answer
            said = doctor("--airflow-url", server.url, DBT_RELAY_AIRFLOW_TOKEN="op-0")
        assert said.code == 0
        assert "ok    XComs may be read, created and edited (tried with " in said.text

    @pytest.mark.parametrize(
        ("given", "missing"),
        [
            (["--dag-id", "shop"], "run and task"),
            (["--dag-id", "shop", "--run-id", "run+1"], "task"),
            (["--task-id", "dbt"], "DAG and run"),
        ],
    )
    def test_some_of_the_ids(self, given: list[str], missing: str) -> None:
        with FakeAirflow() as server:
            said = doctor("--airflow-url", server.url, *given, DBT_RELAY_AIRFLOW_TOKEN="op-0")
        assert said.code == 0, said.text
        assert f"warn  {missing}: not set, so not checked" in said.text
        assert "XComs" in said.text

    def test_an_unknown_dag_is_a_failure_at_the_dag(self) -> None:
        with FakeAirflow() as server:
            said = ask(server.url, "--dag-id", "nodag")
        assert said.failures == ["FAIL  Airflow has no DAG 'nodag'"]
        assert "      see --dag-id and --airflow-url" in said.text
        assert "run+1" not in said.text
        assert "ok    XComs may be read, created and edited (tried with DAG 'shop')" in said.text

    def test_an_address_that_is_none(self) -> None:
        said = doctor("--airflow-url", f"http://me:{SECRET}@host")
        assert said.code == 78
        assert "FAIL  the settings for Airflow cannot work" in said.text
        assert "must not hold a user name or password" in said.text

    def test_a_refused_connection(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        said = ask(f"http://127.0.0.1:{port}")
        assert said.code == 78
        assert said.failures == [f"FAIL  Airflow at http://127.0.0.1:{port} cannot be reached"]
        assert "      is the address right and the API server up?" in said.text
        assert said.states == ["ok", "ok", "ok", "FAIL", "ok"], "what needs Airflow is not asked"

    def test_a_wrong_password(self) -> None:
        with FakeAirflow() as server:
            said = ask(server.url, DBT_RELAY_AIRFLOW_PASSWORD=SECRET)
        assert said.code == 78
        assert len(said.failures) == 1
        assert "does not accept this user name and password (Invalid credentials)" in said.text
        assert "      see DBT_RELAY_AIRFLOW_USERNAME" in said.text

    def test_a_wrong_token(self) -> None:
        with FakeAirflow() as server:
            said = ask(server.url, DBT_RELAY_AIRFLOW_TOKEN=SECRET)
        assert said.code == 78
        assert "does not accept the token (Invalid JWT token)" in said.failures[0]

    def test_a_viewer(self) -> None:
        login = {"USERNAME": "viewer", "PASSWORD": PASSWORDS["viewer"]}
        with FakeAirflow() as server:
            env = {f"DBT_RELAY_AIRFLOW_{name}": value for name, value in login.items()}
            said = ask(server.url, **env)
        assert said.code == 78
        assert len(said.failures) == 1
        assert "forbids writing XComs (Forbidden)" in said.failures[0]
        assert "      give the user the role Op" in said.text
        assert "ok    run 'run+1'" in said.text, "the rest is looked at all the same"

    @pytest.mark.parametrize("fault", [fake.LOGIN_PAGE, fake.REDIRECT, NOT_FOUND])
    def test_what_is_not_airflow_or_a_proxys_login_page(self, fault: fake.Fault) -> None:
        with FakeAirflow() as server:
            server.version_answer = fault.answer
            said = ask(server.url)
        assert said.code == 78
        assert len(said.failures) == 1
        assert "this is not Airflow's API. Set DBT_RELAY_AIRFLOW_URL" in said.text

    @pytest.mark.parametrize(
        ("version", "code", "words"),
        [
            ("2.11.0", 78, "FAIL  Airflow 2.11.0 at"),
            ("3.0.6", 0, "warn  Airflow 3.0.6 at"),
            ("3.1.8", 0, "as JSON text"),
            ("3.10.0", 0, "ok    Airflow 3.10.0 at"),
            ("nginx", 78, "is not Airflow"),
        ],
    )
    def test_versions(self, version: str, code: int, words: str) -> None:
        with FakeAirflow(version=version) as server:
            said = ask(server.url)
        assert said.code == code
        assert words in said.text

    @pytest.mark.parametrize(
        ("arguments", "words", "option"),
        [
            (["--dag-id", "nodag"], "no DAG 'nodag'", "--dag-id"),
            (["--run-id", "norun"], "no run 'norun' of DAG 'shop'", "--run-id"),
            (["--task-id", "notask"], "no task 'notask' in that run", "--task-id"),
            (["--xcom-task-id", "notask"], "no task 'notask' in that run", "--xcom-task-id"),
            (["--map-index", "4"], "no task 'dbt' with map index 4", "--map-index"),
        ],
    )
    def test_a_place_that_does_not_exist(
        self, arguments: list[str], words: str, option: str
    ) -> None:
        with FakeAirflow() as server:
            said = ask(server.url, *arguments)
        assert said.code == 78
        assert words in said.text
        assert option in said.text

    def test_no_permission_to_read(self) -> None:
        with FakeAirflow() as server:
            server.read_faults.append(fake.FORBIDDEN)
            said = ask(server.url)
        assert said.code == 78
        assert "forbids reading XComs" in said.failures[0]

    def test_no_permission_to_read_what_is_not_written(self) -> None:
        with FakeAirflow() as server:
            server.dags_answer = fake.FORBIDDEN.answer
            server.read_faults.extend([None, fake.FORBIDDEN])
            said = ask(server.url)
            assert said.code == 0
            assert "ok    the credentials are accepted" in said.text
            assert "warn  could not check run 'run+1' of DAG 'shop'" in said.text
            server.read_faults.extend([None, None, fake.FORBIDDEN])
            said = ask(server.url)
            assert "warn  could not check task 'dbt' in that run" in said.text
            assert "--resume runs every node" in said.text

    @pytest.mark.parametrize("fault", [NOT_FOUND, fake.answering(404, fake.PAGE)])
    def test_a_proxy_that_lets_no_writes_through(self, fault: fake.Fault) -> None:
        with FakeAirflow([fault]) as server:
            said = ask(server.url)
        assert said.code == 78
        assert "answered 404" in said.text or "does not know this address" in said.text

    def test_a_server_in_trouble(self) -> None:
        with FakeAirflow([fake.BAD_GATEWAY]) as server:
            said = ask(server.url)
        assert said.code == 78
        assert "answered 502" in said.failures[0]


def checks(server: FakeAirflow, token: str, now: float | None = None) -> list[tuple[str, str]]:
    to = AirflowSettings(
        url=server.url, task=TaskInstance("shop", "run+1", "dbt"), login=Login(token=token)
    )
    clock = time.time if now is None else lambda: now
    return [(check.state, check.what) for check in check_airflow(to, clock)]


class TestClock:
    @pytest.mark.parametrize(
        ("skew", "line"),
        [
            (0, ("ok", "the clock agrees with Airflow's")),
            (59, ("ok", "the clock agrees with Airflow's")),
            (90, ("warn", "the clock here is 90 s ahead of Airflow's")),
            (-3600, ("warn", "the clock here is 3600 s behind Airflow's")),
        ],
    )
    def test_against_the_servers(self, skew: int, line: tuple[str, str]) -> None:
        with FakeAirflow() as server:
            server.date = email.utils.formatdate(1_800_000_000, usegmt=True)
            assert line in checks(server, "op-0", 1_800_000_000 + skew)

    def test_a_server_that_does_not_tell(self) -> None:
        with FakeAirflow() as server:
            server.date = "soon"
            assert ("warn", "the clock cannot be compared") in checks(server, "op-0")

    @pytest.mark.parametrize(
        ("left", "line"),
        [
            (86_000, ("ok", "the credentials are accepted; the token is valid for 23 h")),
            (90 * 86_400, ("ok", "the credentials are accepted; the token is valid for 90 days")),
            (1800, ("warn", "the credentials are accepted; the token is valid for 30 min")),
        ],
    )
    def test_the_life_of_a_token(self, left: int, line: tuple[str, str]) -> None:
        now = time.time()
        with FakeAirflow() as server:
            token = jwt(exp=now + left + 1)
            server.valid[token] = "op"
            assert line in checks(server, token, now)


class TestDbt:
    @pytest.mark.parametrize("version", ["1.7.20", "1.12.6", "1.12.0-b1", "2.0.1"])
    def test_one_that_logs(self, dbt: Callable[[str], Path], version: str) -> None:
        dbt(logging(version))
        said = doctor()
        assert said.code == 0
        assert f"ok    dbt {version} at" in said.text
        assert "its JSON log can be read" in said.text

    @pytest.mark.parametrize(
        ("script", "code", "words"),
        [
            (logging("1.6.9"), 78, "FAIL  dbt 1.6.9 at"),
            (logging("1.13.0"), 0, "warn  dbt 1.13.0 at"),
            ("printf 'Core:\\n  - installed: 1.9.1\\n'", 78, "no event of its JSON log"),
            ("echo installed version: 0.21.1; echo '  installed: 0.21.1'", 78, "older than 1.7"),
            ("[ $1 = --version ] && echo dbt-fusion 2.0.0-beta.9", 0, "log can be read"),
            (f"echo {SECRET} >&2; echo {SECRET}; exit 3", 78, "did not report its version"),
            (": nothing", 78, "did not report its version"),
        ],
        ids=["1.6", "1.13", "silent 1.9", "0.21", "fusion", "failing", "nothing"],
    )
    def test_others(self, dbt: Callable[[str], Path], script: str, code: int, words: str) -> None:
        dbt(script)
        said = doctor()
        assert said.code == code, said.text
        assert words in said.text

    def test_none(self, dbt: Callable[[str], Path]) -> None:
        dbt("").unlink()
        assert doctor().failures == ["FAIL  dbt: dbt is not found"]
        assert doctor("--", "no-such-wrapper", "dbt").code == 78
        assert doctor("--", "./no-such-script.sh").code == 78

    def test_behind_a_wrapper(self, dbt: Callable[[str], Path]) -> None:
        dbt(logging("1.10.1"))
        said = doctor("--", "env", "A=b", "dbt", "build", "--select", "x")
        assert "ok    dbt 1.10.1 at env A=b dbt: its JSON log can be read" in said.text

    def test_in_a_script(self, dbt: Callable[[str], Path]) -> None:
        dbt("echo must not be started >&2; exit 1")
        said = doctor("--", "sh", "nightly.sh")
        assert said.code == 0
        assert "warn  sh is found, but not checked" in said.text

    def test_one_that_hangs(
        self, dbt: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doctor_module, "DBT_TIMEOUT", 0.3)
        dbt("sleep 30; :")
        with within(20):
            assert doctor().code == 78

    def test_it_leaves_no_log_in_the_project(
        self, dbt: Callable[[str], Path], tmp_path: Path
    ) -> None:
        dbt('echo "$DBT_LOG_PATH $DBT_ENGINE_LOG_PATH $DBT_SEND_ANONYMOUS_USAGE_STATS" > seen')
        doctor()
        first, second, stats = (tmp_path / "seen").read_text().split()
        assert first == second
        assert not Path(first).is_relative_to(tmp_path / "logs")
        assert not Path(first).exists()
        assert stats == "0"


class TestOnThePath:
    def test_another_one(self, dbt: Callable[[str], Path]) -> None:
        other = dbt("").with_name("dbt-relay")
        other.write_text("#!/bin/sh\necho dbt-relay 0.0.9\n")
        said = doctor()
        assert f"warn  the dbt-relay on the PATH, {other}, is a different one" in said.text
        assert "(dbt-relay 0.0.9)" in said.text
        other.write_text("#!/no/such/python\n")
        assert "(version unknown)" in doctor().text

    def test_none(self, dbt: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
        dbt("").with_name("dbt-relay").unlink()
        assert "warn  dbt-relay is not on the PATH" in doctor().text
        monkeypatch.setattr(sys, "argv", ["/opt/relay/bin/dbt-relay", "doctor"])
        assert "      a task has to call it by its full path: /opt/relay" in doctor().text

    def test_this_one_is_not_asked(
        self, dbt: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ours = dbt(logging("1.11.16")).with_name("dbt-relay")
        ours.write_text("#!/bin/sh\nexit 1\n")
        monkeypatch.setattr(sys, "argv", [str(ours), "doctor"])
        assert f"ok    dbt-relay {__version__} is on the PATH: {ours}" in doctor().text


def test_dbt_and_airflow_are_asked_together(
    dbt: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dbt tells its version only once Airflow was asked."""
    asked = tmp_path / "asked"

    def ask_airflow(_: AirflowSettings) -> list[Check]:
        asked.touch()
        return [Check("ok", "asked")]

    monkeypatch.setattr(doctor_module, "check_airflow", ask_airflow)
    wait = f"n=0; while [ ! -e {asked} ] && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done"
    dbt(f"{wait}; [ -e {asked} ] || exit 1; {logging('1.11.16')}")
    said = doctor("--airflow-url", "http://127.0.0.1:1")
    assert "ok    asked" in said.text
    assert "ok    dbt 1.11.16" in said.text


@pytest.mark.usefixtures("dbt")
class TestStateFolder:
    def test_that_cannot_be_written_to(self, tmp_path: Path) -> None:
        (tmp_path / "state").write_text("a file")
        said = doctor()
        assert said.code == 78
        assert said.failures == [
            f"FAIL  {tmp_path}/state/dbt-relay cannot be written to (Not a directory)"
        ]

    def test_with_the_journal_of_a_newer_version(self, tmp_path: Path) -> None:
        with Journal(tmp_path / "state/dbt-relay"):
            pass
        journal = tmp_path / "state/dbt-relay/journal.db"
        with closing(sqlite3.connect(journal)) as newer:
            newer.execute("pragma user_version = 9")
        before = journal.read_bytes()
        said = doctor()
        assert said.code == 78
        assert "a newer dbt-relay wrote it in version 9" in said.failures[0]
        assert "upgrade dbt-relay" in said.text
        assert journal.read_bytes() == before

    def test_that_is_almost_full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor_module, "_LITTLE_SPACE", 1 << 60)
        said = doctor()
        assert said.code == 0
        assert said.states[-1] == "warn"
        assert "free some space" in said.text

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, as on macOS")
    def test_that_is_there_and_takes_no_file(self) -> None:
        check = doctor_module._state_folder(Path("/proc/self"))
        assert check.state == "FAIL"
        assert "/proc/self cannot be written to" in check.what

    def test_of_a_user_without_a_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_home() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.setattr(Path, "home", no_home)
        said = doctor()
        assert said.code == 78
        assert "set DBT_RELAY_STATE_DIR" in said.text


@pytest.mark.usefixtures("dbt")
def test_the_sinks_with_clients_of_their_own(tmp_path: Path) -> None:
    sinks = ("--sink", "openlineage", "--sink", "otlp")
    said = doctor(*sinks, HOME=str(tmp_path))
    assert said.code == 78
    assert said.failures == ["FAIL  the sink openlineage cannot work"]
    assert "set OPENLINEAGE_URL" in said.text
    assert "ok    the sink otlp has its packages and an address" in said.text
    said = doctor(*sinks, OPENLINEAGE_URL="http://127.0.0.1:9", OTEL_SDK_DISABLED="true")
    assert (said.code, said.failures) == (0, [])
    assert "ok    the sink openlineage has its packages and an address" in said.text
    assert "warn  the sink otlp sends nothing" in said.text
