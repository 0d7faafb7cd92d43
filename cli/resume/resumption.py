"""How an attempt of a task goes on where the previous one stopped."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ...parser import read_run_results
from ...records.plural import counted
from ..dbt.arguments import OF_ALL, PLACE, DbtArguments, Option
from ..dbt.target import checksums_in
from .remaining import (
    EVERY_TIME,
    STATE,
    TYPES,
    CannotResumeError,
    changed_nodes,
    downstream,
    has_checksums,
    select_by_name,
    selected,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from ...parser import RunResults
    from ...records import NodeRecord
    from .listing import ListedNode, RunLs

_OF_RETRY: Final = PLACE | {"--threads"}
_RETRYABLE: Final = ("error", "fail", "skipped", "runtime error", "partial success")


@dataclass(frozen=True, slots=True)
class PreviousAttempt:
    """The attempt right before this one.

    `exit_code` is dbt's, None if dbt or the relay was killed. `invocation_ids` are of dbt's calls
    in this attempt alone, in order. `records` has the nodes by unique_id, with those that the
    attempt had carried over itself.
    """

    attempt: int
    command: tuple[str, ...]
    exit_code: int | None
    invocation_ids: tuple[str, ...]
    target_dir: Path | None
    records: Mapping[str, NodeRecord]


@dataclass(frozen=True, slots=True)
class Resumption:
    """The command to run, the records to publish again, and a line for a person on both."""

    command: tuple[str, ...]
    carried: tuple[NodeRecord, ...]
    remark: str | None


@dataclass(frozen=True, slots=True)
class _Work:
    """The nodes of a command, and what is known of them.

    `nodes` are selected now. `done` had succeeded before. `changed` have other code now, and
    `downstream` depend on those, or on nodes that have yet to succeed.
    """

    parts: DbtArguments
    previous: PreviousAttempt
    done: Mapping[str, NodeRecord]
    nodes: Sequence[ListedNode]
    changed: AbstractSet[str]
    downstream: AbstractSet[str]

    @property
    def again(self) -> set[str]:
        """The nodes that had succeeded and run again."""
        return self.done.keys() & (self.changed | self.downstream)

    @property
    def left(self) -> set[str]:
        """The nodes to run."""
        built = {n.unique_id for n in self.nodes if not n.is_ephemeral}
        return built - (self.done.keys() - self.again)


def resume(
    command: Sequence[str],
    previous: PreviousAttempt | None,
    *,
    attempt: int,
    target_dir: Path,
    run_ls: RunLs,
) -> Resumption:
    """How to go on after the previous attempt.

    A node is done if it is known to have succeeded with the code that it has now, and so are the
    nodes upstream of it. A node in doubt runs. Hooks run every time.

    `dbt retry` is used where it would run exactly the nodes that are left. Otherwise they are
    selected by name; where that cannot be done, everything runs again.
    """
    given = tuple(command)
    if previous is None:
        return Resumption(given, (), "everything runs: no earlier attempt is known")
    done = _done(given, previous)
    try:
        work = _work(_parts(given, previous, done), previous, done, run_ls)
        try:
            chosen, runs = _retry(work, target_dir), work.left
            way, why = " with dbt retry", ""
        except CannotResumeError as reason:
            chosen, runs = select_by_name(work.parts, work.nodes, work.left)
            others = "" if work.again else "the other "
            count = counted(len(runs), "is", "are")
            way, why = "", f", and {others}{count} selected by name, because {reason}"
    except CannotResumeError as reason:
        return Resumption(given, (), f"everything runs again: {reason}")
    listed = {n.unique_id for n in work.nodes}
    carried = tuple(
        replace(r, attempt=attempt, resumed_from=r.resumed_from or r.attempt or previous.attempt)
        for r in done.values()
        if r.unique_id in listed - runs
    )
    return Resumption(
        chosen, carried, f"resuming attempt {previous.attempt}{way}: {_had(work)}{why}"
    )


def _work(
    parts: DbtArguments,
    previous: PreviousAttempt,
    done: Mapping[str, NodeRecord],
    run_ls: RunLs,
) -> _Work:
    """The nodes of the command. Raises CannotResumeError if none or all of them are left."""
    nodes = selected(parts, previous.records, done, run_ls)
    changed = changed_nodes(nodes, previous.records, _compiled(previous))
    work = _Work(parts, previous, done, nodes, changed, downstream(nodes, changed, done))
    if not work.left:
        raise CannotResumeError("every node had succeeded: the failure came later")
    if len(work.left) == len(nodes):
        raise CannotResumeError("no selected node had succeeded with the code that it has now")
    return work


def _compiled(previous: PreviousAttempt) -> dict[str, str]:
    """The checksums of the code that the attempt compiled; empty once its manifest is gone."""
    if previous.target_dir is None or not previous.invocation_ids:
        return {}
    return checksums_in(previous.target_dir / "manifest.json", previous.invocation_ids[-1])


def _had(work: _Work) -> str:
    """How many nodes had succeeded, and which of those run again, in words."""
    listed = {n.unique_id for n in work.nodes if n.unique_id in work.done}
    words = f"{counted(len(listed), 'node')} had succeeded"
    if again := work.again:
        run = counted(len(again), "runs", "run")
        why = "code changed there or upstream" if work.changed else "an upstream node runs now"
        words += f", of which {run} again because {why}"
    elif not has_checksums(work.previous.records) and any(
        n.checksum for n in work.nodes if n.unique_id in listed
    ):
        words += " (dbt-relay does not know whether their code has changed)"
    return words


def _done(command: Sequence[str], previous: PreviousAttempt) -> dict[str, NodeRecord]:
    """The nodes that are known to have succeeded."""
    # With --warn-error dbt failed because of a warning.
    good = ("success",) if "--warn-error" in command else ("success", "warning")
    return {
        u: r
        for u, r in previous.records.items()
        if r.outcome in good and r.has_succeeded and not u.startswith(EVERY_TIME)
    }


def _parts(
    command: tuple[str, ...], previous: PreviousAttempt, done: Mapping[str, NodeRecord]
) -> DbtArguments:
    """The parts of the command. Raises CannotResumeError if it is not one to go on with."""
    if command != previous.command:
        was = shlex.join(previous.command) or "not known"
        raise CannotResumeError(f"attempt {previous.attempt} ran a different command ({was})")
    if not done:
        raise CannotResumeError(f"nothing had succeeded in attempt {previous.attempt}")
    parts = DbtArguments.of(command)
    if parts is None:
        raise CannotResumeError(
            "the command is not one call of dbt, and a script cannot be resumed"
        )
    if parts.subcommand not in TYPES:
        raise CannotResumeError(f"dbt {parts.subcommand} cannot be resumed")
    if all(u in done for u in previous.records if not u.startswith(EVERY_TIME)):
        if previous.exit_code == 0:  # who clears a green task wants it to run
            raise CannotResumeError(f"attempt {previous.attempt} had succeeded")
        if previous.exit_code == 1:  # with no node selected dbt would succeed and run no hook
            raise CannotResumeError("every node succeeded but dbt failed, for example in a hook")
    return parts


def _retry(work: _Work, target_dir: Path) -> tuple[str, ...]:
    """The `dbt retry` command, if its run_results.json of the previous attempt is right."""
    parts, previous, done = work.parts, work.previous, work.done
    if previous.exit_code not in (0, 1):
        how = "was killed" if previous.exit_code is None else f"ended with {previous.exit_code}"
        raise CannotResumeError(f"dbt {how} and left no complete run_results.json")
    if parts.has(STATE):
        raise CannotResumeError("dbt retry uses --state for a different purpose")
    if len(previous.invocation_ids) != 1:
        raise CannotResumeError(f"attempt {previous.attempt} did not call dbt exactly once")
    folder = previous.target_dir
    results = _results(folder)
    if folder is None or results is None or results.invocation_id != previous.invocation_ids[0]:
        raise CannotResumeError(f"the run_results.json of attempt {previous.attempt} is gone")
    retryable = (*_RETRYABLE, "warn") if parts.has({"--warn-error"}) else _RETRYABLE
    _check(results, previous, done, retryable)
    _check_left(results, retryable, work)
    kept = [o for o in parts.options if o.name in _OF_RETRY | OF_ALL]
    if folder != target_dir:  # dbt would look into the folder of this attempt
        kept.append(Option("--state", ("--state", str(folder.absolute()))))
    return parts.words("retry", kept)


def _results(folder: Path | None) -> RunResults | None:
    try:
        return read_run_results((folder / "run_results.json").read_bytes()) if folder else None
    except OSError:
        return None


def _check(
    results: RunResults,
    previous: PreviousAttempt,
    done: Collection[str],
    retryable: Collection[str],
) -> None:
    """Check that dbt's run_results.json agrees with its log.

    After --fail-fast the file calls nodes skipped that had succeeded (dbt 1.7 to 1.12), and lacks
    cancelled nodes. Then `dbt retry` would run too much, or too little and succeed.
    """
    for unique_id, record in previous.records.items():
        if record.resumed_from is not None or unique_id.startswith(EVERY_TIME):
            continue
        result = results.results.get(unique_id)
        if result is None and unique_id in done:  # the file has no ephemeral models
            continue
        if result is None or (result.get("status") in retryable) == (unique_id in done):
            raise CannotResumeError(f"run_results.json and dbt's log do not agree on {unique_id}")


def _check_left(results: RunResults, retryable: Collection[str], work: _Work) -> None:
    """Check that `dbt retry`, which takes its nodes from the file alone, would run what is left."""
    ephemeral = {n.unique_id for n in work.nodes if n.is_ephemeral}
    statuses = {
        u: r.get("status")
        for u, r in results.results.items()
        if not u.startswith(EVERY_TIME) and r.get("status") in retryable
    }
    if other := sorted((work.left ^ statuses.keys()) - ephemeral):
        does = "not run" if other[0] in work.left else "also run"
        raise CannotResumeError(f"dbt retry would {does} {other[0]}")
    # It runs only the failed batches of a microbatch model.
    partial = {u for u, status in statuses.items() if status == "partial success"}
    if other := sorted(partial & work.changed):
        raise CannotResumeError(
            f"dbt retry would run only some batches of {other[0]}, but its code has changed"
        )
