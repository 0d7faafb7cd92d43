"""The names that Airflow's provider for OpenLineage gives to a task, for a command in it."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any, Final

_PROVIDER: Final = "airflow.providers.openlineage"
_log = logging.getLogger(__name__)


def lineage_variables(context: Any) -> dict[str, str]:
    """The variables that tell a program which run of OpenLineage has started it.

    Airflow's variables alone do not tell it for a manual run, which has no logical date. Empty
    without the provider, and if it cannot name the task.
    """
    try:
        if find_spec(_PROVIDER) is None:
            return {}
        from airflow.providers.openlineage import conf  # noqa: PLC0415 - may be absent
        from airflow.providers.openlineage.plugins import macros  # noqa: PLC0415

        if conf.is_disabled():
            return {}
        task = context["ti"]
        return {
            "OPENLINEAGE_PARENT_ID": macros.lineage_parent_id(task),
            "OPENLINEAGE_ROOT_PARENT_ID": macros.lineage_root_parent_id(task),
        }
    except Exception as error:  # whatever the provider does, dbt runs
        _log.warning("the provider for OpenLineage does not name this task: %s", error)
        return {}
