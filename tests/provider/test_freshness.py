"""The tasks of a group that checks the freshness of its sources, as Airflow has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.nodes import document, node

from provider import groups

if TYPE_CHECKING:
    from pathlib import Path

RULES = {"error_after": {"count": 1, "period": "day"}, "warn_after": {"count": None}}
GROUP = "dbt_task_group(manifest=PATH, command='dbt build -t prod', source_freshness=True"
CALLS = {
    "group": (
        f"{GROUP}, cwd='/dbt', outlets=lambda node: [Asset(node.name)], producer_options="
        "{'retries': 2, 'full_refresh': True, 'vars': {'a': 1}, 'outlets': [Asset('all')],"
        " 'relay_options': {'flush_timeout': 9}})"
    ),
    "skip": f"{GROUP}, on_upstream_failed='skip')",
    "form": f"{GROUP}, params=True)",
    "no rules": f"{GROUP}, select='of_plain')",
    "off": "dbt_task_group(manifest=PATH, command='dbt build')",
    "producer": "dbt_task_group(manifest=PATH, producer='dbt build', source_freshness=True)",
    "shell": "dbt_task_group(manifest=PATH, command='dbt build | cat', source_freshness=True)",
    "selector": f"{GROUP}, select='selector:one')",
    "in the command": (
        "dbt_task_group(manifest=PATH, command='dbt build --selector one', source_freshness=True)"
    ),
    "default selector": f"{GROUP})".replace("PATH", "PATH + '.default'"),
    "no default selector": f"{GROUP}, select='+of_stale')".replace("PATH", "PATH + '.default'"),
    "no way to run": f"{GROUP}, run_again=False)",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("groups")
    sources = [
        node(f"source.p.raw.{name}", name=name, source_name="raw", fqn=["p", "raw", name],
             freshness=rules)
        for name, rules in (("stale", RULES), ("plain", None))
    ]  # fmt: skip
    nodes = (
        *sources,
        node("model.p.of_stale", "source.p.raw.stale"),
        node("model.p.of_plain", "source.p.raw.plain"),
        node("model.p.after", "model.p.of_stale"),
    )
    one = {"name": "one", "definition": {"method": "fqn", "value": "of_stale"}}
    path = folder / "manifest.json"
    path.write_text(json.dumps(document(*nodes, selectors={"one": one})))
    by_default = document(*nodes, selectors={"one": {**one, "default": True}})
    (folder / "manifest.json.default").write_text(json.dumps(by_default))
    return groups({name: c.replace("PATH", repr(str(path))) for name, c in CALLS.items()}, folder)


def test_a_check_runs_before_dbt_and_each_source_before_its_readers(found: dict[str, Any]) -> None:
    upstream = {task_id: task["upstream"] for task_id, task in found["group"].items()}
    assert upstream == {
        "dbt.source_freshness": [],
        "dbt.run_dbt": ["dbt.source_freshness"],
        "dbt.raw_stale": ["dbt.run_dbt"],
        "dbt.of_stale": ["dbt.raw_stale"],
        "dbt.after": ["dbt.of_stale"],
        "dbt.of_plain": ["dbt.run_dbt"],
        "dbt.done": ["dbt.after", "dbt.of_plain", "dbt.run_dbt"],
    }
    source = found["group"]["dbt.raw_stale"]
    assert source["producer_task_id"] == "dbt.source_freshness"
    assert (source["unique_id"], source["task_type"]) == ("source.p.raw.stale", "DbtSourceSensor")
    assert (source["on_missing"], source["outlets"], source["retries"]) == ("fail", [], 2)


def test_the_check_has_the_options_that_concern_it(found: dict[str, Any]) -> None:
    check, dbt = (found["group"][f"dbt.{name}"] for name in ("source_freshness", "run_dbt"))
    shared = ("command", "cwd", "vars", "retries")
    assert [check[name] for name in shared] == [dbt[name] for name in shared]
    assert check["relay_options"] == {"flush_timeout": 9, "only": "source:p.raw.stale"}
    assert dbt["relay_options"] == {"flush_timeout": 9}
    assert (check["full_refresh"], check["outlets"], dbt["outlets"]) == (False, [], ["all"])


def test_a_task_runs_what_dbt_has_left_out_only_after_what_succeeded(found: dict[str, Any]) -> None:
    """A source that was stale may be fresh when somebody clears its task."""
    for call, on_missing, rule in (
        ("group", "run", "all_success"),
        ("skip", "skip", "all_done"),
        ("form", "skip", "none_failed"),
        ("off", "fail", "none_failed"),
    ):
        task = found[call]["dbt.after"]
        assert (task["on_missing"], task["rule"]) == (on_missing, rule)
        assert found[call]["dbt.of_plain"]["rule"] == "always"


def test_no_check_without_a_source_with_rules(found: dict[str, Any]) -> None:
    assert found["no rules"].keys() == {"dbt.run_dbt", "dbt.of_plain", "dbt.done"}
    assert not {"dbt.source_freshness", "dbt.raw_stale"} & found["off"].keys()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("producer", "give one call of dbt as command"),
        ("shell", "give one call of dbt as command"),
        ("selector", "a selector chooses the nodes"),
        ("in the command", "a selector chooses the nodes"),
        ("default selector", "the default selector 'one' chooses the nodes"),
        ("no way to run", "on_missing='run' needs run_again"),
    ],
)
def test_where_dbt_cannot_leave_nodes_out_is_an_error(
    found: dict[str, Any], call: str, words: str
) -> None:
    assert words in found[call]
    assert "dbt.source_freshness" in found["no default selector"]
