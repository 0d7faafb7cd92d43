"""The nodes that a dbt command has left to run, by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..consumer.names import exactly
from .arguments import DbtArguments, Option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..parser import NodeRecord

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
    "--output", ("--output", "json", "--output-keys", "unique_id", "fqn", "depends_on", "config")
)
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


def what_is_left(
    parts: DbtArguments,
    records: Mapping[str, NodeRecord],
    done: Mapping[str, NodeRecord],
    list_nodes: List,
) -> tuple[tuple[str, ...], set[str]]:
    """The command with the nodes that are left by name, and those nodes.

    To add what is done to `--exclude` would not do: that drops the tests of a node with it, also
    those that had not run (dbt's indirect selection), and a selector or a default selector knows
    no --exclude. So dbt says itself what the command selects.
    """
    options = [_for_ls(o) for o in parts.options if o.name in _OF_LS | OF_ALL]
    listing = list_nodes(parts.words("ls", [*options, _AS_JSON], without=_CONSOLE))
    if listing.error is not None:
        raise CannotResumeError(f"dbt ls failed: {listing.error}")
    types = TYPES[parts.subcommand]
    if parts.subcommand == "build" and _has_exposures(records):
        types = (*types, "exposure")
    nodes = [n for n in _nodes(listing.output) if n.kind in types]
    _compare(nodes, records)
    left = {n.unique_id for n in nodes} - done.keys()
    if not left:
        raise CannotResumeError("every node had succeeded: what failed came after them")
    for node in nodes:
        if node.kind == "unit_test" and node.unique_id in left:
            left.update(node.parents)  # dbt build runs them with their model only
    chosen = [n for n in nodes if n.unique_id in left]
    options = [o for o in parts.options if o.name not in _SELECTION]
    options.append(Option("--select", ("--select", *(n.term for n in chosen))))
    if parts.subcommand in _SELECTS_TESTS:
        options.append(_NOTHING_ELSE)
    words = parts.words(parts.subcommand, options)
    if sum(len(word) + 1 for word in words) > _LONGEST:
        raise CannotResumeError(f"{len(chosen)} nodes are too many for a command line")
    return words, {n.unique_id for n in chosen}


def _has_exposures(records: Mapping[str, NodeRecord]) -> bool:
    """Whether a build counts exposures among its nodes, as it does from dbt 1.10 on."""
    versions = {r.dbt_version for r in records.values() if r.dbt_version}
    return all(not version.startswith(("1.7.", "1.8.", "1.9.")) for version in versions)


def _for_ls(option: Option) -> Option:
    """`--models` of `dbt ls` is another than that of the others, which is `--select`."""
    if option.name not in _MODELS:
        return option
    return Option("--select", ("--select", *option.values))


@dataclass(frozen=True, slots=True)
class _Listed:
    """A node that the command selects. `term` selects it, and hardly anything else."""

    unique_id: str
    term: str
    parents: tuple[str, ...]
    is_ephemeral: bool

    @property
    def kind(self) -> str:
        return self.unique_id.partition(".")[0]


def _nodes(output: str) -> Iterator[_Listed]:
    """What `dbt ls` printed."""
    for line in output.splitlines():
        try:
            node = json.loads(line)
            yield _Listed(
                node["unique_id"],
                exactly(".".join(node["fqn"])),
                tuple(node.get("depends_on", {}).get("nodes", ())),
                node.get("config", {}).get("materialized") == "ephemeral",
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # a warning of dbt's, or of what wraps it


def _compare(nodes: Sequence[_Listed], records: Mapping[str, NodeRecord]) -> None:
    """Whether the listing is what the earlier attempt ran: the project may be another by now, and
    what is not listed would never run."""
    listed = {n.unique_id for n in nodes}
    missing = sorted(u for u in records.keys() - listed if not u.startswith(EVERY_TIME))
    if missing:
        raise CannotResumeError(f"dbt ls does not list {missing[0]}, which had run")
    # dbt up to 1.11 may count unit tests twice, so the smallest total of an invocation; those of
    # later attempts are of fewer nodes.
    totals: dict[str | None, int] = {}
    for record in records.values():
        if record.total is not None and not record.unique_id.startswith(EVERY_TIME):
            known = totals.get(record.invocation_id, record.total)
            totals[record.invocation_id] = min(known, record.total)
    counted = sum(not n.is_ephemeral for n in nodes)
    announced = max(totals.values(), default=0)
    if counted < announced:
        raise CannotResumeError(f"dbt ls lists {counted} nodes where dbt had announced {announced}")
