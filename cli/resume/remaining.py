"""The nodes that a dbt command has left to run, by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...consumer.graph.names import exactly
from ...records.plural import counted
from ...records.values import is_object, text
from ..dbt.arguments import DbtArguments, Option

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ...records import NodeRecord

    List = Callable[[tuple[str, ...]], "Listing"]

TYPES: Final[dict[str, tuple[str, ...]]] = {
    "build": (
        "model", "seed", "snapshot", "test", "unit_test", "saved_query", "function",
    ),
    "run": ("model",),
    "seed": ("seed",),
    "snapshot": ("snapshot",),
    "test": ("test", "unit_test"),
}  # fmt: skip
"""The subcommands that can be continued, with what they run."""

_MODELS: Final = frozenset({"--models", "--model", "-m"})
_SELECTION: Final = frozenset(
    {"--select", "-s", "--models", "--model", "-m", "--exclude", "--selector",
     "--indirect-selection"}
)  # fmt: skip
PLACE: Final = frozenset(
    {"--project-dir", "--profiles-dir", "--profile", "--target", "-t", "--target-path", "--vars"}
)
STATE: Final = frozenset(
    {"--state", "--defer-state", "--defer", "--no-defer", "--favor-state", "--no-favor-state"}
)
_OF_LS: Final = (
    _SELECTION
    | PLACE
    | STATE
    | {"--resource-type", "--resource-types", "--exclude-resource-type",
       "--exclude-resource-types"}
)  # fmt: skip
_CONSOLE: Final = frozenset(
    {"--debug", "-d", "--log-level", "--log-format", "--quiet", "-q", "--no-quiet"}
)
OF_ALL: Final = frozenset(
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

_AS_JSON: Final = Option(
    "--output",
    (
        "--output", "json", "--output-keys", "unique_id", "fqn", "depends_on", "config", "checksum",
    ),
)  # fmt: skip
_ALL: Final = Option("--select", ("--select", "fqn:*"))
_NOTHING_ELSE: Final = Option("--indirect-selection", ("--indirect-selection", "empty"))
"""Else a model by name brings its tests, done or not; what is missing of those has a name too."""

_SELECTS_TESTS: Final = ("build", "test")
"""The others have no tests to bring, and `dbt run` of 1.7 does not know the option."""

EVERY_TIME: Final = ("operation.", "macro.")
_LONGEST: Final = 500_000
"""Characters of a command line: Linux takes 2 MB of them and the environment, macOS 1 MB."""


class CannotResumeError(Exception):
    """Why a way to resume is none."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What `dbt ls` printed, or why it did not."""

    output: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A node that the command selects. `term` selects it, and hardly anything else."""

    unique_id: str
    term: str
    parents: tuple[str, ...]
    is_ephemeral: bool
    checksum: str | None

    @property
    def kind(self) -> str:
        return self.unique_id.partition(".")[0]


def selected(
    parts: DbtArguments,
    records: Mapping[str, NodeRecord],
    done: Collection[str],
    list_nodes: List,
) -> list[Listed]:
    """The nodes that the command selects now, as dbt itself lists them.

    `records` are those of the earlier attempt, `done` the nodes that had succeeded in it. Raises
    CannotResumeError where dbt does not tell, or lists less than it would run.
    """
    options = [_for_ls(o) for o in parts.options if o.name in _OF_LS | OF_ALL]
    nodes = [
        n for n in _ls(parts, options, list_nodes) if n.kind in _types(parts.subcommand, records)
    ]
    listed = {n.unique_id for n in nodes}
    gone = {u for u in records.keys() - listed if not u.startswith(EVERY_TIME)}
    _check_gone(parts, gone - set(done), list_nodes)
    _check_count(nodes, records, gone)
    return nodes


def with_other_code(
    nodes: Sequence[Listed],
    records: Mapping[str, NodeRecord],
    compiled: Mapping[str, str],
) -> set[str]:
    """The nodes whose code is not what it was when they ran.

    By dbt's checksums, which are of a node's own file. A record that has none, beside others that
    do, leaves the code in doubt. Where none has any (`knows_code`) nothing can be compared. An
    ephemeral model that was well has no record: `compiled` has its checksum, if anything does.
    """
    if not knows_code(records):
        return set()
    known = {n.unique_id: compiled.get(n.unique_id) for n in nodes if n.is_ephemeral}
    known |= {u: record.checksum for u, record in records.items()}
    return {
        n.unique_id
        for n in nodes
        if n.checksum is not None and n.unique_id in known and known[n.unique_id] != n.checksum
    }


def below(nodes: Sequence[Listed], changed: Collection[str], done: Collection[str]) -> set[str]:
    """What depends on nodes whose code has changed, or on nodes that have yet to succeed.

    Of these dbt skips what is below: what has run without them was built when they were not
    selected. A unit test runs before its model, and on rows of its own.
    """
    children: dict[str, list[Listed]] = {}
    for node in nodes:
        for parent in node.parents:
            children.setdefault(parent, []).append(node)

    def reached(roots: Collection[str], *, unit_tests: bool) -> set[str]:
        found: set[str] = set()
        waiting = [*roots]
        while waiting:
            new = {
                n.unique_id
                for n in children.get(waiting.pop(), ())
                if n.unique_id not in found and (unit_tests or n.kind != "unit_test")
            }
            found |= new
            waiting += new
        return found

    undone = [n.unique_id for n in nodes if not n.is_ephemeral and n.unique_id not in done]
    return reached(changed, unit_tests=True) | reached(undone, unit_tests=False)


def knows_code(records: Mapping[str, NodeRecord]) -> bool:
    """Whether dbt has told the checksums: in its log from 1.10 on, before that in its manifest."""
    return any(r.checksum is not None for r in records.values())


def by_name(
    parts: DbtArguments, nodes: Sequence[Listed], left: Collection[str]
) -> tuple[tuple[str, ...], set[str]]:
    """The command with those of the nodes that are left, by name; and which nodes it will run.

    To add what is done to `--exclude` would not do: that drops the tests of a node with it, also
    those that had not run (dbt's indirect selection), and a selector or a default selector knows
    no --exclude.
    """
    named = set(left)
    for node in nodes:
        if node.kind == "unit_test" and node.unique_id in left:
            named.update(node.parents)  # dbt build runs them with their model only
    chosen = [n for n in nodes if n.unique_id in named]
    options = [o for o in parts.options if o.name not in _SELECTION]
    options.append(Option("--select", ("--select", *(n.term for n in chosen))))
    if parts.subcommand in _SELECTS_TESTS:
        options.append(_NOTHING_ELSE)
    words = parts.words(parts.subcommand, options)
    if sum(len(word) + 1 for word in words) > _LONGEST:
        nodes_are = counted(len(chosen), "node is", "nodes are")
        raise CannotResumeError(f"{nodes_are} too many for a command line")
    return words, {n.unique_id for n in chosen}


def _types(subcommand: str, records: Mapping[str, NodeRecord]) -> tuple[str, ...]:
    """The kinds of node that a subcommand runs."""
    types = TYPES[subcommand]
    if subcommand != "build":
        return types
    versions = {r.dbt_version for r in records.values() if r.dbt_version}
    if any(version.startswith(("1.7.", "1.8.", "1.9.")) for version in versions):
        return tuple(t for t in types if t != "saved_query")
    # A build counts exposures among its nodes from dbt 1.10 on.
    return (*types, "exposure")


def _ls(parts: DbtArguments, options: Sequence[Option], list_nodes: List) -> list[Listed]:
    listing = list_nodes(parts.words("ls", [*options, _AS_JSON], without=_CONSOLE))
    if listing.error is not None:
        raise CannotResumeError(f"dbt ls failed: {listing.error}")
    return [*_nodes(listing.output)]


def _check_gone(parts: DbtArguments, gone: Collection[str], list_nodes: List) -> None:
    """Whether nodes that had not succeeded, and are not listed, are in the project no more.

    One that is still there may be selected all the same, if dbt lists other nodes than it runs.
    """
    if not gone:
        return
    options = [o for o in parts.options if o.name in PLACE | OF_ALL]
    there = {n.unique_id for n in _ls(parts, [*options, _ALL], list_nodes)}
    if left := sorted(there.intersection(gone)):
        raise CannotResumeError(f"dbt ls does not list {left[0]}, which had run")
    if not there:
        raise CannotResumeError("dbt ls does not list anything")


def _for_ls(option: Option) -> Option:
    """`--models` of `dbt ls` is another than that of the others, which is `--select`."""
    if option.name not in _MODELS:
        return option
    return Option("--select", ("--select", *option.values))


def _nodes(output: str) -> Iterator[Listed]:
    """What `dbt ls` printed."""
    for line in output.splitlines():
        try:
            node = json.loads(line)
            yield Listed(
                node["unique_id"],
                exactly(".".join(node["fqn"])),
                tuple(node.get("depends_on", {}).get("nodes", ())),
                node.get("config", {}).get("materialized") == "ephemeral",
                _checksum(node.get("checksum")),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # a warning of dbt's, or of what wraps it


def _checksum(value: object) -> str | None:
    """What `{"name": "sha256", "checksum": …}` says; a generic test has a `none`."""
    return text(value.get("checksum")) if is_object(value) else None


def _check_count(
    nodes: Sequence[Listed], records: Mapping[str, NodeRecord], gone: Collection[str]
) -> None:
    """Whether all is listed that the earlier attempt had announced: what is not listed would never
    run, and of what never started there is no record to compare with."""
    # dbt up to 1.11 may count unit tests twice, so the smallest total of an invocation; those of
    # later attempts are of fewer nodes.
    totals: dict[str | None, int] = {}
    for record in records.values():
        if record.total is not None and not record.unique_id.startswith(EVERY_TIME):
            known = totals.get(record.invocation_id, record.total)
            totals[record.invocation_id] = min(known, record.total)
    listed = sum(not n.is_ephemeral for n in nodes)
    announced = max(totals.values(), default=0)
    if listed < announced - len(gone):
        found = counted(listed, "node")
        raise CannotResumeError(f"dbt ls lists {found} where dbt had announced {announced:,}")
