"""`dbt-relay wait` and `run --renew` against a server that keeps Airflow's XComs."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import subprocess
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import airflow_faults as fake
from support.command import RELAY
from support.environment import clean_environment
from support.fake_airflow import FakeAirflow
from support.records import node
from support.timing import PATIENCE

from dbt_relay.records.schema import RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.command import Shell, Typed

GOLDEN = Path(__file__).parents[1] / "golden"
LOG = GOLDEN / "console/1.11/build.jsonl.gz"
PLACE = ["--dag-id", "shop", "--run-id", "run+1", "--task-id", "dbt", "--poll", "0.1"]
ORDERS, BROKEN = "model.jaffle.orders", "model.jaffle.broken_on_purpose"
TEXT = "Database Error in model broken_on_purpose\n  no such column"


def ended(unique_id: str, status: str = "success", **fields: Any) -> dict[str, Any]:
    return node(unique_id, status, **{"attempt": 1, **fields}).to_json()


def run_record(**fields: Any) -> dict[str, Any]:
    facts = {"state": "finished", "exit_code": 1, "attempt": 1, "command": "dbt build"}
    nodes = {"success": 1, "failure": 1}
    return RunRecord(**{"nodes": nodes, **facts, **fields}).to_json()


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with FakeAirflow() as server:
        server.xcoms[-1] |= {
            ORDERS: ended(ORDERS),
            BROKEN: ended(BROKEN, "error", message=TEXT, invocation_started_at="2020-01-01T00:00Z"),
            RunRecord.key: run_record(),
        }
        server.states[0] = "failed"
        yield server


@pytest.fixture
def wait(typed: Typed, airflow: FakeAirflow) -> Typed:
    def wait(*words: str) -> subprocess.CompletedProcess[str]:
        return typed("wait", *PLACE, *words, **airflow.env)

    return wait


def test_it_ends_as_the_node_did_and_prints_dbts_words_once(
    shell: Shell, airflow: FakeAirflow
) -> None:
    done = shell("wait", *PLACE, ORDERS, **airflow.env)
    assert (done.returncode, done.stdout) == (0, "OK created sql model jaffle.orders [OK]\n")
    failed = shell("wait", *PLACE, BROKEN, **airflow.env)
    assert failed.returncode == 1
    assert failed.stdout.count(TEXT) == 1


def test_several_end_with_the_worst_of_them(wait: Typed, airflow: FakeAirflow) -> None:
    skipped = "model.jaffle.child"
    airflow.xcoms[-1][skipped] = ended(skipped, "skipped", skip_cause="fail_fast")
    assert wait(skipped).returncode == 99
    assert wait(skipped, ORDERS).returncode == 0
    done = wait(ORDERS, BROKEN, skipped)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 5, done.stdout


def test_it_waits_without_a_line_for_each_look(wait: Typed, airflow: FakeAirflow) -> None:
    airflow.states.extendleft(["running"] * 4 + ["queued", None])
    late = airflow.xcoms[-1].pop(ORDERS)
    airflow.states.append("success")
    airflow.xcoms[-1][RunRecord.key] = run_record(exit_code=0)
    done = wait(ORDERS, "--on-missing", "skip")
    assert done.returncode == 99
    assert "was not part of the run: `dbt build` did not select it" in done.stdout
    assert len(done.stderr.splitlines()) <= 4, done.stderr
    airflow.xcoms[-1][ORDERS] = late


def test_a_selection_is_all_that_begin_so(wait: Typed, airflow: FakeAirflow) -> None:
    done = wait("--prefix", "model.jaffle.")
    assert done.returncode == 1
    assert "orders" in done.stdout
    assert done.stdout.count(TEXT) == 1
    nothing = wait("--prefix", "model.jaffle.nothing", "--on-missing", "skip")
    assert nothing.returncode == 99
    assert wait("--prefix", "model.jaffle.orders").returncode == 0


def test_a_selection_by_its_former_name_says_the_new_one(wait: Typed, airflow: FakeAirflow) -> None:
    for words in (("--select", ORDERS), (f"--select={ORDERS}",)):
        done = wait(*words)
        assert done.returncode == 0
        assert "--select was renamed --prefix" in done.stderr
    both = wait("--select", ORDERS, "--prefix", BROKEN, "--or-run", "--", "x", "--select")
    assert both.returncode == 1


def test_a_selection_is_not_green_if_the_run_may_have_more(
    wait: Typed, airflow: FakeAirflow
) -> None:
    xcoms = airflow.xcoms[-1]
    waiting = {"airflow": {"records": 5, "delivered": 2, "waiting": 3}}
    for its_run, words in (
        (run_record(state="died", exit_code=137, signal="SIGKILL"), "dbt ended (SIGKILL)"),
        (run_record(delivery=waiting), "3 records of this run did not get to Airflow"),
        (run_record(announced=5, missing=3), "before it ran 3 nodes of the 5"),
        (run_record(state="running", exit_code=None), "the relay was killed"),
        (run_record(nodes={"success": 7}), "Airflow lacks 5 records of this run, out of 7"),
        (None, "there is no record of its run"),
    ):
        xcoms[RunRecord.key] = its_run
        done = wait("--prefix", ORDERS, "--on-missing", "success")
        assert done.returncode == 1, its_run
        assert words in done.stdout
        assert "OK created sql model jaffle.orders" in done.stdout


def test_a_status_that_nobody_knows_is_not_green(wait: Typed, airflow: FakeAirflow) -> None:
    for status in ("cancelled", "done", "timed out"):
        airflow.xcoms[-1][ORDERS] = ended(ORDERS, status)
        done = wait(ORDERS)
        assert done.returncode == 1
        assert status in done.stdout.lower()


def test_it_gives_up(wait: Typed, airflow: FakeAirflow) -> None:
    airflow.states[0] = "running"
    done = wait("model.jaffle.never", "--timeout", "0.3")
    assert done.returncode == 124
    assert "gave up after --timeout, 0.3 s" in done.stderr


def test_an_airflow_that_is_away_for_a_while_is_waited_for(
    wait: Typed, airflow: FakeAirflow
) -> None:
    airflow.read_faults.extend([fake.answering(503, {"detail": "busy"})] * 3)
    done = wait(ORDERS)
    assert done.returncode == 0
    assert done.stderr.count("trying again") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 64, "name the nodes to wait for"),
        (["orders"], 64, "is not a unique_id. A unique_id looks like model.jaffle.orders"),
        ([ORDERS, "--or-run"], 64, "--or-run goes with a command"),
        ([ORDERS, "--", "dbt", "run"], 64, "--or-run goes with a command"),
        ([ORDERS, "--dag-id", "nowhere"], 78, "has no DAG 'nowhere': see --dag-id"),
        ([ORDERS, "--dag-id", "shopp"], 78, "has no DAG 'shopp', but it has 'shop'"),
        ([ORDERS, "--run-id", "run 2"], 78, "has no run 'run 2' of DAG 'shop': see --run-id"),
        ([ORDERS, "--task-id", "nothing"], 78, "has no task 'nothing' in run 'run+1' of DAG"),
        ([ORDERS, "--task-id", "build"], 78, ", but it has 'transform.build': see --task-id"),
        ([ORDERS, "--task-id", "group"], 78, ", but it has 'group.run_dbt' and"),
        ([ORDERS, "--task-id", "transform.biuld"], 78, "but it has 'transform.build'"),
        ([ORDERS, "--task-id", "results", "--map-index", "3"], 78, "that is not mapped"),
    ],
)
def test_what_cannot_work_is_said_at_once(
    wait: Typed, airflow: FakeAirflow, arguments: list[str], code: int, words: str
) -> None:
    airflow.others = ["group.a", "group.b", "group.run_dbt", "transform.build"]
    done = wait(*arguments)
    assert "not Airflow's API" not in done.stderr
    assert done.returncode == code, done
    assert words in done.stderr


def test_an_instance_of_a_mapped_task_is_waited_for_until_the_task_is_expanded(
    wait: Typed,
    airflow: FakeAirflow,
) -> None:
    airflow.states[0] = None
    done = wait(ORDERS, "--map-index", "1", "--timeout", "0.5")
    assert done.returncode == 124
    airflow.tasks["dbt"].pop(-1)
    airflow.tasks["dbt"][0] = {}
    done = wait(ORDERS, "--map-index", "1")
    assert done.returncode == 78
    assert "Task instance is mapped" in done.stderr or "no instance 1" in done.stderr


def test_a_later_try_runs_the_node_and_renews_its_record(
    shell: Shell, airflow: FakeAirflow, tmp_path: Path
) -> None:
    log = tmp_path / "dbt.jsonl"
    log.write_bytes(gzip.decompress(LOG.read_bytes()))
    before = airflow.xcoms[-1][RunRecord.key]
    or_run = ("--or-run", "--", "sh", "-c", f"cat {log}; exit 1")
    first = shell("wait", *PLACE, BROKEN, *or_run, **airflow.env)
    assert first.returncode == 1
    assert "running it here" not in first.stderr

    words = ("--try-number", "2", *or_run)
    env = {**airflow.env, "AIRFLOW_CTX_TASK_ID": "waits"}
    again = shell("wait", *PLACE, BROKEN, *words, **env)
    assert "running it here" in again.stderr
    assert again.returncode == 1
    renewed = airflow.xcoms[-1][BROKEN]
    assert renewed["attempt"] == 1
    assert "amount_in_euros" in renewed["message"]
    assert airflow.xcoms[-1][RunRecord.key] == before


def test_the_command_obeys_the_variables_of_run(
    shell: Shell, airflow: FakeAirflow, tmp_path: Path
) -> None:
    records, state = tmp_path / "records.jsonl", tmp_path / "state"
    log = tmp_path / "dbt.jsonl"
    log.write_bytes(gzip.decompress(LOG.read_bytes()))
    variables = {
        **airflow.env,
        "AIRFLOW_CTX_TASK_ID": "waits",
        "AIRFLOW_CTX_TRY_NUMBER": "2",
        "DBT_RELAY_SINK": f"jsonl:{records}",
        "DBT_RELAY_STATE_DIR": str(state),
        "DBT_RELAY_MAX_MESSAGE_BYTES": "256",
    }
    or_run = ("--or-run", "--", "sh", "-c", f"cat {log}; exit 1")
    done = shell("wait", *PLACE, BROKEN, *or_run, **variables)
    assert done.returncode == 1, done.stderr
    written = [json.loads(line) for line in records.read_text().splitlines()]
    assert {record["attempt"] for record in written} == {1}, "the try of the task that ran dbt"
    assert (state / "journal.db").exists()
    assert len(airflow.xcoms[-1][BROKEN]["message"].encode()) <= 256
    variables["DBT_RELAY_GRACE"] = "soon"
    wrong = shell("wait", *PLACE, BROKEN, *or_run, **variables)
    assert wrong.returncode == 64
    assert "DBT_RELAY_GRACE" in wrong.stderr


def test_variables_say_for_whom_to_wait(typed: Typed, airflow: FakeAirflow) -> None:
    """Those of the usual names are of the task that waits."""
    place = {"DBT_RELAY_DAG_ID": "shop", "DBT_RELAY_RUN_ID": "run+1", "DBT_RELAY_POLL": "0.1"}
    own = {"DBT_RELAY_TASK_ID": "waits", "DBT_RELAY_MAP_INDEX": "7"}
    env = {**airflow.env, **place, **own}
    assert "Missing option '--task-id'" in typed("wait", ORDERS, **env).stderr
    said = {**env, "DBT_RELAY_WAIT_TASK_ID": "dbt", "DBT_RELAY_PREFIX": f"{ORDERS} model."}
    done = typed("wait", **said)
    assert done.returncode == 1
    assert {"orders", "broken_on_purpose"} <= {*re.findall(r"\w+", done.stdout)}
    elsewhere = typed("wait", **said, DBT_RELAY_WAIT_MAP_INDEX="3")
    assert elsewhere.returncode == 78
    assert "that is not mapped" in elsewhere.stderr
    or_run = typed("wait", **said, DBT_RELAY_OR_RUN="1")
    assert (or_run.returncode, "--or-run goes with a command" in or_run.stderr) == (64, True)
    assert typed("wait", "--no-or-run", **said, DBT_RELAY_OR_RUN="1").returncode == 1


def test_a_task_that_still_runs_is_not_written_beside(typed: Typed, airflow: FakeAirflow) -> None:
    airflow.states[0] = "running"
    place = ("--dag-id", "shop", "--run-id", "run+1", "--renew", "dbt")
    done = typed("run", *place, "--", "true", **airflow.env)
    assert done.returncode == 78
    assert "that task is running, and may still run these nodes itself" in done.stderr
    alone = typed("run", "--renew", "dbt", "--", "true", **airflow.env)
    assert alone.returncode == 78
    assert "--renew needs --dag-id" in alone.stderr


@pytest.mark.parametrize("where", [">/dev/full", "2>/dev/full", "| true", "2> >(true)", ">&- 2>&-"])
def test_what_cannot_be_printed_does_not_decide_how_it_ends(
    airflow: FakeAirflow, where: str
) -> None:
    airflow.states = deque(["queued", "failed"])
    command = shlex.join([*RELAY, "wait", *PLACE, ORDERS])
    done = subprocess.run(
        ["bash", "-c", f"{command} {where}; exit ${{PIPESTATUS[0]}}"],
        env=clean_environment(**airflow.env),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
