"""A run of dbt under dbt-relay, whose records the task's own process pushes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..records.schema import NodeRecord, read_record
from .dbt_call import relay_call
from .relay_process import RelayProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .record_store import RecordStore
    from .relay_process import Push, Task


class Relay:
    """Runs a command that is `dbt-relay` or starts it.

    `push` takes the key and the value of an XCom. `task` tells state and try of the task that holds
    the XComs. `store` keeps the records for a later attempt. `result` is the summary of the run,
    None if dbt-relay has told none. `records` are the records of nodes by unique_id.
    """

    def __init__(
        self,
        *,
        env: Mapping[str, str],
        cwd: str | None,
        push: Push,
        task: Task,
        log: Any,
        store: RecordStore | None = None,
    ) -> None:
        self.result: Any = None
        self.records: dict[str, NodeRecord] = {}
        self._push = push
        self._task = task
        self._child = partial(
            RelayProcess, env=env, cwd=cwd, push=self._taken, log=log, store=store
        )
        self._process: RelayProcess | None = None

    def run(self, command: Sequence[str]) -> int:
        """Push the records of the command. Returns its exit code, -N if signal N killed it."""
        process = self._process = self._child(command, task=self._task)
        code = process.serve()
        self.result = process.result
        if code < 0 and process.run_number is not None:
            # A killed relay has left records in its journal.
            deliver = relay_call("deliver", str(process.run_number))
            self._process = self._child(deliver, task=_nobody)
            self._process.serve()
        return code

    def stop(self) -> None:
        """Tell the command to end. A signal handler may call this."""
        if self._process is not None:
            self._process.stop()

    def _taken(self, key: str, value: Any) -> None:
        record = read_record(value)
        if isinstance(record, NodeRecord):
            self.records[record.unique_id] = record
        self._push(key, value)


def _nobody() -> tuple[None, None]:
    """No state and no try: whoever delivers later has no try of its own."""
    return None, None
