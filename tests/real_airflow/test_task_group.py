"""What a task group consists of, as Airflow's own DAG has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from provider import printed

if TYPE_CHECKING:
    from .airflow import Airflow

CALLS = {
    "operator": (
        "dbt_task_group(manifest=MANIFEST, producer=operator(retries=2), group_id='shop',"
        " select='+orders', outlets=lambda node: [Asset(node.name)])"
    ),
    "command": (
        "dbt_task_group(manifest=MANIFEST, producer='dbt-relay run -- dbt build',"
        " exclude='tag:slow', tests='none', on_upstream_failed='skip', deferrable=False)"
    ),
    "producers": (
        "(operator(), BashOperator.partial(task_id='mapped').expand(bash_command=['a', 'b']),"
        " DbtNodeSensor(task_id='of_one', unique_id='a.b.c', producer_task_id='builds'),"
        " DbtNodeSensor(task_id='of_each', unique_id='a.b.c', producer_task_id='mapped',"
        " mode='reschedule'))"
    ),
    "empty": (
        "dbt_task_group(manifest=MANIFEST, producer='x', select='orders',"
        " indirect_selection='empty')"
    ),
    "long": "dbt_task_group(manifest=of_long_names(), producer='x', group_id='g' * 60)",
    "no such mode": "dbt_task_group(manifest=MANIFEST, producer='x', indirect_selection='lazy')",
    "no manifest": "dbt_task_group(manifest='/nowhere.json', producer='x')",
    "no node": "dbt_task_group(manifest=MANIFEST, producer='x', select='tag:no')",
    "no such method": "dbt_task_group(manifest=MANIFEST, producer='x', select='state:new')",
    "no instance": (
        "(BashOperator.partial(task_id='mapped').expand(bash_command=['a', 'b']),"
        " producer_index("
        "DbtNodeSensor(task_id='a', unique_id='a.b.c', producer_task_id='mapped'), -1))"
    ),
    "no such option": (
        "DbtNodeSensor(task_id='a', unique_id='a.b.c', producer_task_id='d', on_missing='x')"
    ),
}
SHOW = """
import json, os, sys, tempfile
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset
from airflow.sdk.exceptions import AirflowFailException
from dbt_relay.provider import DbtNodeSensor, dbt_task_group
from dbt_relay.provider.producer import producer_index

MANIFEST = os.environ["DBT_PROJECT_DIR"] + "/manifest.json"

def operator(**options):
    return BashOperator(task_id="builds", bash_command="dbt-relay run -- dbt build", **options)

def of_long_names():
    with open(MANIFEST) as file:
        manifest = json.load(file)
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model":
            node["name"] += "_of_long" * 40
            node["fqn"][-1] = node["name"]
    path = os.path.join(tempfile.mkdtemp(), "manifest.json")
    with open(path, "w") as file:
        json.dump(manifest, file)
    return path

def shown(task):
    sensor = isinstance(task, DbtNodeSensor)
    return {
        "waits for": producer_index(task, 1) if sensor else None,
        "upstream": sorted(task.upstream_task_ids),
        "group": task.task_group.group_id,
        "rule": task.trigger_rule.value,
        "retries": task.retries,
        "outlets": [asset.name for asset in task.outlets],
        "producer": getattr(task, "producer_task_id", None),
        "deferrable": getattr(task, "deferrable", None),
        "poke_interval": getattr(task, "poke_interval", None),
    }

found = {}
for name, call in json.loads(sys.argv[1]).items():
    with DAG("shown", schedule=None) as dag:
        try:
            eval(call)
            found[name] = {task.task_id: shown(task) for task in dag.tasks}
        except (ValueError, AirflowFailException) as error:
            found[name] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def shown(airflow: Airflow) -> dict[str, Any]:
    """The tasks that each of the CALLS makes, by task id; or its error."""
    return printed(["-c", SHOW, json.dumps(CALLS)], airflow.server.environ)


def test_a_group_of_an_operator(shown: dict[str, Any]) -> None:
    tasks = shown["operator"]
    first, orders, test = tasks["shop.raw_orders"], tasks["shop.orders"], tasks["shop.orders.test"]
    assert tasks["builds"]["group"] == "shop"
    assert (first["upstream"], first["rule"]) == (["builds"], "always")
    assert orders["upstream"] == ["shop.stg_orders.test", "shop.stg_payments.test"]
    assert orders["rule"] == "none_failed"
    assert (tasks["shop.done"]["retries"], orders["retries"], test["retries"]) == (0, 2, 2)
    assert (orders["outlets"], test["outlets"]) == (["orders"], [])
    assert {task["producer"] for task in tasks.values()} == {"builds", None}
    assert orders["deferrable"] is True
    assert tasks["shop.done"]["upstream"] == ["builds", "shop.orders.test"]


def test_a_group_of_a_command_in_which_each_task_sees_its_own_skip(shown: dict[str, Any]) -> None:
    tasks = shown["command"]
    assert tasks["dbt.run_dbt"]["upstream"] == []
    assert not [task_id for task_id in tasks if task_id.endswith(".test")]
    assert tasks["dbt.skipped_on_purpose"]["rule"] == "all_done"
    assert tasks["dbt.skipped_on_purpose"]["deferrable"] is False
    assert not {"dbt.slow_one", "dbt.slow_two"} & tasks.keys()


def test_a_group_without_the_tests_that_dbt_does_not_run(shown: dict[str, Any]) -> None:
    assert shown["empty"].keys() == {"dbt.run_dbt", "dbt.orders", "dbt.done"}
    assert "it must be one of" in shown["no such mode"]


def test_ids_fit_airflow_with_those_of_the_group(shown: dict[str, Any]) -> None:
    tasks = shown["long"]
    assert len(tasks) > len(shown["operator"])
    assert max(map(len, tasks)) == 250
    assert all(task.startswith("g" * 60 + ".") for task in tasks)


def test_a_sensor_waits_for_the_instance_that_there_is(shown: dict[str, Any]) -> None:
    tasks = shown["producers"]
    assert (tasks["of_one"]["waits for"], tasks["of_each"]["waits for"]) == (-1, 1)


def test_a_task_that_leaves_its_worker_is_not_back_at_once(shown: dict[str, Any]) -> None:
    """A worker has up to 2 s here to notice its end, and the scheduler 5 s."""
    tasks = shown["producers"]
    assert (tasks["of_one"]["poke_interval"], tasks["of_each"]["poke_interval"]) == (2, 7)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("no manifest", "run `dbt parse`"),
        ("no node", "nothing matches 'tag:no'"),
        ("no such method", "dbt ls"),
        ("no instance", "producer_map_index"),
        ("no such option", "it must be one of fail, skip, success"),
    ],
)
def test_what_cannot_work_is_an_error_that_says_what_to_do(
    shown: dict[str, Any], call: str, words: str
) -> None:
    assert words in shown[call]
