"""Secrets on their way through the whole command: whatever holds one, nothing shows it.

The stand-in for dbt scrubs nothing, so that what is masked is masked by the relay.
"""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.command import Shell
from support.environment import NAMED_TASK
from support.fake_airflow import FakeAirflow
from support.logs import line

DBT = """#!{python}
import json, os, sys
from pathlib import Path

log = {log!r}
value = os.environ["SAY"]
for text in log:
    print(text.replace('"VALUE"', json.dumps(value)).replace("VALUE", json.dumps(value)[1:-1]))
print("a print of", value, flush=True)
for piece in ("Error: no such ", value[:3]):
    sys.stderr.write(piece)
    sys.stderr.flush()
sys.stderr.write(value[3:] + " " + value)
sys.stderr.flush()
Path("target").mkdir(exist_ok=True)
results = [
    {{
        "unique_id": "model.shop.b",
        "status": "error",
        "message": "no: " + value,
        "relation_name": value,
        "adapter_response": {{"code": value, value: [value]}},
        "thread_id": "Thread-1",
        "timing": [],
    }}
]
artifact = {{"metadata": {{"invocation_id": "i-1"}}, "results": results}}
Path("target/run_results.json").write_text(json.dumps(artifact))
Path("environ.json").write_text(json.dumps(dict(os.environ)))
sys.exit(1)
"""
A = {"unique_id": "model.shop.a", "resource_type": "model", "node_name": "a", "node_path": "VALUE"}
LOG = (
    line("MainReportVersion", {"version": "=1.11.16"}, msg="Running with dbt=1.11.16"),
    line("MainReportArgs", {"args": {"vars": "VALUE"}}, msg="running with VALUE", level="debug"),
    line("NodeStart", {"node_info": {**A, "node_started_at": "2026-01-02T03:04:05"}}),
    line(
        "NodeFinished",
        {
            "node_info": {**A, "node_finished_at": "2026-01-02T03:04:06", "node_status": "error"},
            "run_result": {"status": "error", "message": "VALUE is wrong", "execution_time": 1.0},
        },
        msg="finished a: VALUE",
    ),
)
VALUES = (
    "hunter2",
    'pa"ss\\word',
    "zwölf ßecrets",
    "it's 100% & more/than?that",
    "MIIEowIBAAKCAQEA\nxGf+/bZk93==",
)


class Shop(Shell):
    """A folder with a stand-in for dbt, and everything that commands leave there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SAY="nothing", PYTHONUTF8="1")
        self.env["COLUMNS"] = "200"
        self.said = ""
        log = [text.decode().strip() for text in LOG]
        (folder / "dbt").write_text(DBT.format(python=sys.executable, log=log))
        (folder / "dbt").chmod(0o755)

    def __call__(self, *words: object, **env: Any) -> subprocess.CompletedProcess[str]:
        done = super().__call__(*words, **env)
        self.said += done.stdout + done.stderr
        return done

    def everything(self) -> str:
        """All that was printed, and all that was written but by the stand-in."""
        own = {"dbt", "run_results.json", "environ.json"}
        files = [p for p in self.folder.rglob("*") if p.is_file() and p.name not in own]
        texts = [p.read_bytes().decode("utf-8", "replace") for p in files]
        return "\n".join([self.said, *texts])

    def record(self, key: str) -> dict[str, Any]:
        db = sqlite3.connect(self.state / "journal.db")
        try:
            rows = db.execute("select body from record where key = ? order by id desc", (key,))
            return json.loads(rows.fetchone()[0])
        finally:
            db.close()


@pytest.fixture
def shell(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def spellings(value: str) -> set[str]:
    lines = value.splitlines()
    spelled = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    return spelled | {repr(value)[1:-1], quote(value, safe=""), *lines}


@pytest.mark.parametrize("value", VALUES)
def test_a_secret_of_dbt_is_nowhere(shell: Shop, value: str) -> None:
    env = {
        **NAMED_TASK,
        "DBT_ENV_SECRET_PW": value,
        "SAY": value,
        "DBT_RELAY_AIRFLOW_TOKEN": "op-0",
    }
    command = ["./dbt", "build", "--vars", json.dumps({"pw": value}), f"--args={value}"]
    with FakeAirflow() as server:
        env |= {"DBT_RELAY_AIRFLOW_URL": server.url}
        sinks = ["--sink", "airflow", "--sink", "jsonl:records.jsonl", "--note"]
        done = shell("run", *sinks, "--", *command, **env)
        sent = json.dumps([[*server.xcoms.items()], [*server.notes.items()]], ensure_ascii=False)
    assert done.returncode == 1
    assert "a print of *****" in done.stdout
    assert done.stderr.startswith("Error: no such ***** *****")
    for again in (("show",), ("show", "--json"), ("runs",), ("runs", "--json")):
        assert shell(*again).returncode == 0
    shell("run", "--", "./no such program", value, **env)
    shell("run", "--", f"./{value}", **env)
    shell("replay", "environ.json", **env)
    found = [s for s in spellings(value) if s in shell.everything() + sent]
    assert not found
    assert shell.record("model.shop.a")["message"] == "***** is wrong"
    assert shell.record("model.shop.b")["message"] == "no: *****"
    lines = (shell.folder / "records.jsonl").read_text().splitlines()
    words = shlex.split(json.loads(lines[-1])["command"])
    assert words == ["./dbt", "build", "--vars", '{"pw": "*****"}', "--args=*****"]


@pytest.mark.parametrize("value", ["a", "1", "dbt", "run"])
def test_a_short_secret_leaves_the_command_and_the_records_legible(shell: Shop, value: str) -> None:
    env = {"DBT_ENV_SECRET_PW": value, "SAY": "a database, 1 run"}
    shell("run", "--", "./dbt", "run", "--vars", f"{{pw: {value}}}", **env)
    command = json.loads(shell("runs", "--json").stdout)["command"]
    assert command[1:] == ["run", "--vars", "{pw: *****}"]
    message = shell.record("model.shop.a")["message"]
    assert message == re.sub(rf"\b{value}\b", "*****", "a database, 1 run is wrong")


@pytest.mark.parametrize(
    ("before", "after", "resumes"),
    [("hunter2", "hunter2", True), ("hunter2", "hunter3", False), ("", "hunter2", False)],
)
def test_a_masked_command_is_resumed(shell: Shop, before: str, after: str, resumes: bool) -> None:
    """The secret itself is not in the journal to compare, but that there was one is."""

    def attempt(number: int, word: str) -> str:
        env = {**NAMED_TASK, "DBT_RELAY_TRY_NUMBER": str(number), "DBT_ENV_SECRET_PW": "hunter2"}
        done = shell(
            "run", "--resume", "--sink", "jsonl:records.jsonl", "--", "./dbt", "build", "--vars",
            f"{{pw: {word}}}", **env,
        )  # fmt: skip
        return done.stderr

    attempt(1, before)
    said = attempt(2, after)
    assert ("ran a different command" in said) is not resumes, said
    assert "hunter2" not in said


OWN = {
    "DBT_RELAY_AIRFLOW_TOKEN": "the-token-of-airflow",
    "DBT_RELAY_AIRFLOW_TOKEN_COMMAND": "vault read the-token-command",
    "DBT_RELAY_AIRFLOW_PASSWORD": "the-password-of-airflow",
    "DBT_RELAY_PROXY": "http://me:the%2Dproxys-password@127.0.0.1:9",
}


@pytest.mark.parametrize(
    "name", [*OWN, "DBT_RELAY_AIRFLOW_TOKEN_FILE", "DBT_RELAY_AIRFLOW_USERNAME"]
)
def test_dbt_is_not_given_the_way_into_airflow(shell: Shop, name: str) -> None:
    shell("run", "--", "./dbt", "run", **{name: OWN.get(name, "mine"), "DBT_RELAY_DAG_ID": "shop"})
    environ = json.loads((shell.folder / "environ.json").read_text())
    assert name not in environ
    assert environ["DBT_RELAY_DAG_ID"] == "shop"
    assert environ["SAY"] == "nothing"


CONNECTION = "dbt-relay://op:op%2Fpassword@127.0.0.1:9"


def test_dbt_is_not_given_a_connection_of_airflow_and_nothing_shows_it(shell: Shop) -> None:
    env = {"DBT_RELAY_AIRFLOW_CONN_ID": "shop", "AIRFLOW_CONN_SHOP": CONNECTION}
    said = {"SAY": "the op/password", **NAMED_TASK, **env}
    done = shell("run", "--flush-timeout", "0.2", "--", "./dbt", "run", **said)
    assert done.returncode == 1
    assert '"waiting":2' in shell.said
    environ = json.loads((shell.folder / "environ.json").read_text())
    assert not env.keys() & environ.keys()
    assert not OWN.keys() & environ.keys()
    assert not [text for text in ("op/password", CONNECTION) if text in shell.everything()]


def test_a_connection_that_lacks_something_ends_what_speaks_to_airflow(shell: Shop) -> None:
    env = {"DBT_RELAY_AIRFLOW_CONN_ID": "shop", "AIRFLOW_CONN_SHOP": "dbt-relay://op@airflow"}
    done = shell("run", "--", "./dbt", "run", **env)
    assert done.returncode == 78
    assert "the Airflow connection 'shop' lacks a login with a password" in done.stderr
    assert not (shell.folder / "environ.json").exists()
    assert shell("doctor", **env).returncode == 78
    assert shell("runs", **env).returncode == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *list(OWN.items())[:3],
        ("DBT_RELAY_PROXY", "the%2Dproxys-password"),
        ("DBT_RELAY_PROXY", "the-proxys-password"),
        ("HTTPS_PROXY", "the-proxys-password"),
    ],
)
def test_it_is_masked_where_dbt_shows_it(shell: Shop, name: str, value: str) -> None:
    env = {"SAY": value, name: OWN.get(name, OWN["DBT_RELAY_PROXY"])}
    done = shell("run", "--sink", "jsonl:-", "--", "./dbt", "run", "--vars", value, **env)
    assert done.returncode == 1
    shell("show")
    assert value not in shell.everything()


def test_a_proxys_password_that_an_option_names_is_masked(shell: Shop) -> None:
    command = ["./dbt", "run", "--vars", "the-proxys-password"]
    shell("run", "--proxy", OWN["DBT_RELAY_PROXY"], "--", *command)
    assert "proxys-password" not in shell.everything()


AIRFLOW = {**NAMED_TASK, "DBT_RELAY_AIRFLOW_TOKEN": "op-0"}


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"DBT_RELAY_PROXY": "u:hunter2@proxy:3128"}, "DBT_RELAY_PROXY"),
        ({"DBT_RELAY_PROXY": "http://u:hunter2@proxy:port"}, "DBT_RELAY_PROXY"),
        ({"HTTPS_PROXY": "http://u:hunter2@proxy:99999"}, "HTTPS_PROXY"),
        ({"ALL_PROXY": "socks5://u:hunter2@proxy"}, "a SOCKS proxy"),
        ({"DBT_RELAY_AIRFLOW_URL": "https://u:hunter2@airflow"}, "DBT_RELAY_AIRFLOW_PASSWORD"),
        ({"DBT_RELAY_AIRFLOW_URL": "u:hunter2@airflow"}, "DBT_RELAY_AIRFLOW_PASSWORD"),
        ({"DBT_RELAY_AIRFLOW_URL": "https://u:x/hunter2@a"}, "DBT_RELAY_AIRFLOW_PASSWORD"),
        ({"AIRFLOW__API__BASE_URL": "https://u:hunter2@airflow"}, "DBT_RELAY_AIRFLOW_PASSWORD"),
    ],
)
def test_an_address_that_cannot_work_ends_it_before_dbt_starts(
    shell: Shop, env: dict[str, str], words: str
) -> None:
    if "AIRFLOW__API__BASE_URL" not in env:
        env = {"DBT_RELAY_AIRFLOW_URL": "https://airflow.invalid", **env}
    done = shell("run", "--", "./dbt", "run", **AIRFLOW, **env)
    assert done.returncode == 78
    assert words in done.stderr
    assert not (shell.folder / "environ.json").exists()
    for command in (["doctor"], ["wait", "--task-id", "dbt", "model.shop.a"]):
        assert shell(*command, **AIRFLOW, **env).returncode == 78
    assert "hunter2" not in shell.everything()
    assert "Traceback" not in shell.said


def test_the_password_of_a_proxy_that_cannot_be_reached_is_nowhere(shell: Shop) -> None:
    proxy = "http://me:hunter2%2Fx@127.0.0.1:9"
    env = {**AIRFLOW, "DBT_RELAY_AIRFLOW_URL": "https://airflow.invalid", "HTTPS_PROXY": proxy}
    shell("run", "--flush-timeout", "0.2", "--", "./dbt", "run", **env)
    shell("run", "--flush-timeout", "0.2", "--proxy", proxy, "--", "./dbt", "run", **env)
    shell("doctor", **env)
    shell("deliver", "--all", "--flush-timeout", "0.2", **env)
    assert "the proxy to Airflow at https://airflow.invalid cannot be reached" in shell.said
    assert "hunter2" not in shell.everything()
    assert "Traceback" not in shell.said


@pytest.mark.parametrize("value", ["1", "a", "failure", "nodes", '"'])
def test_what_the_relay_counts_is_not_masked(shell: Shop, value: str) -> None:
    env = {**NAMED_TASK, "AIRFLOW_CTX_TASK_ID": "dbt", "DBT_ENV_SECRET_PW": value}
    done = shell("run", "--", "./dbt", "run", **env)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["nodes"] == {"failure": 2}
    assert summary["failed"] == ["model.shop.b", "model.shop.a"]
    assert "\n2 nodes did not succeed:\n" in done.stdout
