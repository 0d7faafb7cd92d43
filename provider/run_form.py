"""Params of a DAG for the selection of a manual run: Airflow shows them as a form."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Param

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEMPLATES: Final = {
    "select": "{{ params.select or '' }}",
    "exclude": "{{ params.exclude or '' }}",
    "full_refresh": "{{ params.full_refresh }}",
    "vars": "{{ (params.vars or {}) | tojson }}",
}
"""The params as values of a DbtRelayOperator."""


def add_form(
    dag: Any,
    select: str | Sequence[str] | None,
    exclude: str | Sequence[str] | None,
    own: Mapping[str, Any],
) -> None:
    """Give the DAG the params, with the selection and the options `own` of a group as defaults."""
    dag.params.update(
        {
            "select": _text(select, "Nodes to run", "dbt's --select, such as tag:daily or +orders"),
            "exclude": _text(exclude, "Nodes to leave out", "dbt's --exclude"),
            "full_refresh": Param(
                bool(own.get("full_refresh", False)),
                type="boolean",
                title="Full refresh",
                description="Build incremental models and seeds anew (dbt's --full-refresh)",
            ),
            "vars": Param(
                {**(own.get("vars") or {})},
                type=["object", "null"],
                title="Variables",
                description="dbt's --vars",
            ),
        }
    )


def _text(value: str | Sequence[str] | None, title: str, description: str) -> Param:
    default = value if isinstance(value, str) else shlex.join(value or ())
    return Param(default or None, type=["string", "null"], title=title, description=description)
