"""Airflow as a sink: records as XComs, over the stable REST API of Airflow 3."""

from ...parser.keys import check_prefix, xcom_key
from .address import PROXIES, base_url, is_same_address, passwords, proxy_of
from .reader import read_records
from .settings import AirflowSettings, Login
from .sink import AirflowSink
from .watch import UnreadError, Watch
from .wire import WIRES

__all__ = [
    "PROXIES",
    "WIRES",
    "AirflowSettings",
    "AirflowSink",
    "Login",
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
