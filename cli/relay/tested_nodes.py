"""Which nodes each test tests, for the sink cosmos. dbt's manifest says it, its log does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...records.schema import DbtTestRecord
from ..dbt import target
from ..output.notice import notice

if TYPE_CHECKING:
    from pathlib import Path

    from ...parser.invocation import Invocation
    from ...records.schema import NodeRecord

NO_MANIFEST: Final = (
    "dbt's manifest.json of this run is missing, so dbt-relay cannot tell which nodes each test "
    "covers. Cosmos test sensors use the state of this task instead"
)


class TestedNodes:
    """Adds to the record of a test the nodes that it tests.

    dbt writes the manifest before any node starts. `target_dir` is where it lies if dbt's log does
    not say.
    """

    def __init__(self, target_dir: Path) -> None:
        self._target_dir = target_dir
        self._tests: dict[str, dict[str, dict[str, int]]] = {}
        """For each invocation by id, see Lineage.tested."""

    def add(self, record: NodeRecord, invocation: Invocation) -> NodeRecord:
        """The record, for a test with its nodes."""
        if not record.unique_id.startswith("test."):
            return record
        if invocation.id not in self._tests:
            lineage = target.lineage(invocation, self._target_dir)
            if lineage is None:
                notice(NO_MANIFEST)
            self._tests[invocation.id] = lineage.tested() if lineage is not None else {}
        tests = self._tests[invocation.id].get(record.unique_id)
        return record if tests is None else DbtTestRecord.of(record, tests)
