"""The buffer of one node: the facts that dbt has logged, and the record that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..records.age import sortable_time
from ..records.outcomes import REPEATS_STATUS, SUCCESSFUL, is_successful, outcome_of
from ..records.schema import NODE_CHECKS, NodeRecord
from ..records.values import is_object, number, text
from .batches import Batches, is_batches_result
from .error_texts import ErrorTexts
from .released import Released, facts_of

if TYPE_CHECKING:
    from ..records.outcomes import Outcome
    from ..records.values import JsonObject
    from .events import Event
    from .released import Lasting, Recall

_TEST_TYPES: Final = frozenset({"test", "unit_test"})
_COUNTED: Final = frozenset({"pass", "fail", "warn"})
_DESCRIPTION: Final = (
    ("name", "node_name"),
    ("resource_type", "resource_type"),
    ("path", "node_path"),
    ("materialized", "materialized"),
    ("checksum", "node_checksum"),
)


class NodeBuffer:
    """The facts of one node. The node is pending, then running, then terminal, perhaps amended.

    Facts of different threads may arrive in any order: each method only adds new facts, and
    `record` is a function of the facts.

    `is_listed` says that `run_results.json` lists the node. `is_provisional` says that the end
    comes from a result line; `result_line` waits for a NodeFinished. `published` is the newest
    record that the run has returned. Only the telemetry of dbt v2 names the `culprit` of a skip;
    `run_started_at` is when dbt v2 began to run the node, after it compiled it.

    A released node has no facts in memory. Whoever asks for them gets those of its record.
    """

    __slots__ = (
        "_batches",
        "_cancelled_at",
        "_errors",
        "_facts",
        "_released",
        "caused_by",
        "culprit",
        "ended_at",
        "first_start",
        "has_failed",
        "is_cancelled",
        "is_listed",
        "is_provisional",
        "is_running",
        "published",
        "result_line",
        "run_started_at",
        "unique_id",
    )

    def __init__(self, unique_id: str) -> None:
        self.unique_id = unique_id
        self._facts: dict[str, Any] = {}
        self._released: Released | None = None
        self.is_running = False
        self.has_failed = False
        self.is_cancelled = False
        self.is_listed = False
        self.is_provisional = False
        self.result_line: Event | None = None
        self.caused_by: str | None = None
        self.culprit: str | None = None
        self.run_started_at: str | None = None
        self.ended_at: str | None = None
        self.published: NodeRecord | None = None
        self.first_start: str | None = None
        self._cancelled_at: str | None = None
        self._batches: Batches | None = None
        self._errors: ErrorTexts | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What dbt has said of the node, by the names of the record's fields."""
        if self._released is not None:
            self.published = self._released.record(self.unique_id)
            self._facts, self._released = facts_of(self.published), None
        return self._facts

    def lasting(self, fact: Lasting) -> Any:
        """A fact that stays in memory; None if dbt has not told it."""
        return self._facts.get(fact) if self._released is None else getattr(self._released, fact)

    @property
    def status(self) -> str | None:
        return self._facts.get("status") if self._released is None else self._released.status

    @property
    def is_microbatch(self) -> bool:
        return self._batches is not None

    @property
    def is_terminal(self) -> bool:
        return self._released is not None or "status" in self._facts

    @property
    def is_released(self) -> bool:
        return self._released is not None

    @property
    def outcome(self) -> Outcome:
        """The outcome of a terminal node: dbt's status, unless another fact contradicts it."""
        outcome = outcome_of(self.status or "")
        if self.is_cancelled:
            return "interrupted"
        if self.has_failed and outcome in SUCCESSFUL:
            return "failure"
        # dbt reports a query that it cancelled as an error of the node. It also cancels nodes that
        # have ended already (dbt-core #10746), so the time decides.
        if outcome == "failure" and self._cancelled_at is not None:
            finished = self.facts.get("finished_at")
            if finished is None or sortable_time(self._cancelled_at) <= sortable_time(finished):
                return "interrupted"
        return outcome

    @property
    def has_result(self) -> bool:
        """Whether the node gets a record, because dbt counts it among its results.

        `dbt build` of dbt 1.x neither counts an ephemeral model that succeeds or is skipped, nor
        lists it in `run_results.json`. `dbt compile` and dbt v2 list it, v2 as `no-op`.
        """
        is_unlisted = self._is_ephemeral and not self.is_listed
        return self.is_terminal and not (is_unlisted and self.status in ("success", "skipped"))

    @property
    def has_error_text(self) -> bool:
        """Whether a text explains why the node did not succeed."""
        return self._errors is not None or self._has_own_text

    def is_announced(self, *, by_v2: bool) -> bool:
        """Whether dbt counts the node when it announces how many nodes it will run."""
        is_hook = self.unique_id.startswith(("operation.", "macro."))
        return not is_hook and (by_v2 or self.is_released or not self._is_ephemeral)

    @property
    def has_begun(self) -> bool:
        """Whether dbt began the node, to run it or to skip it."""
        return self.is_running or "started_at" in self.facts

    def describe(self, info: JsonObject) -> bool:
        """Take the node's description from a `node_info`, which is partial in dbt v2.

        Returns whether the node has a name and a path for the first time.
        """
        facts = self.facts
        if "name" in facts and "path" in facts:
            return False
        for fact, key in _DESCRIPTION:
            if fact not in facts and (value := text(info.get(key))):
                facts[fact] = value
        relation = info.get("node_relation")
        if "relation" not in facts and is_object(relation):
            facts["relation"] = text(relation.get("relation_name"))
        return "name" in facts and "path" in facts

    def start(self, info: JsonObject) -> None:
        """Take a NodeStart: the first is the node's own, the others belong to its batches."""
        started = text(info.get("node_started_at"))
        if self.first_start is None:
            self.first_start = started or ""
        self.begin(started)

    def begin(self, started_at: str | None) -> None:
        """Take the start time, unless one is known."""
        self.is_running = True
        if started_at and "started_at" not in self.facts:
            self.facts["started_at"] = utc(started_at)

    def place(self, index: Any, total: Any) -> None:
        """Take the node's place in the run: `3 of 12`."""
        if "index" not in self.facts:
            self.facts["index"] = number(index)
            self.facts["total"] = number(total)

    def is_own_end(self, info: JsonObject) -> bool:
        """Whether a NodeFinished ends the node, and not one of its batches.

        Batches (dbt 1.9 and later) start and finish under their model's unique_id, each with its
        own start time. The node's end repeats the start time of the node's first NodeStart. If the
        log lacks that NodeStart, the node's start time is earlier than the first batch's.
        """
        started = text(info.get("node_started_at"))
        if not self.first_start or not started or started == self.first_start:
            return True
        return sortable_time(started) < sortable_time(self.first_start)

    def finish(self, status: str, info: JsonObject, facts: dict[str, Any]) -> None:
        """Take an end with its facts; a fact that is None or has a wrong type is absent.

        `failures` is the number of failing rows of a test. dbt logs a 0 for every other node, which
        is ignored too.
        """
        own = self.facts
        own["status"] = status
        for name, value in facts.items():
            if value is not None and (checked := NODE_CHECKS[name](value)) is not None:
                own[name] = checked
        if own.get("resource_type") not in _TEST_TYPES or status not in _COUNTED:
            own.pop("failures", None)
        if started := text(info.get("node_started_at")):
            own["started_at"] = utc(started)
        if finished := text(info.get("node_finished_at")):
            own["finished_at"] = utc(finished)
        self.result_line = None

    def explain(self, message: str) -> None:
        """Take an error text that came apart from the end. A text of the end itself wins."""
        if is_batches_result(message) or message == self.facts.get("message"):
            return
        self._errors = self._errors or ErrorTexts()
        self._errors.add(message)

    def fail(self, message: str) -> None:
        """Take an error of the node or of one of its batches.

        The node has then not succeeded, whatever status dbt gives it: dbt v2 reports a success for
        some nodes that it cancelled.
        """
        self.has_failed = True
        self.explain(message)

    def end_batch(self, index: int, total: Any, status: str) -> None:
        """Take the end of one microbatch batch."""
        self._batches = self._batches or Batches()
        self._batches.end(index, total, status)

    def cancel(self, at: str) -> None:
        """Take the time at which dbt cancelled the node's query, or was told to stop."""
        self._cancelled_at = min(at, self._cancelled_at or at)

    def release(self, recall: Recall) -> None:
        """Forget the facts and the published record of a node that has succeeded.

        `recall` finds the record again. dbt seldom says more of such a node.
        """
        record = self.published
        is_plain = self._errors is None and self._batches is None and not self._is_ephemeral
        if record is None or not is_plain or self.outcome not in SUCCESSFUL:
            return
        self._released = Released.of(record, recall)
        self._facts, self.published = {}, None

    @property
    def _is_ephemeral(self) -> bool:
        return self.facts.get("materialized") == "ephemeral"

    @property
    def _has_own_text(self) -> bool:
        own = self.facts.get("message")
        if not own or own in REPEATS_STATUS or is_batches_result(own):
            return False
        is_contradicted = self.has_failed or self.is_cancelled
        return not is_contradicted or outcome_of(self.facts["status"]) not in SUCCESSFUL

    def _message(self) -> str | None:
        own: str | None = self.facts.get("message")
        if self._errors is None or self._has_own_text:
            return own
        lines = self._errors.lines()
        if own and is_batches_result(own):
            lines = [own, *lines]
        return "\n".join(lines) or None

    def record(self, **of_run: Any) -> NodeRecord:
        """The record of a terminal node; `of_run` has the fields that the run knows."""
        facts = self.facts.copy()
        status: str = facts["status"]
        message, outcome = self._message(), self.outcome
        batches = self._batches.counted() if self._batches is not None else None
        if outcome not in SUCCESSFUL and is_successful(status):
            # run_results.json has the same word. A reader of the status must not find a green one.
            facts["status"] = "error"
        if status == "skipped":
            facts.setdefault("skip_cause", "upstream_failed")
            facts["caused_by"] = self.caused_by
        facts.update(message=message, outcome=outcome, batches=batches)
        return NodeRecord(unique_id=self.unique_id, **facts, **of_run)


def utc(timestamp: str | None) -> str | None:
    """The timestamp as RFC 3339 in UTC. dbt 1.x writes `node_started_at` in UTC without a zone."""
    if timestamp is None or timestamp.endswith("Z"):
        return timestamp
    return f"{timestamp}Z" if "+" not in timestamp else timestamp
