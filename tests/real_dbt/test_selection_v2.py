"""Our selection and the list of dbt v2, over the manifest that dbt v2 writes."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.environment import clean_environment
from support.manifests import FIXTURE, FIXTURE_V2, reduced

from dbt_relay.consumer.graph.manifest import IndirectSelection, Manifest
from dbt_relay.consumer.graph.methods import SelectionError
from dbt_relay.consumer.graph.plan import NodeTask, plan
from dbt_relay.consumer.graph.selection import select
from real_dbt.bazaar_v2 import make_acceptable
from real_dbt.project import Project
from real_dbt.test_selection import MODES, TERMS, make_bazaar
from real_dbt.test_v2 import DBT

Question = tuple[str | None, str | None, IndirectSelection | None]

SELECTED = [
    None, "", "led?er", "web.stg_clicks", "*clicks", "[sl]*", "legacy", "purchases.v2",
    "nonsense.purchases.v1", "model.bazaar.ledger", "2+finance+1", "0+finance", "@legacy.report",
    "@stg_visits", "@+ledger", "+board", "+", "1+", "@", "ledger+x", "ledger,", "a,,b", ",",
    "tag:r*", "tag:nightly,+top", "models/staging/web/", "models/**/stg_*.sql", "**",
    "path:models/marts/marts.yml", "path:models/s*/", "path:models/top.sql/", "path:",
    "path:models/../models/./marts", "path:/models", "path:models/**.sql", "path:*",
    "path:dbt_packages/jaffle/models/marts", "models/[ms]*/*.sql", "stg_*.sql", "file:marts",
    "file:not_null_ledger*", "package:this", "config.materialized:ephemeral",
    "config.meta.owner.team:web", "config.meta.level:3", "config.meta.flags:false",
    "config.severity:warn", "config.severity:WARN", "config.group:finance_team", "config:table",
    "config:materialized:table", "config.enabled:true", "resource_type:exposure",
    "resource_type:nonsense", "source:*.clicks", "source:a.b.c.d", "+exposure:bazaar.b*",
    "metric:*", "semantic_model:days", "saved_query:weekly_*", "function:is_*", "test_type:data",
    "test_type:schema", "test_type:singular", "test_name:rel*", "test_name:finance*",
    "unit_test:bazaar.clicks_are_kept", "version:latest", "version:old", "version:none",
    "version:x", "group:finance_team", "group:*_team", "access:private", "access:protected",
    "nonsense:x", "selector:key ledger", "config.contract.enforced:false",
    "config.contract.alias_types:true", "config.docs.show:true", "config.access:protected",
    "config.on_configuration_change:apply",
]  # fmt: skip
SELECTORS = [
    "one_text", "union", "relatives", "inherits", "inherits_a_union", "an_exclude_in_a_union",
    "cautious", "buildable", "empty", "modes", "levels", "kinds", "flags", "severity",
]  # fmt: skip
_LEDGER = {"method": "fqn", "value": "ledger"}
_NIGHTLY = {"method": "tag", "value": "nightly"}
_THIS = {"method": "package", "value": "this"}
_EMPTY = {"indirect_selection": "empty"}
_CAUTIOUS = {"indirect_selection": "cautious"}
WITH_EXCLUDES: dict[str, object] = {
    "plain": {**_NIGHTLY, "exclude": ["ledger"]},
    "of_empty": {**_NIGHTLY, "exclude": [{**_LEDGER, **_EMPTY}]},
    "of_eager": {**_NIGHTLY, "exclude": [{**_LEDGER, "indirect_selection": "eager"}]},
    "beside_a_mode": {**_NIGHTLY, **_CAUTIOUS, "exclude": ["ledger"]},
    "in_an_exclude": {
        **_THIS,
        "exclude": [{**_NIGHTLY, **_CAUTIOUS, "exclude": [{**_LEDGER, **_EMPTY}]}],
    },
    "in_a_union": {"union": ["stg_clicks+", {"exclude": [{**_LEDGER, **_CAUTIOUS}]}]},
    "of_a_union": {**_THIS, "exclude": [{"union": [{**_LEDGER, **_CAUTIOUS}, "stg_visits"]}]},
    "of_an_intersection": {
        **_THIS,
        "exclude": [{"intersection": [_NIGHTLY, {**_LEDGER, **_CAUTIOUS, "children": True}]}],
    },
    "of_a_selector": {**_THIS, "exclude": [{"method": "selector", "value": "of_empty"}]},
}
"""Selectors by name, whose modes the option `--indirect-selection` changes in part."""


def mixed(number: int) -> list[Question]:
    """Terms at random, of which the tests of several nodes fall in and out."""
    chance = random.Random(20261126)

    def some(least: int, most: int) -> str | None:
        return " ".join(chance.sample(TERMS, chance.randint(least, most))) or None

    return [(some(0, 3), some(0, 2), chance.choice(MODES)) for _ in range(number)]


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("bazaar")
    make_bazaar(project)
    make_acceptable(project)
    done = dbt(project, "parse")
    assert done.returncode == 0, done.stdout
    return project


def dbt(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command, env = [DBT, *words], clean_environment()
    return subprocess.run(
        command, cwd=project, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def listed(project: Path, questions: list[Question]) -> list[list[str] | None]:
    """What v2 lists for each question; None where it refuses."""
    # Two v2 with one target path read each other's half written files, and refuse by chance.
    targets: SimpleQueue[str] = SimpleQueue()
    for target in ("target/one", "target/other"):
        targets.put(target)

    def answer(question: Question) -> list[str] | None:
        wanted, excluded, mode = question
        target = targets.get()
        options = ["--quiet", "--no-write-json", "--target-path", target]
        options += ["--output", "json", "--output-keys", "unique_id"]
        if wanted is not None:
            is_selector = re.fullmatch(r"selector:\w+", wanted)
            options.append(f"--selector={wanted[9:]}" if is_selector else f"--select={wanted}")
        options += [] if excluded is None else [f"--exclude={excluded}"]
        done = dbt(project, "ls", *options, *(["--indirect-selection", mode] if mode else []))
        targets.put(target)
        if done.returncode:
            return None
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return sorted(json.loads(line)["unique_id"] for line in lines)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(answer, questions))


def compare(project: Path, questions: list[Question]) -> None:
    manifest = Manifest.read(project / "target" / "manifest.json")
    wrong: list[str] = []
    for question, expected in zip(questions, listed(project, questions), strict=True):
        wanted, excluded, mode = question
        try:
            chosen = select(
                manifest,
                wanted,
                excluded,
                indirect_selection=mode,
                flag=manifest.indirect_selection,
            )
            found = sorted(chosen.unique_ids)
        except SelectionError:
            found = None
        if found != expected:
            ours, v2s = set(found or ()), set(expected or ())
            refusal = (
                " ours refuses" if found is None else " v2 refuses" if expected is None else ""
            )
            wrong.append(f"{question}:{refusal} only ours {ours - v2s}, only v2's {v2s - ours}")
    assert not wrong, "\n".join(wrong)


def test_it_selects_what_v2_lists(bazaar: Path) -> None:
    questions: list[Question] = [(term, None, "empty") for term in SELECTED]
    questions += mixed(30)
    questions += [(f"selector:{name}", None, None) for name in SELECTORS]
    questions += [("selector:modes", None, "eager"), ("finance", None, None)]
    compare(bazaar, questions)
    fresh = json.loads((bazaar / "target" / "manifest.json").read_bytes())
    assert reduced(fresh) == json.loads(FIXTURE_V2.read_bytes())


def test_v2_ignores_the_flag_of_the_project(bazaar: Path, tmp_path: Path) -> None:
    project = shutil.copytree(bazaar, tmp_path / "bazaar")
    file = project / "dbt_project.yml"
    file.write_text(file.read_text().replace("flags:", "flags:\n  indirect_selection: cautious"))
    compare(project, [("finance", None, None), ("finance", None, "cautious")])


def test_a_default_selector_is_read_from_the_project(bazaar: Path, tmp_path: Path) -> None:
    project = shutil.copytree(bazaar, tmp_path / "bazaar")
    file = project / "selectors.yml"
    file.write_text(re.sub("default: .*", "default: true", file.read_text()))
    compare(project, [(None, None, None), (None, "top", None), ("top", None, None)])


def test_the_modes_of_an_exclude(bazaar: Path, tmp_path: Path) -> None:
    project = shutil.copytree(bazaar, tmp_path / "bazaar")
    entries = [{"name": name, "definition": found} for name, found in WITH_EXCLUDES.items()]
    (project / "selectors.yml").write_text(json.dumps({"selectors": entries}))
    assert dbt(project, "parse").returncode == 0
    modes = (None, *MODES)
    compare(project, [(f"selector:{name}", None, mode) for name in WITH_EXCLUDES for mode in modes])


def test_an_exclude_beside_a_selector(bazaar: Path) -> None:
    selectors = [f"selector:{name}" for name in ("key", "cautious", "empty", "modes")]
    excluded = ("finance", "stg_clicks", "tag:staging")
    chance = random.Random(20261127)
    compare(bazaar, [(s, e, chance.choice(MODES)) for s in selectors for e in excluded])


def test_configs_that_a_project_sets_to_the_default(bazaar: Path, tmp_path: Path) -> None:
    project = shutil.copytree(bazaar, tmp_path / "bazaar")
    settings = {"access": "protected", "contract": {"enforced": False}, "docs": {"show": True}}
    settings["on_configuration_change"] = "apply"
    for key, value in settings.items():
        (project / f"models/{key}.sql").write_text(f"{{{{ config({key}={value!r}) }}}} select 1")
    assert dbt(project, "parse").returncode == 0
    terms = ("access:protected", "contract.enforced:false", "docs.show:true")
    terms = (*terms, "contract.alias_types:true", "on_configuration_change:apply")
    compare(project, [(f"config.{term}", None, "empty") for term in terms])


@pytest.mark.parametrize("folder", ["./vendor/", "../elsewhere"])
def test_packages_in_another_folder(bazaar: Path, tmp_path: Path, folder: str) -> None:
    project = shutil.copytree(bazaar, tmp_path / "bazaar")
    packages = (project / folder).resolve()
    shutil.move(project / "dbt_packages", packages)
    (project / "packages.yml").write_text(f"packages: [{{local: {packages}/jaffle}}]\n")
    with (project / "dbt_project.yml").open("a") as file:
        # v2 refuses a path that begins with `..`.
        file.write(f"\npackages-install-path: {folder if folder[1] == '/' else packages}\n")
    assert dbt(project, "compile").returncode == 0
    paths = (f"{folder}/jaffle/seeds", f"{folder}/jaffle/models/*", "dbt_packages", folder)
    compare(project, [(f"path:{path}", None, "empty") for path in paths])
    assert_compiled(project)


def facts(tasks: list[NodeTask]) -> dict[str, tuple[object, ...]]:
    """What a task is, without the order of its tests and upstream tasks."""
    return {
        t.task_id: (t.groups, {*t.upstream}, {*t.unique_ids}, t.node.relation_name, t.node.owner)
        for t in tasks
    }


def test_a_plan_by_v2_equals_the_plan_by_1_11(tmp_path: Path) -> None:
    project = Project.copy(tmp_path)
    plans: list[list[dict[str, tuple[object, ...]]]] = []
    for command in ("dbt", DBT):
        assert project.run(command, "parse").returncode == 0
        manifest = Manifest.read(project.root / "target" / "manifest.json")
        plans.append(
            [
                facts(plan(manifest)),
                facts(plan(manifest, tests="node")),
                facts(plan(manifest, tests="group", group_by="folder")),
            ]
        )
    one, two = plans
    assert one == two


def test_the_plan_of_bazaar_differs_in_one_id(bazaar: Path) -> None:
    """v2 has `.v2` for `_v2` in the id of a unit test."""
    one = facts(plan(Manifest.read(FIXTURE)))
    two = facts(plan(Manifest.read(bazaar / "target" / "manifest.json")))
    assert {i for i in one.keys() | two.keys() if one.get(i) != two.get(i)} == {"purchases_v2"}


def test_the_terms_of_a_task_select_its_nodes(bazaar: Path) -> None:
    tasks = plan(Manifest.read(bazaar / "target" / "manifest.json"))
    lists = listed(bazaar, [(task.selector, None, "empty") for task in tasks])
    assert lists == [sorted(task.unique_ids) for task in tasks]


def test_dbt_compiles_into_the_files_of_the_nodes(bazaar: Path) -> None:
    assert dbt(bazaar, "compile").returncode == 0
    assert_compiled(bazaar)


def assert_compiled(project: Path) -> None:
    manifest = Manifest.read(project / "target" / "manifest.json")
    run = [*select(manifest, "resource_type:model resource_type:test").unique_ids]
    paths = {u: manifest.nodes[u].compiled_path for u in run}
    compiled = project / "target" / "compiled"
    assert not [u for u, path in paths.items() if path and not (compiled / path).is_file()]
    assert None not in paths.values()
