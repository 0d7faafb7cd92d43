"""`dbt ls`: run it, and read the nodes that it prints."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...consumer.graph.names import exact_term
from ...records.exits import Exit
from ...records.values import is_object, text
from ..dbt.variables import PREFIXES, for_children
from ..process.child import CannotStartError, Child, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..process.signals import Signals

    RunLs = Callable[[tuple[str, ...]], "LsOutput"]
    """Runs a `dbt ls` command."""


@dataclass(frozen=True, slots=True)
class LsOutput:
    """What `dbt ls` printed; `error` says why it failed."""

    text: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ListedNode:
    """A node that a command selects.

    `term` is a term of dbt's selection that selects the node, and hardly anything else.
    `checksum` is dbt's, of the node's own file; a generic test has none.
    """

    unique_id: str
    term: str
    parents: tuple[str, ...]
    is_ephemeral: bool
    checksum: str | None

    @property
    def kind(self) -> str:
        return self.unique_id.partition(".")[0]


def run_ls(argv: tuple[str, ...], environ: Mapping[str, str], signals: Signals) -> LsOutput:
    """Run a `dbt ls` command, supervised as dbt is in the run itself.

    Raises StoppedError if the relay is told to stop meanwhile.
    """
    errors: list[bytes] = []
    try:
        child = Child(argv, env=_quiet(environ), signals=signals, on_stderr=errors.append)
    except CannotStartError as error:
        return LsOutput("", str(error))
    with child:
        output = b"".join(child.output()).decode("utf-8", "replace")
        ls_exit = child.exit or Exit(code=0)
        if child.stopped_by is not None:
            raise StoppedError(ls_exit.status)
    if ls_exit.status == 0:
        return LsOutput(output)
    lines = (output + b"".join(errors).decode("utf-8", "replace")).split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    how = f"it {ls_exit.describe()}"
    return LsOutput("", f"{how}: {last}" if last else how)


def listed_nodes(output: str) -> Iterator[ListedNode]:
    """The nodes in the output of `dbt ls --output json`.

    Other lines are skipped: dbt prints warnings, and a wrapper prints what it likes.
    """
    for line in output.splitlines():
        try:
            node = json.loads(line)
            yield ListedNode(
                node["unique_id"],
                exact_term(".".join(node["fqn"])),
                tuple(node.get("depends_on", {}).get("nodes", ())),
                node.get("config", {}).get("materialized") == "ephemeral",
                _checksum(node.get("checksum")),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            continue


def _checksum(value: object) -> str | None:
    """The checksum in dbt's `{"name": "sha256", "checksum": …}`."""
    return text(value.get("checksum")) if is_object(value) else None


def _quiet(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which dbt prints its answer and nothing else."""
    flags = {"QUIET": "1", "LOG_FORMAT": "text", "LOG_LEVEL": "info", "LOG_LEVEL_FILE": "error"}
    flags["WRITE_JSON"] = "0"  # the manifest of the previous attempt stays as it is
    return {
        **for_children(environ),
        **{f"{prefix}{name}": value for prefix in PREFIXES for name, value in flags.items()},
    }
