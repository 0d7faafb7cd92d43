"""What a span says, with the names of OpenTelemetry's conventions where they have one.

docs/how-to/opentelemetry.md lists the names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...records.outcomes import FAILED
from ...records.values import number

if TYPE_CHECKING:
    from ...records.schema import NodeRecord, RunRecord

Attributes = dict[str, str | bool | int | float]
SYSTEMS: Final = {
    "postgres": "postgresql",
    "redshift": "aws.redshift",
    "sqlserver": "microsoft.sql_server",
    "fabric": "microsoft.sql_server",
    "mysql": "mysql",
    "clickhouse": "clickhouse",
    "trino": "trino",
    "oracle": "oracle.db",
}
"""dbt's adapters for which OpenTelemetry has another word, or a registered one."""


def of_node(record: NodeRecord, adapter: str | None) -> Attributes:
    """The attributes of a node's span. `adapter` is the name of dbt's adapter."""
    told = record.adapter_response or {}
    database, schema, table = _relation(record.relation)
    is_test = record.unique_id.startswith(("test.", "unit_test."))
    known: dict[str, Any] = {
        "dbt.node.unique_id": record.unique_id,
        "dbt.node.resource_type": record.resource_type,
        "dbt.node.name": record.name,
        "dbt.node.status": record.status,
        "dbt.node.outcome": record.outcome,
        "dbt.node.materialized": record.materialized,
        "dbt.node.failures": record.failures,
        "dbt.node.rows_affected": number(told.get("rows_affected")),
        "dbt.node.bytes_processed": number(told.get("bytes_processed")),
        "dbt.node.query_id": told.get("query_id") or told.get("job_id"),
        "dbt.invocation_id": record.invocation_id,
        "dbt.version": record.dbt_version,
        "dbt.attempt": record.attempt,
        "code.file.path": record.path,
        "thread.name": record.thread,
        "db.system.name": SYSTEMS.get(adapter, adapter) if adapter else None,
        "db.namespace": "|".join(part for part in (database, schema) if part),
        "db.collection.name": table,
        "test.case.name": record.name if is_test else None,
        "test.case.result.status": ("pass" if record.status == "pass" else "fail")
        if is_test
        else None,
        "error.type": error_type(record),
    }
    return _known(known)


def of_run(record: RunRecord, invocation_id: str | None) -> Attributes:
    """The attributes of the span of an invocation of dbt."""
    nodes = record.nodes or {}
    return _known(
        {
            "dbt.invocation_id": invocation_id,
            "dbt.version": record.dbt_version,
            "dbt.adapter": record.adapter,
            "dbt.attempt": record.attempt,
            "dbt.run.state": record.state,
            "process.command_line": record.command,
            "process.exit.code": record.exit_code,
            **{f"dbt.run.nodes.{outcome}": count for outcome, count in nodes.items()},
        }
    )


def error_type(record: NodeRecord) -> str | None:
    """dbt's own word for a failure; None for a node that did not fail."""
    return record.status if record.outcome in FAILED else None


def _known(attributes: dict[str, Any]) -> Attributes:
    return {
        name: value
        for name, value in attributes.items()
        if isinstance(value, (str, int, float)) and value != ""
    }


def _relation(relation: str | None) -> tuple[str, str, str]:
    """Database, schema and table of a relation, empty where it does not have them."""
    parts = [part.strip('"`[]') for part in (relation or "").split(".")]
    database, schema, table = ["", "", "", *parts][-3:]
    return database, schema, table
