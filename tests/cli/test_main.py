"""The command as its user meets it: help, settings, errors, replay."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from support.command import Typed
from support.environment import AIRFLOW_TASK
from support.logs import CORPUS, folded_log, log

from dbt_relay.cli.commands import OUTLINES, load

GOLDEN = Path(__file__).parents[1] / "golden" / "help"


@pytest.mark.parametrize("command", ["", *OUTLINES])
def test_help(typed: Typed, command: str) -> None:
    """To renew: dbt-relay COMMAND --help, with COLUMNS=100, into tests/golden/help."""
    done = typed(*([command] if command else []), "--help")
    assert done.returncode == 0
    assert done.stdout == (GOLDEN / f"{command or 'dbt-relay'}.txt").read_text()


WAITED_FOR = {"--task-id", "--map-index"}
"""Of `wait`: variables of the usual names are of the task that waits."""


def test_every_option_has_its_variable_and_its_help() -> None:
    for name in OUTLINES:
        for parameter in load(name).params:
            if parameter.param_type_name != "option":
                continue
            (flag, *_) = (o for o in parameter.opts if o.startswith("--"))
            assert getattr(parameter, "help", None)
            variables = parameter.envvar
            assert isinstance(variables, list)
            prefix = "DBT_RELAY_WAIT_" if name == "wait" and flag in WAITED_FOR else "DBT_RELAY_"
            assert variables[0] == prefix + flag[2:].upper().replace("-", "_")
            assert getattr(parameter, "show_envvar", False)


@pytest.mark.parametrize(
    ("arguments", "env", "code", "words"),
    [
        (["run"], {}, 64, ["Missing argument 'COMMAND...'"]),
        (["run", "--nope", "dbt"], {}, 64, ["No such option"]),
        (["run", "--sink", "airflow", "--", "true"], {}, 78, ["--dag-id", "DBT_RELAY_AIRFLOW_URL"]),
        (["run", "--sink", "airflow", "--", "true"], AIRFLOW_TASK, 78, ["DBT_RELAY_AIRFLOW_TOKEN"]),
        (["run", "--sink", "kafka", "--", "true"], {}, 78, ["no sink 'kafka'"]),
        (["run", "--sink", "jsonl:/no/such/dir/x", "--", "true"], {}, 78, ["/no/such/dir/x"]),
        (["run", "--", "no-such-dbt"], {}, 127, ["no-such-dbt", "not found"]),
        (["run", "--", "/etc/passwd"], {}, 126, ["/etc/passwd", "executable"]),
        (["replay", "/no/such.log"], {}, 64, ["/no/such.log"]),
        (
            ["run", "--sink", "airflow", "--", "true"],
            {**AIRFLOW_TASK, "DBT_RELAY_AIRFLOW_URL": "airflow", "DBT_RELAY_AIRFLOW_TOKEN": "hush"},
            78,
            ["'airflow' is not an address", "https://"],
        ),
        (
            ["run", "--key-prefix", "a/b", "--sink", "airflow", "--", "true"],
            {
                **AIRFLOW_TASK,
                "DBT_RELAY_AIRFLOW_URL": "http://x",
                "DBT_RELAY_AIRFLOW_TOKEN": "hush",
            },
            78,
            ["'a/b'"],
        ),
    ],
)
def test_bad_input_gets_a_clear_error_before_dbt_starts(
    typed: Typed, arguments: list[str], env: dict[str, str], code: int, words: list[str]
) -> None:
    done = typed(*arguments, **env)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr
    assert "hush" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "meant"),
    [
        (["dbt", "build"], 64, "dbt-relay run -- dbt build"),
        (["--", "dbt", "build"], 64, "dbt-relay run -- dbt build"),
        (
            ["run", "--select", "x", "--", "dbt", "build"],
            64,
            "dbt-relay run -- dbt build --select x",
        ),
        (["build", "--vars", "hush"], 64, "dbt-relay run -- dbt build --vars *****"),
        (["run", "build"], 127, "dbt-relay run -- dbt build"),
    ],
)
def test_a_wrong_call_is_told_what_to_type(
    typed: Typed, arguments: list[str], code: int, meant: str
) -> None:
    done = typed(*arguments, DBT_ENV_SECRET_X="hush")
    assert done.returncode == code
    *_, last = done.stderr.splitlines()
    assert last.startswith("relay: ")
    assert meant in last


def test_credentials_of_something_else_are_not_airflows(typed: Typed) -> None:
    others = {"TOKEN": "hush", "USERNAME": "me", "PASSWORD": "hush"}
    arguments = ["run", "--sink", "airflow", "--", "true"]
    done = typed(*arguments, DBT_RELAY_AIRFLOW_URL="http://x", **others, **AIRFLOW_TASK)
    assert done.returncode == 78
    assert "needs DBT_RELAY_AIRFLOW_TOKEN" in done.stderr


def test_a_log_without_events_is_an_error(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "dbt.log").write_text("12:00:00  Running with dbt=1.11.16\n")
    done = typed("replay", str(tmp_path / "dbt.log"))
    assert done.returncode == 65
    assert "no event of dbt" in done.stderr
    assert "--log-format json" in done.stderr


def test_the_last_line_of_an_airflow_task_is_a_json_summary(typed: Typed) -> None:
    done = typed("replay", str(CORPUS / "1.7.20/example_debug.jsonl.gz"), **AIRFLOW_TASK)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary == {
        "nodes": {"success": 21, "failure": 2, "skipped": 1},
        "failed": ["model.jaffle.broken_on_purpose", "test.jaffle.fails_on_purpose"],
        "delivery": {},
    }


def test_outside_airflow_there_is_no_json_for_people_to_read(typed: Typed, tmp_path: Path) -> None:
    saved = str(CORPUS / "1.7.20/example_debug.jsonl.gz")
    done = typed("replay", saved, XDG_STATE_HOME=str(tmp_path))
    assert done.stdout.splitlines()[-1] == (
        "relay: 24 records; a page of the run: dbt-relay report 1"
    )


@pytest.mark.parametrize("source", ["gz", "plain"])
def test_replay_from_a_file_or_an_archive(typed: Typed, source: str, tmp_path: Path) -> None:
    key = "1.9.11/example_debug"
    plain = tmp_path / "dbt.log"
    plain.write_bytes(log(key))
    given = plain if source == "plain" else CORPUS / f"{key}.jsonl.gz"
    done = typed("replay", "--sink", "jsonl:-", given)
    assert done.returncode == 0
    replayed = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [record.to_json() for record in folded_log(key).records]
    assert [r for r in replayed if r["schema"] == "dbt-relay/node@1"] == expected
    assert "Done. PASS=21" in done.stderr


def test_a_torn_archive_is_read_as_far_as_it_goes(typed: Typed, tmp_path: Path) -> None:
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(log("1.9.11/example_debug"))[:-20000])
    done = typed("replay", "--sink", "jsonl:-", str(torn))
    assert done.returncode == 0
    assert "cannot be read to its end" in done.stderr
    assert len(done.stdout.splitlines()) > 5


def test_attempt_and_settings_come_from_the_environment(typed: Typed, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    path = str(CORPUS / "1.9.11/example_debug.jsonl.gz")
    env = {**AIRFLOW_TASK, "AIRFLOW_CTX_TRY_NUMBER": "2", "DBT_RELAY_SINK": f"jsonl:{out}"}
    done = typed("replay", path, **env)
    assert done.returncode == 0
    assert {json.loads(line)["attempt"] for line in out.read_text().splitlines()} == {2}


def test_run_results_of_the_same_run_fill_what_the_log_does_not_tell(
    typed: Typed, tmp_path: Path
) -> None:
    key = "1.11.16/compile_info"  # at info level compile prints no line for a node
    results = gzip.decompress((CORPUS / f"{key}.run_results.json.gz").read_bytes())
    (tmp_path / "run_results.json").write_bytes(results)
    path = str(CORPUS / f"{key}.jsonl.gz")
    done = typed("replay", "--sink", "jsonl:-", "--target-path", str(tmp_path), path)
    nodes = [json.loads(s) for s in done.stdout.splitlines() if "unique_id" in s]
    assert len(nodes) == len(json.loads(results)["results"]) > 0


def test_a_failing_delivery_under_strict_delivery(typed: Typed) -> None:
    arguments = ["--sink", "jsonl:/dev/full", "--flush-timeout", "0.2"]
    path = str(CORPUS / "1.9.11/example_debug.jsonl.gz")
    done = typed("replay", *arguments, path)
    assert done.returncode == 0
    assert "24 records, 0 delivered, 24 waiting" in done.stdout
    assert "model.jaffle.orders" in done.stdout.partition("relay: waiting")[2]
    assert typed("replay", "--strict-delivery", *arguments, path).returncode == 75


def test_version_and_completion(typed: Typed) -> None:
    assert typed("--version").stdout.startswith("dbt-relay 0.1.0 (python 3.")
    done = typed(_DBT_RELAY_COMPLETE="bash_source")
    assert "_dbt_relay_completion" in done.stdout
