"""The example of alerts in a real Airflow: a failure, the same again, a mended node; and links."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from .airflow import Airflow

DAG = "dbt_alerts"
BROKEN = "dbt.broken_on_purpose"
TO_SHOP = "to shop: model.jaffle.broken_on_purpose failed; 1 node was skipped for it\n"


class Story(NamedTuple):
    """The messages after a run that failed, after the node failed again, and after it was mended.
    `state` is the state of the run in the end."""

    run_id: str
    failed: str
    again: str
    mended: str
    state: str


@pytest.fixture(scope="module")
def story(airflow: Airflow) -> Story:
    messages = Path(airflow.server.environ["DBT_ALERTS_FILE"])
    model = airflow.project / "models/marts/broken_on_purpose.sql"
    broken = model.read_text()

    def new_messages() -> str:
        text = messages.read_text()
        messages.write_text("")
        return text

    def clear_broken() -> str:
        airflow.clear(DAG, run_id, BROKEN, downstream=True)
        return airflow.wait(DAG, run_id)

    run_id, state = airflow.run(DAG)
    assert state == "failed"
    failed = new_messages()
    clear_broken()
    again = new_messages()
    try:
        model.write_text("select 1 as id, 1 as order_id")
        state = clear_broken()
    finally:
        model.write_text(broken)
    return Story(run_id, failed, again, new_messages(), state)


def test_a_failure_is_one_message_for_its_owner(story: Story) -> None:
    assert story.failed.count("to shop:") == 1
    assert f"{story.run_id} {TO_SHOP}" in story.failed
    assert "Binder Error" in story.failed.partition("to shop:")[2]


def test_a_callback_has_the_record_of_the_node(story: Story) -> None:
    told = f"{story.run_id} model.jaffle.broken_on_purpose: "
    assert story.failed.count(told) == 1
    assert "Binder Error" in story.failed.partition(told)[2].partition("to shop:")[0]


def test_the_same_failure_in_the_same_run_is_told_no_second_time(story: Story) -> None:
    assert "to shop:" not in story.again
    assert "model.jaffle.broken_on_purpose: Runtime Error" in story.again


def test_an_owner_hears_that_all_is_green_again(story: Story) -> None:
    assert story.state == "success"
    assert story.mended == (
        f"{story.run_id} to shop: Green again: model.jaffle.broken_on_purpose\n"
    )


def test_links_lead_from_a_failed_node_to_dbt_and_back(airflow: Airflow, story: Story) -> None:
    run = f"{airflow.server.url}/dags/{DAG}/runs/{quote(story.run_id, safe='')}"
    assert airflow.links(DAG, story.run_id, BROKEN) == {"dbt's log": f"{run}/tasks/dbt.run_dbt"}
    assert airflow.links(DAG, story.run_id, "dbt.run_dbt") == {
        "dbt's nodes": f"{run}/tasks/group/dbt"
    }
