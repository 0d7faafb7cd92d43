"""Groups in a group, and names from functions, as Airflow has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.manifests import FIXTURE

from provider import groups

if TYPE_CHECKING:
    from pathlib import Path

GROUP = f"dbt_task_group(manifest={str(FIXTURE)!r}, command='dbt build'"
CALLS = {
    "folders": f"{GROUP}, group_by='folder', tests='group', group_id='shop')",
    "names": (
        f"{GROUP}, select='+top', task_id=lambda node: node.unique_id.replace('.', '-'),"
        " display_name=lambda node: node.name.upper())"
    ),
    "same name": f"{GROUP}, task_id=lambda node: 'same')",
    "no text": f"{GROUP}, display_name=lambda node: 7)",
    "group_by": f"{GROUP}, group_by='tag')",
    "tests": f"{GROUP}, tests='all')",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("forms")
    return groups(CALLS, folder)


def test_folders_and_nodes_with_tests_are_groups(found: dict[str, Any]) -> None:
    tasks = found["folders"]
    in_group = {task_id: task["group"] for task_id, task in tasks.items()}
    assert in_group["shop.run_dbt"] == in_group["shop.done"] == in_group["shop.top"] == "shop"
    assert in_group["shop.staging.web.stg_clicks.run"] == "shop.staging.web.stg_clicks"
    assert in_group["shop.jaffle.marts.orders.test"] == "shop.jaffle.marts.orders"
    orders = tasks["shop.jaffle.marts.orders.run"]
    assert orders["upstream"] == [
        "shop.jaffle.staging.stg_orders.test",
        "shop.jaffle.staging.stg_payments.test",
    ]
    assert orders["producer_task_id"] == "shop.run_dbt"
    assert tasks["shop.jaffle.raw_orders"]["upstream"] == ["shop.run_dbt"]


def test_names_come_from_functions(found: dict[str, Any]) -> None:
    shown = {task_id: task["task_display_name"] for task_id, task in found["names"].items()}
    assert shown["dbt.model-bazaar-finance"] == "FINANCE"
    assert shown["dbt.model-bazaar-ledger.test"] == "LEDGER.test"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("same name", ["TaskIdError", "'same'"]),
        ("no text", ["the name to show", "7"]),
        ("group_by", ["group_by is 'tag'", "folder"]),
        ("tests", ["tests is 'all'", "group"]),
    ],
)
def test_what_cannot_be_is_an_error(found: dict[str, Any], call: str, words: list[str]) -> None:
    for word in words:
        assert word in found[call]
