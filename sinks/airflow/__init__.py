"""Airflow as a sink: records as XComs, over the stable REST API of Airflow 3.

Every command reads settings, also where no Airflow is: these names load little. The sink and the
readers are imported from their own modules, where one is made.
"""

from ...records.xcom import check_prefix, xcom_key
from .api.address import PROXIES, base_url, is_same_address, passwords, proxy_of
from .api.settings import AirflowSettings, Login

__all__ = [
    "PROXIES",
    "AirflowSettings",
    "Login",
    "base_url",
    "check_prefix",
    "is_same_address",
    "passwords",
    "proxy_of",
    "xcom_key",
]
