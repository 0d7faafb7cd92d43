"""Why a task of this package fails. The words are dbt's own where dbt has said them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..records.schema import NodeRecord


class DbtTaskError(Exception, SystemExit):
    """A failure that is no fault in the code of the DAG.

    The task SDK logs a stack of frames below each exception but `SystemExit`, for which it also
    retries the task and calls its callbacks (Airflow 3.0 to 3.3). So whoever raises this error
    logs its text first.
    """

    code = 1

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class DbtRelayError(DbtTaskError):
    """dbt did not succeed. The message says how dbt ended and names the failed nodes."""


class DbtNodeFailedError(DbtTaskError):
    """A node did not succeed. The message is dbt's own text. `record` is the node's, if it has one;
    of several nodes, the first that failed."""

    def __init__(self, reason: str, record: NodeRecord | None = None) -> None:
        super().__init__(reason)
        self.record = record
