"""Airflow as a sink: records as XComs, over the stable REST API of Airflow 3."""

from ...records.xcom import check_prefix, xcom_key
from .api.address import PROXIES, base_url, is_same_address, passwords, proxy_of
from .api.settings import AirflowSettings, Login
from .cosmos import CosmosSink
from .note import TaskNote
from .reading import UnreadError, Watch, read_records
from .sink import AirflowSink

__all__ = [
    "PROXIES",
    "AirflowSettings",
    "AirflowSink",
    "CosmosSink",
    "Login",
    "TaskNote",
    "UnreadError",
    "Watch",
    "base_url",
    "check_prefix",
    "is_same_address",
    "passwords",
    "proxy_of",
    "read_records",
    "xcom_key",
]
