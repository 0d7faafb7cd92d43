"""The nodes that a dbt command still has to run, and the command that selects them by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...records.plural import counted
from ..dbt.arguments import OF_ALL, PLACE, SELECTION, DbtArguments, Option
from .listing import listed_nodes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ...records import NodeRecord
    from .listing import ListedNode, RunLs

TYPES: Final[dict[str, tuple[str, ...]]] = {
    "build": (
        "model", "seed", "snapshot", "test", "unit_test", "saved_query", "function",
    ),
    "run": ("model",),
    "seed": ("seed",),
    "snapshot": ("snapshot",),
    "test": ("test", "unit_test"),
}  # fmt: skip
"""The subcommands that can be resumed, with the kinds of node that they run."""

_MODELS: Final = frozenset({"--models", "--model", "-m"})
STATE: Final = frozenset(
    {"--state", "--defer-state", "--defer", "--no-defer", "--favor-state", "--no-favor-state"}
)
_OF_LS: Final = (
    SELECTION
    | PLACE
    | STATE
    | {"--resource-type", "--resource-types", "--exclude-resource-type",
       "--exclude-resource-types"}
)  # fmt: skip
_CONSOLE: Final = frozenset(
    {"--debug", "-d", "--log-level", "--log-format", "--quiet", "-q", "--no-quiet"}
)
_AS_JSON: Final = Option(
    "--output",
    (
        "--output", "json", "--output-keys", "unique_id", "fqn", "depends_on", "config", "checksum",
    ),
)  # fmt: skip
_ALL: Final = Option("--select", ("--select", "fqn:*"))
EVERY_TIME: Final = ("operation.", "macro.")
"""How the unique_ids of hooks and operations begin, which run every time."""

_LONGEST: Final = 500_000
"""Characters of a command line. Linux takes 2 MB with the environment, macOS 1 MB."""


class CannotResumeError(Exception):
    """Why one way to resume cannot be taken."""


def selected(
    parts: DbtArguments,
    records: Mapping[str, NodeRecord],
    done: Collection[str],
    run_ls: RunLs,
) -> list[ListedNode]:
    """The nodes that the command selects now, as dbt itself lists them.

    `records` are the records of the previous attempt, `done` the nodes that had succeeded in it.
    Raises CannotResumeError where `dbt ls` fails, or lists less than dbt would run.
    """
    options = [_for_ls(o) for o in parts.options if o.name in _OF_LS | OF_ALL]
    nodes = [n for n in _ls(parts, options, run_ls) if n.kind in _types(parts.subcommand, records)]
    listed = {n.unique_id for n in nodes}
    gone = {u for u in records.keys() - listed if not u.startswith(EVERY_TIME)}
    _check_gone(parts, gone - set(done), run_ls)
    _check_count(nodes, records, gone)
    return nodes


def changed_nodes(
    nodes: Sequence[ListedNode],
    records: Mapping[str, NodeRecord],
    compiled: Mapping[str, str],
) -> set[str]:
    """The nodes whose code has changed since they ran, by the checksums of their own files.

    A record without a checksum, beside others that have one, leaves the code in doubt: the node
    counts as changed. Where no record has one (`has_checksums`), nothing can be compared. An
    ephemeral model that succeeded has no record: `compiled` has the checksums of the code that the
    attempt compiled, by unique_id, as far as they are known.
    """
    if not has_checksums(records):
        return set()
    known = {n.unique_id: compiled.get(n.unique_id) for n in nodes if n.is_ephemeral}
    known |= {u: record.checksum for u, record in records.items()}
    return {
        n.unique_id
        for n in nodes
        if n.checksum is not None and n.unique_id in known and known[n.unique_id] != n.checksum
    }


def downstream(
    nodes: Sequence[ListedNode], changed: Collection[str], done: Collection[str]
) -> set[str]:
    """The nodes that depend on nodes that have changed, or on nodes that have yet to succeed.

    A node downstream of one that has yet to succeed has run only if the other was not selected
    then: dbt would have skipped it. A unit test runs before its model, on rows of its own, so only
    a change reaches it.
    """
    children: dict[str, list[ListedNode]] = {}
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


def has_checksums(records: Mapping[str, NodeRecord]) -> bool:
    """Whether dbt has told the checksums: in its log since 1.10, before that in its manifest."""
    return any(r.checksum is not None for r in records.values())


def select_by_name(
    parts: DbtArguments, nodes: Sequence[ListedNode], left: Collection[str]
) -> tuple[tuple[str, ...], set[str]]:
    """The command that selects the nodes that are `left` by name, and the nodes that it will run.

    Adding the other nodes to `--exclude` would be wrong. It drops the tests of a node with the
    node, even tests that had not run (dbt's indirect selection), and a selector or a default
    selector knows no --exclude.
    """
    named = set(left)
    for node in nodes:
        if node.kind == "unit_test" and node.unique_id in left:
            named.update(node.parents)  # dbt build runs a unit test only with its model
    chosen = [n for n in nodes if n.unique_id in named]
    words = parts.selecting(n.term for n in chosen)
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


def _ls(parts: DbtArguments, options: Sequence[Option], run_ls: RunLs) -> list[ListedNode]:
    output = run_ls(parts.words("ls", [*options, _AS_JSON], without=_CONSOLE))
    if output.error is not None:
        raise CannotResumeError(f"dbt ls failed: {output.error}")
    return [*listed_nodes(output.text)]


def _check_gone(parts: DbtArguments, gone: Collection[str], run_ls: RunLs) -> None:
    """Check that the `gone` nodes, which had not succeeded and are not listed, are deleted.

    If one is still in the project, dbt may select it all the same: it may run other nodes than it
    lists.
    """
    if not gone:
        return
    options = [o for o in parts.options if o.name in PLACE | OF_ALL]
    there = {n.unique_id for n in _ls(parts, [*options, _ALL], run_ls)}
    if left := sorted(there.intersection(gone)):
        raise CannotResumeError(f"dbt ls does not list {left[0]}, which had run")
    if not there:
        raise CannotResumeError("dbt ls does not list anything")


def _for_ls(option: Option) -> Option:
    """The option as `dbt ls` has it. Its `--models` is not the `--select` of other subcommands."""
    if option.name not in _MODELS:
        return option
    return Option("--select", ("--select", *option.values))


def _check_count(
    nodes: Sequence[ListedNode], records: Mapping[str, NodeRecord], gone: Collection[str]
) -> None:
    """Check that dbt lists as many nodes as it had announced in the previous attempt.

    A node that is not listed would never run. If it had never started, it has no record that would
    show it missing.
    """
    # dbt up to 1.11 may count unit tests twice: take the smallest total of an invocation. The
    # totals of resumed attempts are smaller: take the largest of all invocations.
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
