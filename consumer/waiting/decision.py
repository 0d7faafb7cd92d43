"""The decision of a task that waits for one dbt node, as a function of what Airflow has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from ...records.plural import counted
from ...records.schema import NodeRecord, read_record
from ...records.values import number
from .reasons import doubt_reason, gap_reason, no_record_reason
from .wording import result_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...records.schema import RunRecord

Action = Literal["wait", "success", "skip", "fail", "run"]
"""`run` means that the waiting task runs the node itself."""

OnMissing = Literal["fail", "skip", "success", "run"]
OnUpstreamFailed = Literal["fail", "skip"]

FINAL_STATES: Final = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States that Airflow does not change until somebody clears the task."""
_STATES_BEFORE_START: Final = frozenset({None, "scheduled", "queued", "restarting"})
"""States before an attempt starts: Airflow still has the XComs of the attempt before it."""
_UNSAFE: Final = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Producer:
    """The task that runs dbt.

    `state` is Airflow's word, None before Airflow schedules the task. `attempt` is None where
    Airflow does not tell it. `is_cleared` says that Airflow deletes the records when the next
    attempt starts. It does not if another task holds them.
    """

    state: str | None
    attempt: int | None = None
    is_cleared: bool = True

    @property
    def has_begun(self) -> bool:
        return self.state not in _STATES_BEFORE_START

    @property
    def has_ended(self) -> bool:
        return self.state in FINAL_STATES


@dataclass(frozen=True, slots=True)
class Policy:
    """The action for a node that was not part of the run (`on_missing`), and for a node that dbt
    skipped after a failure (`on_upstream_failed`). `can_run` says that the waiting task has a
    command that runs the node, as `on_missing="run"` needs."""

    on_missing: OnMissing = "fail"
    on_upstream_failed: OnUpstreamFailed = "fail"
    can_run: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """An action, and the reason for a person. `node` is the record that decided, if one did."""

    action: Action
    reason: str
    node: NodeRecord | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values. Only a failure needs the record."""
        node = self.node if self.action == "fail" else None
        return {"action": self.action, "reason": self.reason, "node": node and node.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Decision:
        """The decision of a `to_json`. Other keys are ignored."""
        node = read_record(value.get("node"))
        return cls(value["action"], value["reason"], node if isinstance(node, NodeRecord) else None)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a value under a node's key that this dbt-relay cannot read as a node's record."""


def decide(
    unique_id: str,
    node: NodeRecord | Unreadable | None,
    run: RunRecord | None,
    producer: Producer,
    *,
    attempt: int = 1,
    was_cleared: bool = False,
    is_recovered: bool = False,
    policy: Policy | None = None,
) -> Decision:
    """The decision of a task that waits for the node `unique_id`, in its own attempt `attempt`.

    Read `node` and `run` after the producer's state: once the producer has ended, an absent record
    then stays absent. `was_cleared` says that a person cleared this task after the producer had
    ended. `is_recovered` says that the node was skipped for a failed node that has succeeded since.
    The table in docs/reference/decisions.md lists every case.
    """
    case = _Case(unique_id, run, producer, attempt, was_cleared, is_recovered, policy or Policy())
    if not producer.has_begun:
        return Decision(
            "wait", f"the task that runs dbt is {producer.state or 'not scheduled yet'}"
        )
    foreign: NodeRecord | Unreadable | None = None
    if isinstance(node, Unreadable) or (node is not None and not is_record_of(unique_id, node)):
        foreign = node
    elif node is not None and case.is_current(node):
        return case.of_record(node)
    if not producer.has_ended:
        return Decision(
            "wait", f"dbt has not ended this node; the task that runs dbt is {producer.state}"
        )
    return case.of_absence(foreign)


def is_record_of(unique_id: str, node: NodeRecord) -> bool:
    """Whether the record names this node. Airflow cannot store lone surrogates and NUL in an id."""
    return node.unique_id in (unique_id, _UNSAFE.sub("\ufffd", unique_id))


def decide_run(
    run: RunRecord | None,
    producer: Producer,
    found: int,
    *,
    attempt: int = 1,
    was_cleared: bool = False,
    policy: Policy | None = None,
) -> Decision | None:
    """The decision on an ended run as a whole, for a task that waits for a set of its nodes.

    `found` is the number of node records in Airflow. None if no record is missing: then the nodes
    alone decide.
    """
    case = _Case("", run, producer, attempt, was_cleared, False, policy or Policy())
    doubt = case.of_run()
    if doubt is not None or run is None:
        return doubt
    if run.nodes is None:
        return case.not_succeeded(
            "the record of the run does not say how many nodes it had, so some may be missing in "
            "Airflow: clear the task that runs dbt"
        )
    published = sum(run.nodes.values())
    if found < published:
        return case.not_succeeded(
            f"Airflow lacks {counted(published - found, 'record')} of this run, out of "
            f"{published:,}: deleted or overwritten. Clear the task that runs dbt"
        )
    return None


def is_current(record: NodeRecord, run: RunRecord | None, producer: Producer) -> bool:
    """Whether the record belongs to the producer's current attempt."""
    return _Case(record.unique_id, run, producer, 1, False, False, Policy()).is_current(record)


def combine(decisions: Sequence[Decision]) -> Decision:
    """The decision of a task that waits for several nodes, from the decisions on each.

    The task fails if a node failed, runs them if one must run, and is skipped if none succeeded.
    The reason has the reason of each, and `node` is the first record that decided.
    """
    if len(decisions) == 1:
        return decisions[0]
    ranked: tuple[Action, ...] = ("wait", "fail", "run", "success", "skip")
    first = min(decisions, key=lambda decision: ranked.index(decision.action))
    return Decision(first.action, "\n".join(d.reason for d in decisions), first.node)


@dataclass(frozen=True, slots=True)
class _Case:
    unique_id: str
    run: RunRecord | None
    producer: Producer
    attempt: int
    was_cleared: bool
    is_recovered: bool
    policy: Policy

    def is_current(self, record: NodeRecord | RunRecord) -> bool:
        """Whether the record belongs to the producer's current attempt.

        If that attempt is unknown, the run's record decides. Until an attempt has deleted the XComs
        of the one before, Airflow still has those, with a run that has ended. If no attempt deletes
        them, only the run's record at the producer itself tells their attempt.
        """
        mine, producer = number(record.attempt), self.producer
        if mine is None:  # the record of a saved log
            return True
        if producer.attempt is not None:
            return mine >= producer.attempt
        if self.run is None and not producer.is_cleared:
            return False
        if self.run is not None and mine < (number(self.run.attempt) or 0):
            return False
        is_running = self.run is not None and self.run.state == "running"
        return is_running or producer.state == "up_for_retry" or producer.has_ended

    def of_record(self, node: NodeRecord) -> Decision:
        said = result_text(node)
        if node.is_doubtful:
            return self.not_succeeded(f"{said}\n{doubt_reason(node)}", node)
        match node.outcome:
            case "success" | "warning":
                return Decision("success", said, node)
            case "skipped" if node.skip_cause != "upstream_failed":
                return Decision("skip", said, node)
            case "skipped" if self.policy.on_upstream_failed == "skip":
                return Decision("skip", said, node)
            case _:
                return self.not_succeeded(said, node)

    def of_absence(self, foreign: NodeRecord | Unreadable | None) -> Decision:
        """The decision if the producer has ended and the node has no record of its attempt.

        `foreign` is another record or value under the node's key.
        """
        doubt = self.of_run()
        if doubt is not None:
            return doubt
        if isinstance(foreign, Unreadable):
            return self.not_succeeded(
                f"this dbt-relay cannot read the XCom under the key of {self.unique_id}: a newer "
                "dbt-relay wrote it, or another program that writes XComs there"
            )
        if foreign is not None:
            return self.not_succeeded(
                f"the XCom under the key of {self.unique_id} is the record of "
                f"{foreign.unique_id}: find out which other program writes XComs there"
            )
        reason = (
            f"{self.unique_id} was not part of the run: `{self.run and self.run.command}` did not "
            "select it, or it is an ephemeral, empty or disabled model, which dbt never runs, or "
            "the project no longer has it: is the manifest of the DAG older than the project?"
        )
        if self.policy.on_missing == "fail":
            return self.not_succeeded(reason)
        return Decision(self.policy.on_missing, reason)

    def of_run(self) -> Decision | None:
        """The decision on the ended run itself; None if it left no node out."""
        run = self.run if self.run is not None and self.is_current(self.run) else None
        match self.producer.state:
            case "skipped":
                return Decision("skip", "the task that runs dbt was skipped")
            case "upstream_failed":
                return self.not_succeeded(
                    "dbt did not run: a task upstream of the task that runs it failed"
                )
            case "removed":
                return self.not_succeeded(
                    "the task that runs dbt is no longer part of the DAG: check producer_task_id"
                )
            case _ if run is None:
                return self.not_succeeded(no_record_reason(self.producer.state))
            case _:
                gap = gap_reason(run, "this node" if self.unique_id else "all of its nodes")
                return None if gap is None else self.not_succeeded(gap)

    def not_succeeded(self, reason: str, node: NodeRecord | None = None) -> Decision:
        """Fail, unless another attempt of the producer or a run of this node alone may mend it."""
        if self.producer.has_ended:
            may_run = self.policy.can_run and (self.is_recovered or not self._is_used_up)
            return Decision("run" if may_run else "fail", reason, node)
        # The first attempt reports a failure at once. A later attempt need not report it again, and
        # would be used up before the producer's own retry can mend the node.
        tells_now = self.producer.state != "up_for_retry" and self.attempt == 1
        may_change = node is not None and (node.outcome == "interrupted" or node.is_doubtful)
        if tells_now and not may_change:
            return Decision("fail", reason, node)
        return Decision("wait", f"{self.unique_id} has not succeeded; its run has not ended", node)

    @property
    def _is_used_up(self) -> bool:
        """Whether the producer has run the node in as many attempts as this task is entitled to."""
        run = number(self.run.attempt) if self.run is not None else None
        used = 1 if self.was_cleared else self.producer.attempt or run or 1
        return self.attempt <= used
