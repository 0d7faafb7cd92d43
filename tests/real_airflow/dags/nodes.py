"""DAGs whose tasks wait for nodes: in each mode, mapped, and as a group with a node that fails."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from dbt_relay.provider import DbtNodeSensor, dbt_task_group

PROJECT = os.environ["DBT_PROJECT_DIR"]
# Those that take no slot come first, so that all wait at once.
MODES = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule", "priority_weight": 2},
    "deferred": {"deferrable": True, "priority_weight": 2},
}
NODES = ("orders", "broken_on_purpose", "skipped_on_purpose")

with DAG("nodes_modes", schedule=None):
    BashOperator(
        task_id="dbt",
        bash_command="{{ dag_run.conf['command'] }}",
        cwd=PROJECT,
        priority_weight=3,
    )
    for mode, how in MODES.items():
        for node in NODES:
            DbtNodeSensor(
                task_id=f"{mode}_{node}",
                unique_id=f"model.jaffle.{node}",
                producer_task_id="dbt",
                poke_interval=2,
                **how,
            )

with DAG("nodes_mapped", schedule=None):
    BashOperator.partial(task_id="dbt", cwd=PROJECT, max_active_tis_per_dagrun=1).expand(
        bash_command=[
            f"JAFFLE_DUCKDB=target/mapped.duckdb dbt-relay run --map-index {{{{ ti.map_index }}}}"
            f" -- dbt seed --select {seed}"
            for seed in ("raw_orders", "raw_customers")
        ]
    )
    DbtNodeSensor.partial(
        task_id="raw_orders",
        unique_id="seed.jaffle.raw_orders",
        producer_task_id="dbt",
        poke_interval=1,
        deferrable=True,
        on_missing="skip",
    ).expand(producer_map_index=[0, 1])

FLAKY = str(Path(PROJECT).with_name("flaky"))
DBT = "DBT_PROJECT_DIR=. dbt-relay "

with DAG("nodes_flaky", schedule=None):
    dbt_task_group(
        manifest=f"{FLAKY}/manifest.json",
        producer=BashOperator(
            task_id="run_dbt",
            bash_command=f"{DBT}run --resume -- dbt build --exclude tag:slow",
            cwd=FLAKY,
            retries=1,
            retry_delay=timedelta(seconds=1),
        ),
        exclude="tag:slow",
        poke_interval=3,
        fallback=f"{DBT}run -- dbt build --select {{{{ task.node_name }}}}",
        fallback_cwd=FLAKY,
    )

WAITS = {
    "orders": "model.jaffle.orders",
    "after_flaky": "model.jaffle.after_flaky --on-upstream-failed skip",
    "flaky": "model.jaffle.flaky --or-run -- dbt run --select flaky",
    "all": "--prefix model.jaffle.stg_",
}

with DAG("nodes_waits", schedule=None):
    waits_env = {"DBT_PROJECT_DIR": ".", "JAFFLE_DUCKDB": "target/waits.duckdb"}
    BashOperator(
        task_id="dbt",
        bash_command="dbt-relay run -- dbt build --select +after_flaky",
        cwd=FLAKY,
        env=waits_env,
        append_env=True,
    )
    for waits_for, arguments in WAITS.items():
        BashOperator(
            task_id=f"wait_{waits_for}",
            bash_command=f"dbt-relay wait --task-id dbt --poll 2 {arguments}",
            cwd=FLAKY,
            env=waits_env,
            append_env=True,
            retries=1 if waits_for == "flaky" else 0,
            retry_delay=timedelta(seconds=0),
        )

with DAG("nodes_lasting", schedule=None):
    # The records lie where a retry leaves them; the second try ends before its relay has started.
    lasting = EmptyOperator(task_id="results")
    twice = BashOperator(
        task_id="dbt",
        bash_command=(
            "[ {{ ti.try_number }} = 1 ] || exit 9; JAFFLE_DUCKDB=target/lasting.duckdb"
            " dbt-relay run --xcom-task-id results -- dbt seed --select raw_orders;"
            " exit {{ dag_run.conf['exit'] }}"
        ),
        cwd=PROJECT,
        retries=1,
        retry_delay=timedelta(seconds=0),
    )
    after = DbtNodeSensor(
        task_id="raw_orders",
        unique_id="seed.jaffle.raw_orders",
        producer_task_id="dbt",
        xcom_task_id="results",
        poke_interval=1,
        trigger_rule="all_done",
    )
    lasting >> twice >> after
