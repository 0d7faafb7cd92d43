"""What becomes of a task that waits for one dbt node: one decision, from what is known of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ...records.plural import counted
from ...records.values import number
from .reasons import doubt_reason, gap_reason, no_record_reason
from .wording import result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...records.schema import NodeRecord, RunRecord

Action = Literal["wait", "success", "skip", "fail", "run"]
"""`run` is for the waiting task to run the node itself."""

OnMissing = Literal["fail", "skip", "success"]
OnUpstreamFailed = Literal["fail", "skip"]

FINAL: Final = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States in which Airflow leaves a task until somebody clears it."""
_BEFORE: Final = frozenset({None, "scheduled", "queued", "restarting"})
"""States before a try begins: Airflow still has the XComs of the try before, if there was one."""
_UNSAFE: Final = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Producer:
    """The task that runs dbt.

    `state` is Airflow's word, None before it was scheduled; `try_number` is None where Airflow
    does not tell it. `is_cleared`: Airflow deletes the records of a try at the start of the next,
    as it does unless they lie at another task.
    """

    state: str | None
    try_number: int | None = None
    is_cleared: bool = True

    @property
    def has_begun(self) -> bool:
        return self.state not in _BEFORE

    @property
    def has_ended(self) -> bool:
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class Policy:
    """What to make of a node that was not part of the run, and of one that dbt skipped because
    something before it failed. `can_run`: the waiting task has a command to run the node with."""

    on_missing: OnMissing = "fail"
    on_upstream_failed: OnUpstreamFailed = "fail"
    can_run: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` is for a person. `node` is the record that decided, None if its absence did."""

    action: Action
    reason: str
    node: NodeRecord | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What lies under a node's key where it is no record that this dbt-relay can read."""


def decide(
    unique_id: str,
    node: NodeRecord | Unreadable | None,
    run: RunRecord | None,
    producer: Producer,
    *,
    attempt: int = 1,
    is_mended: bool = False,
    policy: Policy | None = None,
) -> Decision:
    """What a task that waits for the node `unique_id` does now, in its try `attempt`.

    `node` and `run` must have been read after the producer's state: then a node without a record
    has none, once the producer has ended. `is_mended`: what the node was skipped for has succeeded
    since.
    """
    case = _Case(unique_id, run, producer, attempt, is_mended, policy or Policy())
    if not producer.has_begun:
        return Decision(
            "wait", f"the task that runs dbt is {producer.state or 'not scheduled yet'}"
        )
    stranger: NodeRecord | Unreadable | None = None
    if isinstance(node, Unreadable) or (node is not None and not is_record_of(unique_id, node)):
        stranger = node
    elif node is not None and case.is_of_this_try(node):
        return case.of_record(node)
    if not producer.has_ended:
        return Decision("wait", f"dbt has not ended this node; its task is {producer.state}")
    return case.of_absence(stranger)


def is_record_of(unique_id: str, node: NodeRecord) -> bool:
    """Whether the record names this node. An id in Airflow has no lone surrogates and no NUL."""
    return node.unique_id in (unique_id, _UNSAFE.sub("\ufffd", unique_id))


def judge(
    run: RunRecord | None,
    producer: Producer,
    found: int,
    *,
    attempt: int = 1,
    policy: Policy | None = None,
) -> Decision | None:
    """What a task that waits for a set of nodes does because of the run itself, which has ended.

    `found` is how many records there are of its nodes. None if they are all there, so that the
    nodes decide.
    """
    case = _Case("", run, producer, attempt, False, policy or Policy())
    doubt = case.of_the_run()
    if doubt is not None or run is None:
        return doubt
    if run.nodes is None:
        return case.not_succeeded(
            "the record of the run does not say how many nodes it had, so nobody can say here "
            "whether all of them are in Airflow: clear the task that runs dbt"
        )
    published = sum(run.nodes.values())
    if found < published:
        return case.not_succeeded(
            f"Airflow lacks {counted(published - found, 'record')} of this run, out of "
            f"{published:,}: deleted or overwritten. Clear the task that runs dbt"
        )
    return None


def is_of_this_try(record: NodeRecord, run: RunRecord | None, producer: Producer) -> bool:
    """Whether the record is of the producer's present try."""
    return _Case(record.unique_id, run, producer, 1, False, Policy()).is_of_this_try(record)


def combine(decisions: Sequence[Decision]) -> Decision:
    """What a task does that waits for several nodes, all of them decided: it fails if one did, runs
    them if one is to be run, and is skipped if none succeeded. Its reason tells of each once."""
    if len(decisions) == 1:
        return decisions[0]
    ranked: tuple[Action, ...] = ("wait", "fail", "run", "success", "skip")
    first = min(decisions, key=lambda decision: ranked.index(decision.action))
    return Decision(first.action, "\n".join(decision.reason for decision in decisions))


@dataclass(frozen=True, slots=True)
class _Case:
    unique_id: str
    run: RunRecord | None
    producer: Producer
    attempt: int
    is_mended: bool
    policy: Policy

    def is_of_this_try(self, record: NodeRecord | RunRecord) -> bool:
        """Whether the record is of the producer's present try.

        Where the try is not known, the run's own record must be of it: until a try has deleted the
        XComs of the one before, those of the latter are there, with a run that has ended. Where it
        deletes none, only the run's record at the producer itself says which try they are of.
        """
        mine, producer = number(record.attempt), self.producer
        if mine is None:  # of a saved log
            return True
        if producer.try_number is not None:
            return mine >= producer.try_number
        if self.run is None and not producer.is_cleared:
            return False
        if self.run is not None and mine < (number(self.run.attempt) or 0):
            return False
        is_running = self.run is not None and self.run.state == "running"
        return is_running or producer.state == "up_for_retry" or producer.has_ended

    def of_record(self, node: NodeRecord) -> Decision:
        said = result(node)
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

    def of_absence(self, stranger: NodeRecord | Unreadable | None) -> Decision:
        """The producer has ended, and the node has no record of its try. `stranger` is what else
        lies under this node's key."""
        doubt = self.of_the_run()
        if doubt is not None:
            return doubt
        if isinstance(stranger, Unreadable):
            return self.not_succeeded(
                f"what lies under the key of {self.unique_id} is no record that this dbt-relay can "
                "read: a newer one may have written it, or something else that writes XComs there"
            )
        if stranger is not None:
            return self.not_succeeded(
                f"what lies under the key of {self.unique_id} is the record of "
                f"{stranger.unique_id}: look at what else writes XComs there"
            )
        reason = (
            f"{self.unique_id} was not part of the run: `{self.run and self.run.command}` did not "
            "select it, or it is an ephemeral, empty or disabled model, which dbt never runs"
        )
        if self.policy.on_missing == "fail":
            return self.not_succeeded(reason)
        return Decision(self.policy.on_missing, reason)

    def of_the_run(self) -> Decision | None:
        """What comes of the run itself, once it has ended; None if it left nothing out."""
        run = self.run if self.run is not None and self.is_of_this_try(self.run) else None
        match self.producer.state:
            case "skipped":
                return Decision("skip", "the task that runs dbt was skipped")
            case "upstream_failed":
                return self.not_succeeded(
                    "dbt was not run: a task before the one that runs it failed"
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
        """Fail, unless another try of the producer, or a run of this node alone, may mend it."""
        if self.producer.has_ended:
            can_run = self.policy.can_run and (self.attempt > 1 or self.is_mended)
            return Decision("run" if can_run else "fail", reason, node)
        # The first try tells at once what failed. A later one has told it, and would be used up
        # before the producer's own retry could mend it.
        tells_now = self.producer.state != "up_for_retry" and self.attempt == 1
        may_change = node is not None and (node.outcome == "interrupted" or node.is_doubtful)
        if tells_now and not may_change:
            return Decision("fail", reason, node)
        return Decision("wait", f"{self.unique_id} has not succeeded; its run has not ended", node)
