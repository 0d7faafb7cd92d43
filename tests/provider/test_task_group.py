"""Where the tasks of a group begin, and which arguments go together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.manifests import FIXTURE
from support.nodes import document, node

from provider import groups

if TYPE_CHECKING:
    from pathlib import Path

GROUP = f"dbt_task_group(manifest={str(FIXTURE)!r}"
CALLS = {
    "command": f"{GROUP}, command='dbt build')",
    "callback": f"{GROUP}, command='dbt build', on_execute_callback=print)",
    "in workers": f"{GROUP}, command='dbt build', deferrable=False)",
    "all": f"{GROUP}, command='dbt build', start_from_trigger=True)",
    "told": f"{GROUP}, command='dbt build', start_from_trigger=False)",
    "shell": f"{GROUP}, command='. ./env && dbt build')",
    "quoted": f"{GROUP}, command='dbt build --vars \"{{a: 1}}\"')",
    "form": f"{GROUP}, command='dbt build', select='+top', params=True)",
    "certified": f"{GROUP}, command='dbt build', assets=True)",
    "large": "dbt_task_group(manifest=LARGE, command='dbt build')",
    "neither": f"{GROUP})",
    "both": f"{GROUP}, command='dbt build', producer='dbt-relay run -- dbt build')",
    "cwd of a producer": f"{GROUP}, producer='dbt-relay run -- dbt build', cwd='/x')",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("groups")
    large = folder / "manifest.json"
    large.write_text(json.dumps(document(*(node(f"model.p.m{n}") for n in range(201)))))
    calls = {name: call.replace("LARGE", repr(str(large))) for name, call in CALLS.items()}
    return {"home": folder, **groups(calls, folder)}


def in_the_triggerer(tasks: dict[str, Any]) -> set[str]:
    return {task_id for task_id, task in tasks.items() if task["start_from_trigger"]}


def test_the_first_tasks_begin_in_the_triggerer(found: dict[str, Any]) -> None:
    tasks = found["command"]
    first = {task_id for task_id, task in tasks.items() if task["upstream"] == ["dbt.run_dbt"]}
    assert in_the_triggerer(tasks) == first - {"dbt.done"}


def test_all_begin_there_if_workers_are_pods_or_a_person_says_so(found: dict[str, Any]) -> None:
    assert in_the_triggerer(found["all"]) == found["all"].keys() - {"dbt.run_dbt"}
    pods = groups({"pods": CALLS["command"]}, found["home"], "KubernetesExecutor")["pods"]
    assert in_the_triggerer(pods) == pods.keys() - {"dbt.run_dbt"}


@pytest.mark.parametrize("call", ["in workers", "told", "large"])
def test_they_begin_in_a_worker_if_they_must(found: dict[str, Any], call: str) -> None:
    assert in_the_triggerer(found[call]) == set()


def test_a_callback_at_the_start_needs_a_worker(found: dict[str, Any]) -> None:
    tasks = found["callback"]
    assert tasks["dbt.top"]["start_from_trigger"] is False


def test_a_node_can_run_again_if_the_command_is_one_call_of_dbt(found: dict[str, Any]) -> None:
    again = {call: found[call]["dbt.top"]["run_again"] for call in ("command", "quoted", "shell")}
    assert again == {"command": True, "quoted": True, "shell": False}


def test_the_form_decides_what_dbt_gets(found: dict[str, Any]) -> None:
    run_dbt = found["form"]["dbt.run_dbt"]
    assert run_dbt["select"] == "{{ params.select or '' }}"
    assert found["form"]["dbt.top"]["on_missing"] == "skip"
    assert found["command"]["dbt.top"]["on_missing"] == "fail"


def test_the_last_task_of_a_node_certifies_it(found: dict[str, Any]) -> None:
    outlets = {name: task["outlets"] for name, task in found["certified"].items()}
    tested = {name for name in outlets if f"{name}.test" in outlets}
    assert tested
    assert [name for name in tested if outlets[name]] == []
    assert [name for name in tested if len(outlets[f"{name}.test"]) != 1] == []
    assert outlets["dbt.run_dbt"] == outlets["dbt.done"] == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("neither", "either command or producer"),
        ("both", "either command or producer"),
        ("cwd of a producer", "cwd: give that to the producer itself"),
    ],
)
def test_arguments_that_do_not_go_together(found: dict[str, Any], call: str, words: str) -> None:
    assert words in found[call]
