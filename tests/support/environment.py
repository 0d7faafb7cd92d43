"""The variables of a command that a test starts, whatever the shell of the tests has set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SETTINGS = ("DBT_", "AIRFLOW", "OPENLINEAGE", "OTEL_", "TRACEPARENT")
"""How the variables begin that dbt, Airflow, the relay and its clients take their settings from."""

AIRFLOW_TASK = {
    "AIRFLOW_CTX_DAG_ID": "shop",
    "AIRFLOW_CTX_DAG_RUN_ID": "run+1",
    "AIRFLOW_CTX_TASK_ID": "dbt",
    "AIRFLOW_CTX_TRY_NUMBER": "1",
}
"""What Airflow tells a command about the task that runs it: the task of `FakeAirflow`."""

NAMED_TASK = {
    "DBT_RELAY_DAG_ID": "shop",
    "DBT_RELAY_RUN_ID": "run+1",
    "DBT_RELAY_TASK_ID": "dbt",
    "DBT_RELAY_TRY_NUMBER": "1",
}
"""The same task, as a person names it to the relay."""


def clean_environment(*more: str, **variables: str) -> dict[str, str]:
    """This process's variables without settings and proxies, and with `variables`.

    Variables that begin with one of `more` are left out too.
    """
    kept = {name: value for name, value in os.environ.items() if not _is_setting(name, more)}
    return {**kept, **variables}


def forget_settings(patch: pytest.MonkeyPatch) -> None:
    """Leave settings and proxies out of this process's own variables."""
    for name in [*os.environ]:
        if _is_setting(name):
            patch.delenv(name)


def _is_setting(name: str, more: tuple[str, ...] = ()) -> bool:
    return name.startswith((*SETTINGS, *more)) or name.lower().endswith("_proxy")
