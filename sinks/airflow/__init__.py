"""Airflow as a sink: records as XComs, over the stable REST API of Airflow 3."""

from ...parser.keys import check_prefix, xcom_key
from .reader import read_records
from .settings import AirflowSettings, Login, base_url, is_same_address
from .sink import AirflowSink
from .watch import UnreadError, Watch
from .wire import WIRES

__all__ = [
    "WIRES",
    "AirflowSettings",
    "AirflowSink",
    "Login",
    "UnreadError",
    "Watch",
    "base_url",
    "check_prefix",
    "is_same_address",
    "read_records",
    "xcom_key",
]
