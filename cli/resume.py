"""What the second attempt of a task runs, so that dbt continues instead of starting over."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ..parser import read_run_results
from .arguments import DbtArguments, Option

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ..parser import NodeRecord, RunResults

    List = Callable[[tuple[str, ...]], "Listing"]

_RETRYABLE: Final = frozenset({"error", "fail", "skipped", "runtime error", "partial success"})
_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "build": ("model", "seed", "snapshot", "test", "unit_test", "saved_query", "function"),
    "run": ("model",),
    "seed": ("seed",),
    "snapshot": ("snapshot",),
    "test": ("test", "unit_test"),
}
"""The subcommands that can be continued, with what they run."""

_SELECTION: Final = frozenset(
    {"--select", "-s", "--models", "--model", "-m", "--exclude", "--selector",
     "--indirect-selection"}
)  # fmt: skip
_PLACE: Final = frozenset(
    {"--project-dir", "--profiles-dir", "--profile", "--target", "-t", "--target-path", "--vars"}
)
_STATE: Final = frozenset(
    {"--state", "--defer-state", "--defer", "--no-defer", "--favor-state", "--no-favor-state"}
)
_OF_LS: Final = (
    _SELECTION
    | _PLACE
    | _STATE
    | {"--resource-type", "--resource-types", "--exclude-resource-type",
       "--exclude-resource-types"}
)  # fmt: skip
_CONSOLE: Final = frozenset(
    {"--debug", "-d", "--log-level", "--log-format", "--quiet", "-q", "--no-quiet"}
)
_OF_RETRY: Final = _PLACE | {"--threads"}
_OF_ALL: Final = frozenset(
    {
        "--debug", "-d", "--log-level", "--log-level-file", "--log-format", "--log-format-file",
        "--log-path", "--log-file-max-bytes", "--quiet", "-q", "--no-quiet", "--use-colors",
        "--no-use-colors", "--use-colors-file", "--no-use-colors-file", "--printer-width",
        "--warn-error", "--warn-error-options", "--no-version-check", "--no-partial-parse",
        "--partial-parse", "--partial-parse-file-path", "--no-static-parser",
        "--no-send-anonymous-usage-stats",
    }
)  # fmt: skip
"""Options that every command of dbt has, and that `dbt retry` does not take from its file."""

_AS_JSON: Final = Option("--output", ("--output", "json", "--output-keys", "unique_id", "fqn"))
_NOTHING_ELSE: Final = Option("--indirect-selection", ("--indirect-selection", "empty"))
"""Else a model by name brings its tests, done or not; what is missing of those has a name too."""

_PLAIN: Final = re.compile(r"[\w.-]+")


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
class Listing:
    """What `dbt ls` printed, or why it did not."""

    output: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Resumption:
    """The command to run, records to publish again at once, and which way was taken and why."""

    command: tuple[str, ...]
    carried: tuple[NodeRecord, ...]
    note: str


class _CannotError(Exception):
    """Why a way to resume is none."""


def resume(
    command: Sequence[str],
    earlier: Earlier | None,
    *,
    attempt: int,
    target_dir: Path,
    list_nodes: List,
) -> Resumption:
    """How to go on after an earlier attempt. `list_nodes` runs a `dbt ls` command.

    With `dbt retry` where dbt itself knows how it ended; else with the nodes selected by name that
    the records do not show as done; else everything again.
    """
    given = tuple(command)
    if earlier is None:
        return Resumption(given, (), "everything runs: nothing is known of an earlier attempt")
    done = {u: r for u, r in earlier.records.items() if _is_done(r)}
    try:
        parts = _parts(given, earlier, done)
    except _CannotError as reason:
        return Resumption(given, (), f"everything runs again: {reason}")
    carried = tuple(
        replace(r, attempt=attempt, resumed_from=r.resumed_from or r.attempt or earlier.attempt)
        for r in done.values()
    )
    of = f"resuming attempt {earlier.attempt}"
    had = f"{len(done)} nodes had succeeded"
    try:
        return Resumption(
            _retry(parts, earlier, target_dir), carried, f"{of} with dbt retry: {had}"
        )
    except _CannotError as reason:
        why = str(reason)
    try:
        chosen, count = _selection(parts, done, list_nodes)
    except _CannotError as reason:
        return Resumption(given, (), f"everything runs again: {why}, and {reason}")
    return Resumption(
        chosen, carried, f"{of}: {had}, and the other {count} are selected by name, because {why}"
    )


def _is_done(record: NodeRecord) -> bool:
    """Whether `dbt retry` would leave it alone. Hooks run every time."""
    kind = record.unique_id.partition(".")[0]
    return record.outcome in ("success", "warning") and kind not in ("operation", "macro")


def _parts(
    command: tuple[str, ...], earlier: Earlier, done: Mapping[str, NodeRecord]
) -> DbtArguments:
    if command != earlier.command:
        was = shlex.join(earlier.command) or "not known"
        raise _CannotError(f"the command of attempt {earlier.attempt} was another ({was})")
    if not done:
        raise _CannotError(f"nothing had succeeded in attempt {earlier.attempt}")
    parts = DbtArguments.of(command)
    if parts is None:
        raise _CannotError("the command is not one call of dbt, and a script cannot be resumed")
    if parts.subcommand not in _TYPES:
        raise _CannotError(f"dbt {parts.subcommand} cannot be resumed")
    return parts


def _retry(parts: DbtArguments, earlier: Earlier, target_dir: Path) -> tuple[str, ...]:
    """The `dbt retry`, if dbt's own account of the earlier attempt is there and right."""
    if earlier.exit_code not in (0, 1):
        how = "was killed" if earlier.exit_code is None else f"ended with {earlier.exit_code}"
        raise _CannotError(f"dbt {how} and left no whole run_results.json")
    if parts.has(_STATE):
        raise _CannotError("dbt retry takes --state for something else")
    if len(earlier.invocation_ids) != 1:
        raise _CannotError(f"attempt {earlier.attempt} did not call dbt just once")
    folder = earlier.target_dir
    results = _results(folder)
    if folder is None or results is None or results.invocation_id != earlier.invocation_ids[0]:
        raise _CannotError(f"the run_results.json of attempt {earlier.attempt} is gone")
    _check(results, earlier)
    kept = [o for o in parts.options if o.name in _OF_RETRY | _OF_ALL]
    # Where the earlier attempt had another folder than this one will have.
    if folder != target_dir:
        kept.append(Option("--state", ("--state", str(folder.absolute()))))
    return parts.words("retry", kept)


def _results(folder: Path | None) -> RunResults | None:
    try:
        return read_run_results((folder / "run_results.json").read_bytes()) if folder else None
    except OSError:
        return None


def _check(results: RunResults, earlier: Earlier) -> None:
    """Whether dbt's file agrees with its log.

    Under --fail-fast it calls nodes skipped that had succeeded (dbt 1.7 to 1.12), and what was
    cancelled is not in it: `dbt retry` would do too much, or too little and end well.
    """
    for unique_id, record in earlier.records.items():
        kind = unique_id.partition(".")[0]
        if record.resumed_from is not None or kind in ("operation", "macro"):
            continue
        result = results.results.get(unique_id)
        if result is None and _is_done(record):  # ephemeral models are in no such file
            continue
        if result is None or (result.get("status") in _RETRYABLE) == _is_done(record):
            raise _CannotError(f"run_results.json and dbt's log do not agree on {unique_id}")


def _selection(
    parts: DbtArguments, done: Mapping[str, NodeRecord], list_nodes: List
) -> tuple[tuple[str, ...], int]:
    """The command with the nodes that are not done by name, and their number.

    To add what is done to `--exclude` would not do: that drops the tests of a node with it, also
    those that had not run (dbt's indirect selection), and a selector or a default selector knows
    no --exclude. So dbt says itself what the command selects.
    """
    options = [o for o in parts.options if o.name in _OF_LS | _OF_ALL]
    listing = list_nodes(parts.words("ls", [*options, _AS_JSON], without=_CONSOLE))
    if listing.error is not None:
        raise _CannotError(f"dbt ls failed: {listing.error}")
    nodes = _nodes(listing.output)
    if not nodes:
        raise _CannotError("dbt ls listed no node")
    types = _TYPES[parts.subcommand]
    missing = [fqn for u, fqn in nodes.items() if u not in done and u.partition(".")[0] in types]
    if not missing:
        raise _CannotError("every node had succeeded: what failed came after them")
    odd = next((fqn for fqn in missing if not _PLAIN.fullmatch(fqn)), None)
    if odd is not None:
        raise _CannotError(f"{odd!r} cannot be selected by name")
    kept = [o for o in parts.options if o.name not in _SELECTION]
    chosen = Option("--select", ("--select", *(f"fqn:{fqn}" for fqn in missing)))
    return parts.words(parts.subcommand, [*kept, chosen, _NOTHING_ELSE]), len(missing)


def _nodes(output: str) -> dict[str, str]:
    """The fully qualified name of each node that `dbt ls` printed, by unique_id."""
    nodes: dict[str, str] = {}
    for line in output.splitlines():
        try:
            node = json.loads(line)
            nodes[node["unique_id"]] = ".".join(node["fqn"])
        except (ValueError, TypeError, KeyError):
            continue  # a warning of dbt's, or of what wraps it
    return nodes
