"""What happens between PostgreSQL and a dbt that is at work: faults, and a stop signal."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from real_dbt.project import BIN, Project
from support.postgres import Postgres
from support.results import differences
from support.running import Running, end_of
from support.timing import wait_until

FAULTS = Path(__file__).parent / "faults"
FUNCTIONS = """
create table counter as select 0 as n;

create function lock_in_a_circle() returns integer language plpgsql as $$ begin
    perform pg_advisory_xact_lock(1);
    while not exists (
        select from pg_locks where locktype = 'advisory' and objid = 1 and not granted
    ) loop perform pg_sleep(0.01); end loop;
    perform pg_advisory_xact_lock(2);
    return 1;
end $$;

create function count_too_late() returns integer language plpgsql as $$ begin
    perform n from counter;
    perform pg_advisory_xact_lock(3);
    update counter set n = n + 1;
    return 1;
end $$;
"""
OF_DBT = "from pg_stat_activity where application_name = 'dbt'"
SLEEPING = f"select pid {OF_DBT} and query like '%pg_sleep(300)%'"
WAITS = "select 1 from pg_locks where locktype = 'advisory' and objid = %s and granted = %s"


@pytest.fixture
def running(postgres: Postgres, tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path, env={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"})
    yield running
    left = running.close()
    postgres.query(f"select pg_terminate_backend(pid) {OF_DBT}")
    assert not left, f"processes left behind: {left}"


@pytest.fixture
def start(
    running: Running, copy: Callable[[Path, Path], Project], tmp_path: Path
) -> Callable[..., tuple[Project, subprocess.Popen[bytes]]]:
    """Starts the relay around dbt in a copy of the project."""

    def start(*command: str) -> tuple[Project, subprocess.Popen[bytes]]:
        project = copy(FAULTS, tmp_path)
        return project, running.start(running.command(command), cwd=project.root)

    return start


def test_faults_of_the_database_are_failures_with_its_text(
    postgres: Postgres, running: Running, start: Any
) -> None:
    """A lost connection, a deadlock and a failure to serialize, each in a thread of dbt."""
    postgres.query(FUNCTIONS)
    with closing(postgres.connect()) as rival, rival.cursor() as does:
        # So that PostgreSQL ends the other transaction of the two in the circle.
        does.execute("set deadlock_timeout = '1h'")
        does.execute("select pg_advisory_lock(2), pg_advisory_lock(3)")
        project, relay = start("dbt", "run", "--exclude", "tag:sleeps")
        ((pid,),) = wait_until(lambda: postgres.query(SLEEPING), "the query")
        wait_until(lambda: postgres.query(WAITS, 1, True), "the first of two locks")
        wait_until(lambda: postgres.query(WAITS, 3, False), "an old count")

        postgres.query("select pg_terminate_backend(%s)", pid)
        does.execute("update counter set n = n + 1")
        does.execute("select pg_advisory_unlock(3)")
        does.execute("select pg_advisory_lock(1)")
    code, out, err = end_of(relay)
    assert code == 1, out + err

    nodes, results = running.nodes(), project.results()
    assert nodes.keys() == results.keys()
    assert not {u for u in nodes if differences(nodes[u], results[u])}
    texts = {
        "cut_off": "server closed the connection unexpectedly",
        "locks_in_a_circle": "deadlock detected",
        "counts_too_late": "could not serialize access due to concurrent update",
    }
    for name, text in texts.items():
        record = nodes[f"model.faults.{name}"]
        assert (record["status"], record["outcome"]) == ("error", "failure")
        assert text in record["message"]
    assert nodes["model.faults.reads_cut_off"]["caused_by"] == "model.faults.cut_off"
    assert nodes["model.faults.runs_after"]["outcome"] == "success"


def test_a_stop_signal_leaves_no_query_running(
    postgres: Postgres, running: Running, start: Any
) -> None:
    _, relay = start("dbt", "run", "--select", "tag:sleeps")
    wait_until(lambda: len(postgres.query(SLEEPING)) == 3, "three queries")
    relay.terminate()
    code, out, err = end_of(relay)
    assert code == 2, out + err
    wait_until(lambda: not postgres.query(SLEEPING), "no query")
    models = {u: r for u, r in running.nodes().items() if r["resource_type"] == "model"}
    assert len(models) == 3
    for record in models.values():
        assert record["outcome"] == "interrupted"
        assert record["started_at"] < record["finished_at"]
    run = running.last()
    assert (run["state"], run["exit_code"]) == ("finished", 2)
