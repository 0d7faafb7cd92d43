"""Our selection and dbt's own, over the same manifest.

DBT_RELAY_TEST_DBT_PYTHON names the Python of another dbt to compare with; it needs no dbt-relay.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support.manifests import BAZAAR, FIXTURE, reduced

from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.consumer.graph.methods import SelectionError
from dbt_relay.consumer.graph.selection import select
from real_dbt.project import EXAMPLE

if TYPE_CHECKING:
    import pytest

    from dbt_relay.consumer.graph.manifest import IndirectSelection

    Question = tuple[str | None, str | None, IndirectSelection | None]

OTHER = os.environ.get("DBT_RELAY_TEST_DBT_PYTHON")
TIMEOUT_S = 300

SELECTED = [
    None, "", "ledger", "finance", "web.stg_clicks", "bazaar.staging.web", "stg_*", "*clicks",
    "bazaar.*.stg_*", "led?er", "legacy.report", "legacy", "skipped_on_purpose", "old", "no_such",
    "purchases", "purchases.v2", "purchases_v2", "nonsense.purchases.v1", "purch*", "is_big",
    "+ledger", "2+finance+1", "0+finance", "@legacy.report", "+nothing_yet+", "+board", "+",
    "tag:r*", "tag:on-run-end", "tag:nightly,+top", "tag:staging,tag:pii stg_shop_clicks", "a,,b",
    "models/staging/web/", "models/**/stg_*.sql", "**", "path:models/marts/marts.yml",
    "path:models/s*/", "path:models/top.sql/", "path:models/staging/stg_orders.sql", "path:",
    "stg_*.sql", "RATES.CSV", "file:ledger", "package:this", "package:j*",
    "config.materialized:ephemeral", "config.meta.owner.team:web", "config.meta.kinds:5",
    "config.meta.level:3", "config.meta.live:true", "config.meta.flags:false",
    "config.severity:Error", "config.group:finance_team", "config:table",
    "resource_type:exposure", "resource_type:operation", "resource_type:nonsense",
    "source:web", "source:*.clicks", "source:bazaar.web.clicks", "source:a.b.c.d",
    "+exposure:bazaar.b*", "metric:*", "test_type:data", "test_type:singular", "test_name:rel*",
    "version:latest", "version:old", "version:prerelease", "version:none", "group:*_team",
    "access:private", "access:p*", "nonsense:x", "ledger++", "@ledger+", "unit_test:*",
    "test_type:unit",
]  # fmt: skip
MORE = [
    "*", "staging", "bazaar", "jaffle.staging", "stag*.web.*", "[sl]*", "purchases.v9",
    "jaffle.skipped_on_purpose", "purchases+", "board", "turnover", "weekly_turnover", "clicks",
    "of_no_model", "unique_stg_clicks_id", "bazaar-on-run-end-0", "hooks", "ledger+", "+ledger+",
    "1+finance", "finance+1", "@stg_visits", "@stg_clicks", "@+ledger", "1+", "@", "stg_visits+2",
    "3+top", "+mail", "+weekly_turnover", "source:web+", "@source:shop", "tag:staging", "ledger,",
    "tag:every-hour", "tag:[qs]*", "tag:weekly", "tag:quick", "staging,web.*", "tag:no,top",
    "ledger finance", "ledger  finance", "models/marts", "models/*/stg_*.sql", "path:seeds",
    "path:models/marts/finance/ledger.sql", "path:models/staging", "path:./models/marts",
    "path:models/../models", "path:tests", "path:*", "path:*/marts", "path:models/marts/mart?.yml",
    "path:snapshots", "to[.p]", "path:models/**/web", "@path:*.yml", "+clicks_are_kept+",
    "path:models/[ms]*/*.sql", "path:/models", "path:functions",
    "path:dbt_project.yml", "path:models/**", "ledger.sql", "rates.csv", "file:stg_*",
    "file:marts", "package:jaffle", "package:none", "config.materialized:table",
    "config.materialized:TABLE", "config.meta.kinds:raw", "config.meta.kinds:clean",
    "config.meta.live:True", "config.severity:warn", "config.severity:WARN", "config.tags:pii",
    "config.contract.enforced:false", "config.enabled:true", "config.nothing:x",
    "config.schema:snapshots", "config.target_schema:snapshots", "config.strategy:check",
    "resource_type:model", "resource_type:seed", "resource_type:analysis", "resource_type:test",
    "resource_type:snapshot", "resource_type:metric", "resource_type:semantic_model", "source:*",
    "source:web.clicks", "source:shop.switched_off", "exposure:*", "exposure:board",
    "exposure:a.b.c", "metric:turnover", "semantic_model:days", "saved_query:weekly_*",
    "test_type:generic", "test_type:schema", "test_type:nonsense", "test_name:not_null",
    "test_name:unique,tag:nightly", "version:nonsense", "group:finance_team", "access:protected",
    "fqn:bazaar.marts", "fqn:*", "fqn:jaffle.*", "fqn.x:ledger", "tag:a:b", "ledger+x",
    "++ledger", "1+2+ledger", "+tag:pii+1,config.materialized:view", "test_name:clicks*",
    "unit_test:bazaar.clicks_are_kept", "unit_test:a.b.c", "resource_type:unit_test",
    "clicks_are_kept", "+clicks_are_kept",
]  # fmt: skip
"""Compared as well where another dbt is named."""

PAIRS = [
    (None, "tag:staging"),
    (None, ""),
    ("*", "no_such"),
    ("+top", "stg_clicks+"),
    ("+top", "config.materialized:ephemeral resource_type:source"),
    ("tag:nightly package:jaffle", "path:models/marts/finance test_type:data"),
    ("@stg_visits", "tag:nightly,group:*_team"),
    ("", "ledger"),
]


SELECTORS = [
    "text", "one_text", "key", "union", "intersection", "nothing_included", "relatives", "excludes",
    "excludes_a_selector", "inherits", "inherits_all", "inherits_a_union", "an_exclude_in_a_union",
    "cautious", "buildable", "empty", "eager", "modes", "levels", "kinds", "flags", "severity",
]  # fmt: skip
WITH_SELECTORS = [
    ("selector:key ledger+", None), ("selector:excludes+", None), ("selector:no", None),
    ("1+selector:cautious", "finance"), ("selector:union,resource_type:model", None),
    ("selector:[ek]*", None), ("*", "selector:text"), (None, "selector:key"), (None, "ledger"),
    ("selector:inherits,tag:nightly top", "selector:eager selector:empty"), ("selector:key", "top"),
]  # fmt: skip
"""Only dbt 1.12 and later combine selectors with other terms."""

MODES: tuple[IndirectSelection, ...] = ("eager", "cautious", "buildable", "empty")
TERMS = [
    "ledger", "+ledger", "ledger+", "1+top", "stg_clicks", "stg_clicks+", "@stg_visits", "web",
    "tag:staging", "tag:nightly", "path:models/marts", "config.materialized:table", "package:this",
    "package:jaffle", "resource_type:source", "source:web+", "staging,tag:pii", "tag:staging,web",
    "+top,+finance", "test_type:generic", "test_name:not_null", "resource_type:seed", "purchases",
    "orders", "stg_orders+1", "resource_type:model", "resource_type:snapshot", "jaffle.staging",
    "test_type:unit", "clicks_are_kept", "finance", "no_such",
]  # fmt: skip


def mixed(number: int) -> list[tuple[str | None, str | None, IndirectSelection]]:
    """Terms at random, of which the tests of several nodes fall in and out."""
    chance = random.Random(20261122)

    def some(least: int, most: int) -> str | None:
        return " ".join(chance.sample(TERMS, chance.randint(least, most))) or None

    return [(some(0, 4), some(0, 2), chance.choice(MODES)) for _ in range(number)]


def test_it_selects_what_dbt_lists(tmp_path: Path) -> None:
    make_bazaar(tmp_path)
    pairs = [*((term, None) for term in SELECTED), *PAIRS]
    if OTHER:
        pairs += [(term, None) for term in MORE]
    questions = [*((*pair, None) for pair in pairs), *mixed(1500 if OTHER else 150)]
    questions += [(f"selector:{name}", None, mode) for name in SELECTORS for mode in (None, *MODES)]
    questions += [(*pair, mode) for pair in WITH_SELECTORS for mode in (None, *MODES)]
    manifest = compared(tmp_path, questions)
    if manifest.dbt_version == Manifest.read(FIXTURE).dbt_version:
        fresh = (tmp_path / "target" / "manifest.json").read_bytes()
        assert reduced(json.loads(fresh)) == json.loads(FIXTURE.read_bytes())


def test_it_selects_what_dbt_lists_with_a_default_selector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bazaar(tmp_path)
    monkeypatch.setenv("BAZAAR_DEFAULT", "union")
    manifest = compared(tmp_path, [(None, None, "eager"), (None, "top", None), ("top", None, None)])
    assert manifest.default_selector == "union"


def make_bazaar(folder: Path) -> None:
    shutil.copytree(BAZAAR, folder, dirs_exist_ok=True)
    ignored = shutil.ignore_patterns("target", "logs")
    shutil.copytree(EXAMPLE, folder / "dbt_packages" / "jaffle", ignore=ignored)
    shutil.copy(EXAMPLE / "profiles.yml", folder)


def compared(project: Path, questions: list[Question]) -> Manifest:
    """The manifest that dbt writes, in which every question has dbt's answer."""
    version, lists = ask_dbt(project, questions)
    manifest = Manifest.read(project / "target" / "manifest.json")
    wrong: list[str] = []
    for (wanted, excluded, mode), expected in zip(questions, lists, strict=True):
        if version < (1, 8) and "unit" in f"{wanted} {excluded}":
            continue  # it knows none, and refuses
        try:
            chosen = select(manifest, wanted, excluded, indirect_selection=mode)
            found = sorted(chosen.unique_ids)
        except SelectionError:
            found = None
        ours, dbts = (comparable(version, mode, ids) for ids in (found, expected))
        if ours != dbts:
            refusal = " ours refuses" if ours is None else " dbt refuses" if dbts is None else ""
            ours, dbts = set(ours or ()), set(dbts or ())
            wrong.append(
                f"{wanted!r} without {excluded!r}, {mode}:{refusal} "
                f"only ours {sorted(ours - dbts)}, only dbt's {sorted(dbts - ours)}"
            )
    assert not wrong, "\n".join([f"dbt {version}:", *wrong])
    return manifest


def ask_dbt(
    project: Path, questions: list[Question]
) -> tuple[tuple[int, ...], list[list[str] | None]]:
    """Its version, and what it lists for each question; None where it refuses."""
    done = subprocess.run(
        [OTHER or sys.executable, str(Path(__file__).with_name("list_selections.py"))],
        cwd=project,
        env={k: v for k, v in os.environ.items() if not k.startswith("DBT_")},
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return tuple(map(int, answer["version"].split("."))), answer["lists"]


def comparable(
    version: tuple[int, ...], mode: IndirectSelection | None, ids: list[str] | None
) -> list[str] | None:
    """What both can know. Up to dbt 1.8 all tests come along where no mode is asked for, and only
    few methods look at saved queries."""
    left_out: tuple[str, ...] = ("operation.",)
    if version < (1, 9):
        left_out += ("saved_query.",) if mode else ("test.", "unit_test.", "saved_query.")
    return ids if ids is None else [u for u in ids if not u.startswith(left_out)]
