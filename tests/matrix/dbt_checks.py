"""What dbt-relay must do with every dbt, each as a function that raises an error."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess

from matrix.agreement import assert_agreement, assert_same_lines
from matrix.dbt_under_test import PROJECTS, Dbt
from real_dbt.project import Project
from real_dbt.task import Task
from support.environment import AIRFLOW_TASK
from support.fake_airflow import FakeAirflow
from support.running import Running, cpu_time, end_of
from support.timing import wait_until

FLAKY = """
select {{ 'no_such' if env_var('AIRFLOW_CTX_TRY_NUMBER') == '1' else '1' }} as id
from {{ ref('orders') }}
"""
FLAKY_NODES = {"model.jaffle.flaky", "model.jaffle.after_flaky"}
SLOW = ("run", "--threads", "2", "--select", "tag:slow", "--vars", "slow: true")
SLOW_NODES = {"model.shop.slow_one", "model.shop.slow_two"}
ENDS = (
    ("run", "--select", "stg_orders"),
    ("run", "--select", "broken_on_purpose"),
    ("ls", "--resource-type", "model"),
    ("run", "--no-such-flag"),
    ("run", "--vars", "{bad"),
    ("build", "--selector", "no_such_selector"),
)


def records(dbt: Dbt) -> None:
    """Each node's record says what dbt's own file says of the node."""
    for name in PROJECTS:
        project = dbt.project(name)
        done = project.relay(*dbt.build)
        assert done.returncode == 1, done.stdout + done.stderr
        assert_agreement(dbt, project)
    project.relay(dbt.program, "run", "--select", "stg_orders", "--vars", "bad_hook: true")
    if dbt.release != "v2":  # which then runs no node, and calls each an error in its file
        assert_agreement(dbt, project)
    outcomes = [r["outcome"] for u, r in project.nodes().items() if "on-run-start" in u]
    assert sorted(outcomes) == ["failure", "success"], outcomes
    project.relay(dbt.program, "source", "freshness")
    sources = json.loads((project.root / "target/sources.json").read_text())["results"]
    expected = {result["unique_id"]: result["status"].lower() for result in sources}
    found = {u: record["status"] for u, record in project.nodes().items() if "source." in u}
    assert found == expected


def console(dbt: Dbt) -> None:
    """What a person sees is line for line what dbt prints."""
    for name in PROJECTS:
        ran = [
            run(dbt.project(name, threads=1), *dbt.build[1:]) for run in (dbt.plain, dbt.relayed)
        ]
        assert_same_lines(*ran)


def exits(dbt: Dbt) -> None:
    """dbt's exit codes, and what it says of what it refuses."""
    plain, relayed = (dbt.project("jaffle", threads=1) for _ in range(2))
    codes: set[int] = set()
    for arguments in ENDS:
        ran = (dbt.plain(plain, *arguments), dbt.relayed(relayed, *arguments))
        assert ran[0].returncode == ran[1].returncode, (arguments, ran)
        codes.add(ran[0].returncode)
        assert_same_lines(*ran)
    assert codes == {0, 1, 2}


def resume(dbt: Dbt) -> None:
    """A second try runs what had not succeeded: on the same machine, and on another one."""
    task = Task(_flaky(dbt))
    task.try_once(*dbt.build)
    left = {u for u, r in task.nodes().items() if r["outcome"] in ("failure", "skipped")}
    assert left > FLAKY_NODES
    said = task.try_once(*dbt.build)
    assert task.ran() == left, said
    assert {task.nodes()[u]["outcome"] for u in FLAKY_NODES} == {"success"}

    project = _flaky(dbt)
    with FakeAirflow() as airflow:
        for attempt in (1, 2):
            done = project.run(
                *("dbt-relay", "run", "--resume", "--sink", "airflow"),
                *("--xcom-task-id", "results", "--", *dbt.build),
                **airflow.env,
                **{**AIRFLOW_TASK, "AIRFLOW_CTX_TRY_NUMBER": str(attempt)},
                DBT_RELAY_STATE_DIR=str(project.root / f"state-{attempt}"),
            )
            if attempt == 1:
                shutil.rmtree(project.root / "target")
                airflow.retry()
        xcoms = airflow.tasks["results"][-1]
    nodes = {u: record for u, record in xcoms.items() if "unique_id" in record}
    assert {record["attempt"] for record in nodes.values()} == {2}
    ran = {u for u, record in nodes.items() if "resumed_from" not in record}
    assert ran == left, done.stdout + done.stderr
    assert nodes.keys() == task.nodes().keys()


def stop(dbt: Dbt) -> None:
    """SIGTERM ends dbt as SIGINT does, with a record of each node, and leaves no process and no
    query."""
    relayed, process = _started(dbt, is_relayed=True)
    process.terminate()
    code, out, err = end_of(process)
    left = relayed.close()
    assert not left, left
    if dbt.warehouse.slow_queries is not None:
        assert dbt.warehouse.slow_queries() == 0
    nodes = relayed.nodes()
    assert nodes.keys() >= SLOW_NODES, out + err
    assert {nodes[unique_id]["outcome"] for unique_id in SLOW_NODES} == {"interrupted"}
    run = relayed.last()
    assert (run["exit_code"], {*run["failed"]}) == (code, SLOW_NODES)

    plain, process = _started(dbt, is_relayed=False)
    process.send_signal(signal.SIGINT)
    expected, out, err = end_of(process)
    plain.close()
    assert code == expected, out + err


CHECKS = (records, console, exits, resume, stop)


def _flaky(dbt: Dbt) -> Project:
    """The example with a model that fails in a task's first try, and another that needs it."""
    project = dbt.project("jaffle")
    (project.root / "models/flaky.sql").write_text(FLAKY)
    (project.root / "models/after_flaky.sql").write_text("select * from {{ ref('flaky') }}")
    return project


def _started(dbt: Dbt, *, is_relayed: bool) -> tuple[Running, subprocess.Popen[bytes]]:
    """dbt in the middle of two long queries."""
    project = dbt.project("shop")
    running = Running(project.root.parent, env={"PATH": os.environ["PATH"]})
    command = [dbt.program, *SLOW]
    process = running.start(
        running.command(command) if is_relayed else command, cwd=project.root, text=False
    )
    ran = [project.root / f"target/run/shop/models/slow_{n}.sql" for n in ("one", "two")]
    wait_until(lambda: all(path.exists() for path in ran), "both queries")
    (pid,) = (
        pid
        for pid, words in running.processes().items()
        if "tag:slow" in words and "dbt_relay" not in words
    )
    slow_queries = dbt.warehouse.slow_queries
    if slow_queries is not None:
        wait_until(lambda: slow_queries() == len(SLOW_NODES), "both queries in the database")
        return running, process
    # A query that is cancelled before DuckDB has begun with it runs on; dbt would wait for it.
    before = cpu_time(pid)
    wait_until(lambda: cpu_time(pid) > before + 1, "a query at work")
    return running, process
