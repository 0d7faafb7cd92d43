"""Airflow as a sink: one XCom per record, over the stable REST API of Airflow 3."""

from ...parser.keys import check_prefix, xcom_key
from .reader import read_records
from .settings import AirflowSettings, Login, base_url
from .sink import AirflowSink

__all__ = [
    "AirflowSettings",
    "AirflowSink",
    "Login",
    "base_url",
    "check_prefix",
    "read_records",
    "xcom_key",
]
