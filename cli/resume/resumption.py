"""What the second attempt of a task runs, so that dbt continues instead of starting over."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ...parser import read_run_results
from ...records.plural import counted
from ..dbt.arguments import DbtArguments, Option
from ..dbt.target import checksums_in
from .remaining import (
    EVERY_TIME,
    OF_ALL,
    PLACE,
    STATE,
    TYPES,
    CannotResumeError,
    below,
    by_name,
    knows_code,
    selected,
    with_other_code,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from ...parser import RunResults
    from ...records import NodeRecord
    from .remaining import List, Listed

_OF_RETRY: Final = PLACE | {"--threads"}
_RETRYABLE: Final = ("error", "fail", "skipped", "runtime error", "partial success")


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is known of the latest earlier attempt. `exit_code` is dbt's, None if dbt or the relay
    was killed; `invocation_ids` are in order, of dbt's calls in that attempt alone."""

    attempt: int
    command: tuple[str, ...]
    exit_code: int | None
    invocation_ids: tuple[str, ...]
    target_dir: Path | None
    records: Mapping[str, NodeRecord]


@dataclass(frozen=True, slots=True)
class Resumption:
    """The command to run, records to publish again at once, and which way was taken and why."""

    command: tuple[str, ...]
    carried: tuple[NodeRecord, ...]
    remark: str | None


@dataclass(frozen=True, slots=True)
class _Task:
    """What there is to do, and what is known of it: `nodes` are those that the command selects now,
    `changed` those with other code by now, and `below` what depends on these, or on others that
    run."""

    parts: DbtArguments
    earlier: Earlier
    done: Mapping[str, NodeRecord]
    nodes: Sequence[Listed]
    changed: AbstractSet[str]
    below: AbstractSet[str]

    @property
    def again(self) -> set[str]:
        """What had succeeded, and runs again."""
        return self.done.keys() & (self.changed | self.below)

    @property
    def left(self) -> set[str]:
        built = {n.unique_id for n in self.nodes if not n.is_ephemeral}
        return built - (self.done.keys() - self.again)


def resume(
    command: Sequence[str],
    earlier: Earlier | None,
    *,
    attempt: int,
    target_dir: Path,
    list_nodes: List,
) -> Resumption:
    """How to go on after an earlier attempt. `list_nodes` runs a `dbt ls` command.

    Done is a node that is known to have succeeded, with the code that it has now and so with all
    before it; what is in doubt runs. Hooks run every time.

    With `dbt retry` where that would run all that is left of what the command selects now, and
    nothing else; else with the nodes that are left by name; else everything again.
    """
    given = tuple(command)
    if earlier is None:
        return Resumption(given, (), "everything runs: nothing is known of an earlier attempt")
    done = _done(given, earlier)
    try:
        parts = _parts(given, earlier, done)
        nodes = selected(parts, earlier.records, done, list_nodes)
        changed = with_other_code(nodes, earlier.records, _compiled(earlier))
        task = _Task(parts, earlier, done, nodes, changed, below(nodes, changed, done))
        if not task.left:
            raise CannotResumeError("every node had succeeded: what failed came after them")
        if len(task.left) == len(nodes):
            raise CannotResumeError("no node that is selected now had succeeded with its code")
        try:
            chosen, runs = _retry(task, target_dir), task.left
            way, why = " with dbt retry", ""
        except CannotResumeError as reason:
            chosen, runs = by_name(parts, nodes, task.left)
            others = "" if task.again else "the other "
            count = counted(len(runs), "is", "are")
            way, why = "", f", and {others}{count} selected by name, because {reason}"
    except CannotResumeError as reason:
        return Resumption(given, (), f"everything runs again: {reason}")
    listed = {n.unique_id for n in nodes}
    carried = tuple(
        replace(r, attempt=attempt, resumed_from=r.resumed_from or r.attempt or earlier.attempt)
        for r in done.values()
        if r.unique_id in listed - runs
    )
    return Resumption(
        chosen, carried, f"resuming attempt {earlier.attempt}{way}: {_had(task)}{why}"
    )


def _compiled(earlier: Earlier) -> dict[str, str]:
    """The checksums of the code that the attempt compiled, as long as its manifest is there."""
    if earlier.target_dir is None or not earlier.invocation_ids:
        return {}
    return checksums_in(earlier.target_dir / "manifest.json", earlier.invocation_ids[-1])


def _had(task: _Task) -> str:
    """What had succeeded, in words."""
    listed = {n.unique_id for n in task.nodes if n.unique_id in task.done}
    words = f"{counted(len(listed), 'node')} had succeeded"
    if again := task.again:
        run = counted(len(again), "runs", "run")
        why = "code changed there or upstream" if task.changed else "an upstream node runs now"
        words += f", of which {run} again because {why}"
    elif not knows_code(task.earlier.records) and any(
        n.checksum for n in task.nodes if n.unique_id in listed
    ):
        words += " (whether their code has changed since is not known)"
    return words


def _done(command: Sequence[str], earlier: Earlier) -> dict[str, NodeRecord]:
    """The nodes that are known to have succeeded."""
    # Under --warn-error a warning is what made dbt fail.
    good = ("success",) if "--warn-error" in command else ("success", "warning")
    return {
        u: r
        for u, r in earlier.records.items()
        if r.outcome in good and r.has_succeeded and not u.startswith(EVERY_TIME)
    }


def _parts(
    command: tuple[str, ...], earlier: Earlier, done: Mapping[str, NodeRecord]
) -> DbtArguments:
    if command != earlier.command:
        was = shlex.join(earlier.command) or "not known"
        raise CannotResumeError(f"the command of attempt {earlier.attempt} was another ({was})")
    if not done:
        raise CannotResumeError(f"nothing had succeeded in attempt {earlier.attempt}")
    parts = DbtArguments.of(command)
    if parts is None:
        raise CannotResumeError(
            "the command is not one call of dbt, and a script cannot be resumed"
        )
    if parts.subcommand not in TYPES:
        raise CannotResumeError(f"dbt {parts.subcommand} cannot be resumed")
    if all(u in done for u in earlier.records if not u.startswith(EVERY_TIME)):
        if earlier.exit_code == 0:  # whoever clears a task that is green wants it to run
            raise CannotResumeError(f"attempt {earlier.attempt} had succeeded")
        if earlier.exit_code == 1:  # with nothing selected dbt ends well, and runs no hook
            raise CannotResumeError("every node had succeeded, yet dbt failed, as over a hook")
    return parts


def _retry(task: _Task, target_dir: Path) -> tuple[str, ...]:
    """The `dbt retry`, if dbt's own account of the earlier attempt is there and right."""
    parts, earlier, done = task.parts, task.earlier, task.done
    if earlier.exit_code not in (0, 1):
        how = "was killed" if earlier.exit_code is None else f"ended with {earlier.exit_code}"
        raise CannotResumeError(f"dbt {how} and left no whole run_results.json")
    if parts.has(STATE):
        raise CannotResumeError("dbt retry takes --state for something else")
    if len(earlier.invocation_ids) != 1:
        raise CannotResumeError(f"attempt {earlier.attempt} did not call dbt just once")
    folder = earlier.target_dir
    results = _results(folder)
    if folder is None or results is None or results.invocation_id != earlier.invocation_ids[0]:
        raise CannotResumeError(f"the run_results.json of attempt {earlier.attempt} is gone")
    retryable = (*_RETRYABLE, "warn") if parts.has({"--warn-error"}) else _RETRYABLE
    _check(results, earlier, done, retryable)
    _check_left(results, retryable, task)
    kept = [o for o in parts.options if o.name in _OF_RETRY | OF_ALL]
    # Where the earlier attempt had another folder than this one will have.
    if folder != target_dir:
        kept.append(Option("--state", ("--state", str(folder.absolute()))))
    return parts.words("retry", kept)


def _results(folder: Path | None) -> RunResults | None:
    try:
        return read_run_results((folder / "run_results.json").read_bytes()) if folder else None
    except OSError:
        return None


def _check(
    results: RunResults, earlier: Earlier, done: Collection[str], retryable: Collection[str]
) -> None:
    """Whether dbt's file agrees with its log.

    Under --fail-fast it calls nodes skipped that had succeeded (dbt 1.7 to 1.12), and what was
    cancelled is not in it: `dbt retry` would do too much, or too little and end well.
    """
    for unique_id, record in earlier.records.items():
        if record.resumed_from is not None or unique_id.startswith(EVERY_TIME):
            continue
        result = results.results.get(unique_id)
        if result is None and unique_id in done:  # ephemeral models are in no such file
            continue
        if result is None or (result.get("status") in retryable) == (unique_id in done):
            raise CannotResumeError(f"run_results.json and dbt's log do not agree on {unique_id}")


def _check_left(results: RunResults, retryable: Collection[str], task: _Task) -> None:
    """Whether `dbt retry` would run what is left: it takes its nodes from the file alone."""
    ephemeral = {n.unique_id for n in task.nodes if n.is_ephemeral}
    statuses = {
        u: r.get("status")
        for u, r in results.results.items()
        if not u.startswith(EVERY_TIME) and r.get("status") in retryable
    }
    if other := sorted((task.left ^ statuses.keys()) - ephemeral):
        does = "not run" if other[0] in task.left else "also run"
        raise CannotResumeError(f"dbt retry would {does} {other[0]}")
    # Of a microbatch model it runs the batches that had failed.
    halves = {u for u, status in statuses.items() if status == "partial success"}
    if other := sorted(halves & task.changed):
        raise CannotResumeError(f"dbt retry would run a part of {other[0]}, whose code is another")
