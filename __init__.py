"""dbt-relay: run dbt once; every node's result is in Airflow within seconds."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def read_record(pulled: Any) -> dict[str, Any] | None:
    """The record that `xcom_pull` has returned, as a dict on every Airflow; None for no XCom.

    Airflow 3.0 and 3.1 return a record that came over the REST API as JSON text. Raises ValueError
    for a value that is not a record.
    """
    from .records.xcom import xcom_value  # noqa: PLC0415 - commands start faster without it

    if pulled is None:
        return None
    record = xcom_value(pulled)
    if not (isinstance(record, dict) and str(record.get("schema")).startswith("dbt-relay/")):
        raise ValueError(f"the XCom holds no record of dbt-relay: {str(pulled)[:200]}")
    return record
