"""For DAGs: a task for each dbt node, fed by the one task that runs dbt.

Needs Airflow 3, `pip install 'dbt-relay[airflow]'`; nothing else of dbt-relay imports Airflow.
"""

from .operator import DbtRelayError, DbtRelayOperator
from .sensor import DbtNodeFailedError, DbtNodeSensor
from .task_group import dbt_task_group
from .trigger import DbtNodeTrigger

__all__ = [
    "DbtNodeFailedError",
    "DbtNodeSensor",
    "DbtNodeTrigger",
    "DbtRelayError",
    "DbtRelayOperator",
    "dbt_task_group",
]
