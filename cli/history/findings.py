"""All that `stats` says, whatever its form: from the ledger, the journal and dbt's manifest."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...consumer.course.edges import is_test
from ...consumer.course.shortening import Saving, savings
from ...consumer.history.flaky import flaky
from ...consumer.history.history import History
from ...sinks.journal import history as journal_history
from ...sinks.ledger import reading
from ..dbt import target
from ..reports.picture import picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...consumer.history.flaky import Flaky
    from ...records.brief import BriefRun
    from ...sinks import Journal
    from ...sinks.ledger.file import Ledger

_WITHOUT_CODE: Final = "source."


@dataclass(frozen=True, slots=True)
class Chain:
    """The critical path of a run, and what would shorten it.

    `seconds` is the length of the path, `whole` that of the run from its first node to its last.
    `threads` is how many threads ran nodes. `remark` is a doubt about the graph.
    """

    run: BriefRun
    path: tuple[str, ...]
    seconds: float
    whole: float
    threads: int
    savings: tuple[Saving, ...]
    remark: str | None


@dataclass(frozen=True, slots=True)
class Findings:
    """What the runs of a project tell.

    `chain` is of the latest run; `no_chain` says why there is none. `patterns` chose the nodes.
    """

    project: str
    patterns: tuple[str, ...]
    history: History
    flaky: tuple[Flaky, ...]
    chain: Chain | None
    no_chain: str | None

    @property
    def runs(self) -> Sequence[BriefRun]:
        return self.history.runs


def findings(
    journal: Journal,
    ledger: Ledger,
    project: str,
    *,
    last: int | None,
    since: float | None,
    patterns: tuple[str, ...] = (),
) -> Findings:
    """What the runs of a project tell: the `last` ones, or those `since` a time."""
    runs = reading.runs(ledger, project, last, since)
    history = History(runs)
    for unique_id, results in reading.results(ledger, runs):
        if not patterns or matches(unique_id, patterns):
            history.add(unique_id, results)
    if history.slowness and (seeming := {one.unique_id for one in history.slower}):
        for unique_id, results in reading.results(ledger, runs, seeming):
            history.judge(unique_id, results)
    latest = runs[-1] if runs else None
    chain = _chain(journal, latest) if latest is not None and not patterns else None
    no_chain = chain if isinstance(chain, str) else None
    return Findings(
        project,
        patterns,
        history,
        tuple(_flaky(ledger, project, history)),
        chain if isinstance(chain, Chain) else None,
        no_chain,
    )


def _flaky(ledger: Ledger, project: str, history: History) -> list[Flaky]:
    """The flaky nodes, the most changes first. Their results are read once more: they are few."""
    changing = history.changing
    if not changing:
        return []
    tested = _tested(ledger, project)
    needed = {node for test in changing for node in tested.get(test, ())}
    codes = reading.codes(ledger, history.runs, needed)
    found = [
        flaky(unique_id, results, tested.get(unique_id, ()), codes)
        for unique_id, results in reading.results(ledger, history.runs, changing)
    ]
    return sorted((f for f in found if f is not None), key=lambda f: (-f.changes, f.unique_id))


def name_of(unique_id: str) -> str:
    """The node's own name: `orders` of `model.jaffle.orders`, without the hash of a test."""
    kind, _, rest = unique_id.partition(".")
    name = rest.partition(".")[2] or rest or kind
    if is_test(unique_id):
        head, _, tail = name.rpartition(".")
        # dbt ends the id of a generic test with ten digits of a hash.
        if head and len(tail) == 10 and all(c in "0123456789abcdef" for c in tail):
            return head
    return name


def matches(unique_id: str, patterns: Sequence[str]) -> bool:
    """Whether the node's id or its name is one of the patterns, which may have `*` and `?`."""
    name = name_of(unique_id)
    return any(fnmatchcase(unique_id, p) or fnmatchcase(name, p) for p in patterns)


def _tested(ledger: Ledger, project: str) -> Mapping[str, Sequence[str]]:
    """The nodes that each test tests, from the manifest that the project's latest run left."""
    for folder in reading.target_dirs(ledger, project):
        found = target.project(Path(folder))
        if found is not None:
            parents = found[0].parents
            return {
                node: [parent for parent in of_node if not parent.startswith(_WITHOUT_CODE)]
                for node, of_node in parents.items()
                if is_test(node)
            }
    return {}


def _chain(journal: Journal, run: BriefRun) -> Chain | str:
    """The critical path of a run; a sentence if it is not known."""
    number = reading.number_in_journal(journal, run)
    if number is None:
        return "the full records of the latest run are gone"
    drawn = picture(journal, journal_history.past_run(journal, number))
    path = drawn.critical_path
    if not path:
        return drawn.remark or "no node of the latest run waited for another"
    seconds = {unique_id: span.seconds for unique_id, span in drawn.spans.items()}
    return Chain(
        run,
        tuple(path),
        sum(seconds[node] for node in path),
        drawn.seconds,
        sum(lane.is_of_pool for lane in drawn.lanes),
        tuple(savings(drawn.order, seconds, path)),
        drawn.remark,
    )
