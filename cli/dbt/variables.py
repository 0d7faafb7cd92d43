"""Variables of the environment: dbt's own, and those that only the relay may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIXES: Final = ("DBT_ENGINE_", "DBT_")
"""dbt 1.11 renamed its variables to `DBT_ENGINE_…`, and prefers those."""

CREDENTIALS: Final = (
    "DBT_RELAY_AIRFLOW_TOKEN",
    "DBT_RELAY_AIRFLOW_TOKEN_COMMAND",
    "DBT_RELAY_AIRFLOW_PASSWORD",
)
"""Variables whose values let anybody into Airflow."""

_FOR_THE_RELAY: Final = frozenset(
    {
        *CREDENTIALS,
        "DBT_RELAY_AIRFLOW_TOKEN_FILE",
        "DBT_RELAY_AIRFLOW_USERNAME",
        "DBT_RELAY_PROXY",
        "DBT_RELAY_CHANNEL",
        "DBT_RELAY_LOG_LEVELS",
        "DBT_RELAY_ON_FAILURE",
        "DBT_RELAY_ON_END",
    }
)


def for_children(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that the relay starts.

    dbt does not talk to Airflow, and a relay below this one calls nobody a second time.
    """
    return {name: value for name, value in environ.items() if name not in _FOR_THE_RELAY}


def dbt_secrets(environ: Mapping[str, str]) -> list[str]:
    """The values that dbt masks in its logs."""
    return [v for k, v in environ.items() if k.startswith("DBT_ENV_SECRET") and v.strip()]
