"""Airflow as a sink: records as XComs, over the stable REST API of Airflow 3."""

from ...records.xcom import check_prefix, xcom_key
from .api.address import PROXIES, base_url, is_same_address, passwords, proxy_of
from .api.settings import WIRES, AirflowSettings, Login
from .reading import read_records
from .sink import AirflowSink
from .watch import UnreadError, Watch

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
