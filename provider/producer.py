"""The task that runs dbt, as a DbtNodeSensor finds it in its DAG."""

from __future__ import annotations

from typing import Any

from .dbt_call import Call, environment_of
from .operator import DbtRelayOperator
from .sdk import AirflowFailException


def check_producer(sensor: Any) -> None:
    """Raise AirflowFailException if the DAG has no task with the producer's id."""
    if sensor.dag and not sensor.dag.has_task(sensor.producer_task_id):
        raise AirflowFailException(
            f"there is no task {sensor.producer_task_id!r} in this DAG to wait for: give the id "
            "of the task that runs dbt as producer_task_id, the ids of its groups included. "
            "`dbt-relay wait --dag-id … --run-id …` waits for a task of another DAG"
        )


def producer_index(sensor: Any, own: int) -> int:
    """The producer's map index, for a sensor with the index `own`; -1 for no index.

    A mapped sensor may wait for a producer that is not mapped. Raises AirflowFailException if only
    the producer is mapped and the sensor does not name an instance of it.
    """
    if sensor.producer_map_index is not None:
        return sensor.producer_map_index
    producer = sensor.dag.get_task(sensor.producer_task_id)
    is_mapped = producer.is_mapped or producer.get_closest_mapped_task_group() is not None
    if is_mapped and own < 0:
        raise AirflowFailException(
            f"{sensor.producer_task_id} is mapped and this task is not: name the instance to "
            "wait for with producer_map_index, or map this task too"
        )
    return own if is_mapped else -1


def fallback_call(sensor: Any, context: Any) -> Call:
    """The call of the sensor's own command for its nodes."""
    env = environment_of(context, sensor.fallback_env)
    return Call(["bash", "-c", sensor.fallback], env, sensor.fallback_cwd)


def call_for_nodes(sensor: Any, nodes: str, context: Any) -> Call:
    """The call of the producer's command for these nodes alone."""
    producer = sensor.dag.get_task(sensor.producer_task_id)
    if not isinstance(producer, DbtRelayOperator):
        raise AirflowFailException(
            f"run_again needs an unmapped DbtRelayOperator. {sensor.producer_task_id} is not one: "
            "give this sensor a command as fallback"
        )
    return producer.call_for(nodes, context)
