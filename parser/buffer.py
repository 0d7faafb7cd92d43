"""The buffer of one node: what dbt has said of it so far, and the record that this makes."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from ..records.plural import counted
from ..records.schema import GOOD, NODE_CHECKS, NodeRecord, instant, is_good, outcome_of
from ..records.values import is_object, number, text

if TYPE_CHECKING:
    from ..records.schema import Outcome
    from ..records.values import JsonObject
    from .events import Event

_TEST_TYPES: Final = frozenset({"test", "unit_test"})
_COUNTED: Final = frozenset({"pass", "fail", "warn"})
_MICROBATCH: Final = re.compile(r"ERROR|PARTIAL SUCCESS \(\d+/\d+\)|SUCCESS")
_DESCRIPTION: Final = (
    ("name", "node_name"),
    ("resource_type", "resource_type"),
    ("path", "node_path"),
    ("materialized", "materialized"),
    ("checksum", "node_checksum"),
)
_SHOWN_BATCH_ERRORS: Final = 5


class Node:
    """Facts of one node. Pending until it starts, then running, terminal, perhaps amended.

    The order in which facts of different threads arrive does not matter: each method only adds
    what is new, and `record` is a function of the facts.
    """

    __slots__ = (
        "_batch_counts",
        "_batch_total",
        "_batches",
        "_cancelled_at",
        "_errors",
        "_first_errors",
        "_first_start",
        "caused_by",
        "ended_at",
        "facts",
        "has_failed",
        "is_cancelled",
        "is_listed",
        "is_provisional",
        "running",
        "sent",
        "unique_id",
        "waiting",
    )

    def __init__(self, unique_id: str) -> None:
        self.unique_id = unique_id
        self.facts: dict[str, Any] = {}
        self.running = False
        self.has_failed = False
        self.is_cancelled = False
        self.is_listed = False
        self.is_provisional = False
        self.waiting: Event | None = None
        self.caused_by: str | None = None
        self.ended_at: str | None = None
        self.sent: NodeRecord | None = None
        self._first_start: str | None = None
        self._cancelled_at: str | None = None
        self._batch_total = 0
        self._batches: dict[int, str] | None = None
        self._batch_counts: Counter[str] | None = None
        self._errors: set[str] | None = None
        self._first_errors: list[str] | None = None

    @property
    def status(self) -> str | None:
        return self.facts.get("status")

    @property
    def is_microbatch(self) -> bool:
        return self._batches is not None

    @property
    def is_terminal(self) -> bool:
        return "status" in self.facts

    @property
    def outcome(self) -> Outcome:
        """Of a node that has ended: dbt's word, unless something contradicts it."""
        outcome = outcome_of(self.facts["status"])
        if self.is_cancelled:
            return "interrupted"
        if self.has_failed and outcome in GOOD:
            return "failure"
        # dbt reports a query that it cancelled itself as an error of the node. It also reports
        # cancelling nodes that had ended already (dbt-core #10746), hence the look at the time.
        if outcome == "failure" and self._cancelled_at is not None:
            finished = self.facts.get("finished_at")
            if finished is None or instant(self._cancelled_at) <= instant(finished):
                return "interrupted"
        return outcome

    @property
    def has_result(self) -> bool:
        """Whether dbt counts the node among its results.

        Where dbt 1.x builds, it neither counts an ephemeral model that succeeds nor lists it in
        `run_results.json`. `dbt compile` lists it, and dbt v2 does, as `no-op`.
        """
        is_ephemeral = self.facts.get("materialized") == "ephemeral"
        return self.is_terminal and (self.is_listed or not is_ephemeral or self.status != "success")

    @property
    def is_explained(self) -> bool:
        """Whether a text says why the node did not succeed."""
        return bool(self._errors) or self._has_own_text

    @property
    def is_announced(self) -> bool:
        """Whether dbt counts it when it says how many nodes it will run."""
        is_hook = self.unique_id.startswith(("operation.", "macro."))
        return not is_hook and self.facts.get("materialized") != "ephemeral"

    @property
    def has_begun(self) -> bool:
        """Whether dbt came to it, be it to skip it."""
        return self.running or "started_at" in self.facts

    @property
    def title(self) -> tuple[str, str] | None:
        """Its name and its file's: what an error text says that has no unique_id."""
        name, path = self.facts.get("name"), self.facts.get("path")
        return (name, file_name(path)) if name and path else None

    def describe(self, info: JsonObject) -> bool:
        """Take what `node_info` says of the node itself. v2 sends partial ones.

        Whether it has a name and a path now, and had not before.
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
        """A NodeStart: the first is the node's own, later ones are those of microbatch batches."""
        started = text(info.get("node_started_at"))
        if self._first_start is None:
            self._first_start = started or ""
        self.begin(started)

    def begin(self, started_at: str | None) -> None:
        self.running = True
        if started_at and "started_at" not in self.facts:
            self.facts["started_at"] = utc(started_at)

    def place(self, index: Any, total: Any) -> None:
        """`3 of 12`: its place in the run."""
        if "index" not in self.facts:
            self.facts["index"] = number(index)
            self.facts["total"] = number(total)

    def is_own_end(self, info: JsonObject) -> bool:
        """Whether a NodeFinished ends the node and not one batch of it.

        Batches (dbt 1.9+) start and finish under their model's unique_id, each with a start time
        of its own; the node's end repeats the start time of its first NodeStart. In a log whose
        head is missing it is earlier than that of the first batch that is there.
        """
        started = text(info.get("node_started_at"))
        if not self._first_start or not started or started == self._first_start:
            return True
        return instant(started) < instant(self._first_start)

    def finish(self, status: str, info: JsonObject, facts: dict[str, Any]) -> None:
        """Its end as dbt reported it, with the facts that came with it. What is None among them, or
        not of its field's type, is absent.

        `failures` counts the rows of a test; dbt's log says 0 of everything else as well.
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
        self.waiting = None

    def explain(self, message: str) -> None:
        """A text that came apart from the end. A text that the end itself had wins."""
        if _MICROBATCH.fullmatch(message) or message == self.facts.get("message"):
            return
        if self._errors is None or self._first_errors is None:
            self._errors, self._first_errors = set(), []
        if message not in self._errors:
            self._errors.add(message)
            # Sorted once more for each text, all of them would take too long.
            self._first_errors = sorted([*self._first_errors, message])[:_SHOWN_BATCH_ERRORS]

    def fail(self, message: str) -> None:
        """An error of the node or of one of its batches. The node has not succeeded, whatever
        dbt says of its end: dbt v2 calls some nodes that it cancelled a success."""
        self.has_failed = True
        self.explain(message)

    def batch(self, index: int, total: Any, status: str) -> None:
        """One microbatch batch ended."""
        if self._batches is None or self._batch_counts is None:
            self._batches, self._batch_counts = {}, Counter()
        if index in self._batches:
            self._batch_counts[self._batches[index]] -= 1
        self._batches[index] = status
        self._batch_counts[status] += 1
        self._batch_total = number(total) or self._batch_total

    def cancel(self, at: str) -> None:
        """dbt cancelled its query, at this time."""
        self._cancelled_at = min(at, self._cancelled_at or at)

    @property
    def _has_own_text(self) -> bool:
        own = self.facts.get("message")
        if not own or _MICROBATCH.fullmatch(own):
            return False
        is_contradicted = self.has_failed or self.is_cancelled
        return not is_contradicted or outcome_of(self.facts["status"]) not in GOOD

    def _message(self) -> str | None:
        own: str | None = self.facts.get("message")
        if not self._errors or not self._first_errors or self._has_own_text:
            return own
        shown = [*self._first_errors]
        if (left := len(self._errors) - len(shown)) > 0:
            rest = counted(left, "more error of a batch", "more errors of batches")
            shown.append(f"… and {rest}")
        is_result = own is not None and _MICROBATCH.fullmatch(own)
        return "\n".join([own, *shown] if own and is_result else shown) or None

    def _counted_batches(self) -> dict[str, int] | None:
        if not self._batches or not self._batch_counts:
            return None
        counts = {"total": self._batch_total or len(self._batches)}
        for status, count in sorted(self._batch_counts.items()):
            if count:
                counts[status] = counts.get(status, 0) + count
        return counts

    def record(self, **of_run: Any) -> NodeRecord:
        """The record of a terminal node; `of_run` are the fields that its run knows."""
        facts = self.facts.copy()
        status: str = facts["status"]
        message, outcome = self._message(), self.outcome
        if outcome not in GOOD and is_good(status):
            # As run_results.json has it. A reader of the status must not find a green word.
            facts["status"] = "error"
        if status == "skipped":
            facts.setdefault("skip_cause", "upstream_failed")
            facts["caused_by"] = self.caused_by
        facts.update(message=message, outcome=outcome, batches=self._counted_batches())
        return NodeRecord(unique_id=self.unique_id, **facts, **of_run)


def utc(timestamp: str | None) -> str | None:
    """RFC 3339 in UTC; `node_started_at` of dbt 1.x is UTC but does not say so."""
    if timestamp is None or timestamp.endswith("Z"):
        return timestamp
    return f"{timestamp}Z" if "+" not in timestamp else timestamp


def file_name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
