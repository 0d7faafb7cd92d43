"""Our selection and dbt's own, over the same manifest.

DBT_RELAY_TEST_DBT_PYTHON names the Python of another dbt to compare with; it needs no dbt-relay.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dbt_relay.consumer.manifest import Manifest
from dbt_relay.consumer.methods import SelectionError
from dbt_relay.consumer.selection import select
from real_dbt.project import EXAMPLE

BAZAAR = Path(__file__).parents[1] / "consumer" / "bazaar"
PYTHON = os.environ.get("DBT_RELAY_TEST_DBT_PYTHON", sys.executable)
TIMEOUT_S = 120

SELECTED = [
    None, "", "*", "ledger", "finance", "staging", "bazaar", "jaffle.staging", "web.stg_clicks",
    "bazaar.staging.web", "stg_*", "*clicks", "bazaar.*.stg_*", "stag*.web.*", "led?er", "[sl]*",
    "legacy.report", "legacy", "skipped_on_purpose", "jaffle.skipped_on_purpose", "old", "no_such",
    "purchases", "purchases.v2", "purchases_v2", "purchases.v9", "nonsense.purchases.v1", "purch*",
    "purchases+", "board", "turnover", "is_big", "weekly_turnover", "clicks", "of_no_model",
    "unique_stg_clicks_id", "bazaar-on-run-end-0", "hooks",
    "+ledger", "ledger+", "+ledger+", "1+finance", "finance+1", "2+finance+1", "0+finance",
    "@legacy.report", "@stg_visits", "@stg_clicks", "+nothing_yet+", "@+ledger", "+", "1+", "@",
    "stg_visits+2", "3+top", "+mail", "+board", "+weekly_turnover", "source:web+", "@source:shop",
    "tag:staging", "tag:every-hour", "tag:r*", "tag:[qs]*", "tag:weekly", "tag:on-run-end",
    "tag:nightly,+top", "tag:staging,tag:pii stg_shop_clicks", "staging,web.*", "tag:no,top",
    "ledger finance", "ledger  finance", "ledger,", "a,,b",
    "models/marts", "models/staging/web/", "models/*/stg_*.sql", "models/**/stg_*.sql", "**",
    "path:models/marts/finance/ledger.sql", "path:models/marts/marts.yml", "path:seeds",
    "path:models/staging", "path:models/top.sql/", "path:models/s*/", "path:./models/marts",
    "path:models/../models", "path:tests", "path:*", "path:*/marts", "path:models/marts/mart?.yml",
    "path:snapshots", "path:models/staging/stg_orders.sql", "path:models/[ms]*/*.sql", "path:",
    "path:/models", "path:functions", "path:dbt_project.yml", "path:models/**",
    "ledger.sql", "stg_*.sql", "rates.csv", "RATES.CSV", "file:ledger", "file:stg_*", "file:marts",
    "package:this", "package:jaffle", "package:j*", "package:none",
    "config.materialized:ephemeral", "config.materialized:table", "config.materialized:TABLE",
    "config.meta.owner.team:web", "config.meta.kinds:raw", "config.meta.kinds:5",
    "config.meta.kinds:clean", "config.meta.level:3", "config.meta.live:true",
    "config.meta.live:True", "config.meta.flags:false", "config.severity:warn",
    "config.severity:WARN", "config.severity:Error", "config.tags:pii", "config.contract.enforced:false",
    "config.enabled:true", "config.group:finance_team", "config:table", "config.nothing:x",
    "config.schema:snapshots", "config.target_schema:snapshots", "config.strategy:check",
    "resource_type:model", "resource_type:seed", "resource_type:exposure", "resource_type:analysis",
    "resource_type:test", "resource_type:snapshot", "resource_type:nonsense",
    "resource_type:operation", "resource_type:metric", "resource_type:semantic_model",
    "source:*", "source:web", "source:web.clicks", "source:*.clicks", "source:bazaar.web.clicks",
    "source:a.b.c.d", "source:shop.switched_off",
    "exposure:*", "exposure:board", "+exposure:bazaar.b*", "exposure:a.b.c", "metric:*",
    "metric:turnover", "semantic_model:days", "saved_query:weekly_*",
    "test_type:data", "test_type:generic", "test_type:schema", "test_type:singular",
    "test_type:nonsense", "test_name:not_null", "test_name:rel*", "test_name:unique,tag:nightly",
    "version:latest", "version:old", "version:prerelease", "version:none", "version:nonsense",
    "group:finance_team", "group:*_team", "access:private", "access:protected", "access:p*",
    "fqn:bazaar.marts", "fqn:*", "fqn:jaffle.*", "fqn.x:ledger", "nonsense:x", "tag:a:b",
    "ledger+x", "ledger++", "++ledger", "@ledger+", "1+2+ledger", "+tag:pii+1,config.materialized:view",
]  # fmt: skip
UNIT_TESTS = [
    "test_type:unit", "test_name:clicks*", "unit_test:*", "unit_test:bazaar.clicks_are_kept",
    "unit_test:a.b.c", "resource_type:unit_test", "tag:quick", "clicks_are_kept", "+clicks_are_kept",
]  # fmt: skip
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


def test_it_selects_what_dbt_lists(tmp_path: Path) -> None:
    shutil.copytree(BAZAAR, tmp_path, dirs_exist_ok=True)
    ignored = shutil.ignore_patterns("target", "logs")
    shutil.copytree(EXAMPLE, tmp_path / "dbt_packages" / "jaffle", ignore=ignored)
    shutil.copy(EXAMPLE / "profiles.yml", tmp_path)
    pairs = [*((one, None) for one in [*SELECTED, *UNIT_TESTS]), *PAIRS]
    script = Path(__file__).with_name("list_selections.py")
    env = {k: v for k, v in os.environ.items() if not k.startswith("DBT_")}
    done = subprocess.run(
        [PYTHON, str(script)],
        cwd=tmp_path,
        env=env,
        input=json.dumps(pairs),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    manifest = Manifest.read(tmp_path / "target" / "manifest.json")
    wrong: list[str] = []
    for (wanted, excluded), expected in zip(pairs, answer["lists"], strict=True):
        if answer["version"].startswith("1.7.") and wanted in UNIT_TESTS:
            continue
        try:
            got = sorted(select(manifest, wanted, excluded).unique_ids)
        except SelectionError:
            got = None
        if answer["version"].startswith("1.7."):
            got, expected = (_without_tests(ids) for ids in (got, expected))  # noqa: PLW2901
        if got != expected:
            ours, dbts = set(got or ()), set(expected or ())
            refusals = f"(ours refused: {got is None}, dbt refused: {expected is None})"
            wrong.append(
                f"{wanted!r} without {excluded!r} {refusals}: "
                f"only we {sorted(ours - dbts)}, only dbt {sorted(dbts - ours)}"
            )
    assert not wrong, "\n".join([f"dbt {answer['version']}:", *wrong])


def _without_tests(ids: list[str] | None) -> list[str] | None:
    return ids and [u for u in ids if not u.startswith("test.")]
