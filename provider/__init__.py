"""Operators for DAGs: one task runs dbt, and each dbt node has a task that waits for it.

Needs Airflow 3, which the extra `airflow` installs. No other package of dbt-relay imports Airflow.
"""

from .alerts import tell_owners
from .errors import DbtNodeFailedError, DbtRelayError
from .hook import DbtRelayHook, use_connection
from .operator import DbtRelayOperator
from .sensor import DbtNodeSensor
from .task_group import dbt_task_group
from .trigger import DbtNodeTrigger

__all__ = [
    "DbtNodeFailedError",
    "DbtNodeSensor",
    "DbtNodeTrigger",
    "DbtRelayError",
    "DbtRelayHook",
    "DbtRelayOperator",
    "dbt_task_group",
    "tell_owners",
    "use_connection",
]
