"""What Airflow lists of this package: the entry point `apache_airflow_provider`.

Every process of Airflow calls it, so it imports nothing, and it lies outside `provider/`, whose
import brings Airflow's operators along.
"""

from __future__ import annotations

from typing import Any, Final

from . import __version__

_NAME: Final = "dbt-relay"
_DOCS: Final = "https://github.com/dbt-relay/dbt-relay/blob/main/docs/reference/operators.md"
_PACKAGE: Final = "dbt_relay.provider"

_FORM: Final[dict[str, Any]] = {
    "hidden-fields": [],
    "relabeling": {"schema": "Schema (http or https)", "password": "Password or token"},
    "placeholders": {
        "host": "airflow.example.com",
        "schema": "https",
        "login": "empty with a token",
        "extra": '{"ca_file": "/etc/ssl/airflow.pem"}',
    },
}
"""What the form of a connection says (`ui-field-behaviour` of Airflow 3.2 and newer)."""


def get_provider_info() -> dict[str, Any]:
    """The provider in the form of Airflow's `provider_info.schema.json` (3.0 to 3.3)."""
    return {
        "package-name": "dbt-relay",
        "name": _NAME,
        "description": "Runs dbt once; every node's result is in Airflow within seconds.",
        "versions": [__version__],
        "integrations": [{"integration-name": _NAME, "external-doc-url": _DOCS}],
        "operators": _modules("operator", "freshness"),
        "sensors": _modules("sensor", "node_sensors"),
        "triggers": _modules("trigger"),
        "hooks": _modules("hook"),
        "connection-types": [
            {
                "connection-type": "dbt_relay",
                "hook-class-name": f"{_PACKAGE}.hook.DbtRelayHook",
                "hook-name": _NAME,
                "ui-field-behaviour": _FORM,
            }
        ],
        "extra-links": [f"{_PACKAGE}.links.{name}" for name in ("DbtTaskLink", "DbtNodesLink")],
    }


def _modules(*names: str) -> list[dict[str, Any]]:
    modules = [f"{_PACKAGE}.{name}" for name in names]
    return [{"integration-name": _NAME, "python-modules": modules}]
