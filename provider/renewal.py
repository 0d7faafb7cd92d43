"""A run of nodes again, by the task that waits for them, in place of the task that runs dbt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time.xcom import XCom

from ..consumer.waiting.decision import Decision
from ..consumer.waiting.wording import result_text
from .dbt_call import SKIP, describe_exit
from .reader import TaskReader
from .relay import Relay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..consumer.waiting.look import Waiting


class Renewal:
    """Runs a command for the nodes that `waiting` names, and renews their records at the producer.

    A `dbt-relay run` in the command gets the producer from the environment.
    """

    def __init__(
        self, waiting: Waiting, *, env: Mapping[str, str], cwd: str | None, log: Any
    ) -> None:
        self._waiting = waiting
        reader = TaskReader()
        self._relay = Relay(
            env={**env, **_variables(waiting)},
            cwd=cwd,
            push=self._push,
            task=lambda: (reader.state(waiting), reader.try_number(waiting)),
            log=log,
        )

    def run(self, command: Sequence[str], *, needs_records: bool) -> Decision:
        """Run the command. Returns `success`, `skip` or `fail` for the task, with the reason.

        With `needs_records` the task fails unless each awaited node has a new record.
        """
        code = self._relay.run(command)
        records = self._relay.records
        ran = [records[u] for u in self._waiting.unique_ids if u in records]
        failed = [record for record in ran if not record.has_succeeded]
        if code == SKIP:
            return Decision("skip", f"the command ended with {SKIP}")
        if failed:
            return Decision("fail", "\n".join(map(result_text, failed)), failed[0])
        if code != 0 and not (code == 1 and self._others_failed()):
            return Decision("fail", f"the command {describe_exit(code)}: see its output above")
        if needs_records and len(ran) < len(self._waiting.unique_ids):
            missing = [u for u in self._waiting.unique_ids if u not in records]
            return Decision(
                "fail",
                f"the command did not run {', '.join(missing)}: see its output above. Is the node "
                "still in the project?",
            )
        return Decision("success", "\n".join(map(result_text, ran)) or "the command succeeded")

    def stop(self) -> None:
        """Tell the command to end. A signal handler may call this."""
        self._relay.stop()

    def _others_failed(self) -> bool:
        """Whether nodes of other tasks, which share the command, explain that dbt failed."""
        return any(not record.has_succeeded for record in self._relay.records.values())

    def _push(self, key: str, value: Any) -> None:
        at = self._waiting
        XCom.set(
            key=key,
            value=value,
            dag_id=at.producer.dag_id,
            task_id=at.xcom_task_id or at.producer.task_id,
            run_id=at.producer.run_id,
            map_index=at.producer.map_index,
        )


def _variables(waiting: Waiting) -> dict[str, str]:
    """The variables that tell a `dbt-relay run` whose records it renews."""
    given = {
        "DBT_RELAY_RENEW": waiting.producer.task_id,
        "DBT_RELAY_MAP_INDEX": str(waiting.producer.map_index),
        "DBT_RELAY_XCOM_TASK_ID": waiting.xcom_task_id,
        "DBT_RELAY_KEY_PREFIX": waiting.key_prefix,
    }
    return {name: value for name, value in given.items() if value}
