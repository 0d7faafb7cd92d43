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

_AIRFLOW_ACCESS: Final = frozenset(
    {
        *CREDENTIALS,
        "DBT_RELAY_AIRFLOW_TOKEN_FILE",
        "DBT_RELAY_AIRFLOW_USERNAME",
        "DBT_RELAY_PROXY",
        "DBT_RELAY_CHANNEL",
        "DBT_RELAY_LOG_LEVELS",
    }
)


def without_airflow_access(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that the relay starts: dbt does not talk to Airflow."""
    return {name: value for name, value in environ.items() if name not in _AIRFLOW_ACCESS}


def dbt_secrets(environ: Mapping[str, str]) -> list[str]:
    """The values that dbt masks in its logs."""
    return [v for k, v in environ.items() if k.startswith("DBT_ENV_SECRET") and v.strip()]
