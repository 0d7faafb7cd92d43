"""All that a report says of a run, whatever its format: from the journal and dbt's manifest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...consumer.causes import Causes
from ...consumer.course import edges
from ...consumer.course.comparison import Comparison, compare
from ...consumer.course.critical_path import critical_path
from ...consumer.course.spans import Lane, Span, Wait, believable, lanes, spans, waits
from ...records.instant import instant
from ...records.outcomes import OUTCOMES
from ...records.schema import NodeRecord
from ...sinks.journal import history
from ..dbt import target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...consumer.course.edges import Graph
    from ...parser.lineage import SourceFile
    from ...sinks import Journal, RunInfo
    from ...sinks.journal.history import PastRun

NO_GRAPH: Final = "dbt's manifest.json of this run is gone, so it is not known what waited for what"
LATER_GRAPH: Final = (
    "dbt has run again since: which node reads which comes from its latest manifest.json"
)


@dataclass(frozen=True)
class Picture:
    """A run, seen from all sides.

    `parents` has the nearest parents of each node that the run had too; it is empty without a
    manifest, and `remark` says so. `files` has the file of each node below its package's root.
    `before` has the records of the earlier run of the same work by unique_id. `undelivered` has the
    sink, state, key and reason of each record that a sink does not have.
    """

    run: PastRun
    nodes: tuple[NodeRecord, ...]
    parents: Graph
    remark: str | None
    files: Mapping[str, SourceFile]
    earlier: PastRun | None
    before: Mapping[str, NodeRecord]
    undelivered: tuple[tuple[str, str, str, str], ...]

    @cached_property
    def spans(self) -> dict[str, Span]:
        return spans(self.nodes)

    @cached_property
    def lanes(self) -> list[Lane]:
        return lanes(self.nodes, self.spans)

    @cached_property
    def order(self) -> Graph:
        """What each node had to wait for."""
        has_both = len({edges.is_test(node.unique_id) for node in self.nodes}) == 2
        order = edges.as_built(self.parents) if has_both else self.parents
        return believable(order, self.spans)

    @cached_property
    def waits(self) -> dict[str, Wait]:
        return waits(self.order, self.spans)

    @cached_property
    def critical_path(self) -> list[str]:
        """Empty without a graph."""
        seconds = {unique_id: span.seconds for unique_id, span in self.spans.items()}
        return critical_path(self.order, seconds)

    @cached_property
    def causes(self) -> Causes:
        return Causes.of(self.nodes)

    @cached_property
    def comparison(self) -> Comparison | None:
        if self.earlier is None:
            return None
        return compare(self.nodes, self.before, is_whole=self.is_whole)

    @property
    def is_whole(self) -> bool:
        """Whether the run is over, and ran all that dbt announced."""
        record = self.run.record
        return self.run.state == "finished" and record is not None and not record.missing

    @property
    def start(self) -> float:
        """When the first node began, in seconds since 1970."""
        return min((span.start for span in self.spans.values()), default=0.0)

    @property
    def seconds(self) -> float:
        """From the beginning of the first node to the end of the last."""
        return max((span.end for span in self.spans.values()), default=0.0) - self.start

    @property
    def start_up(self) -> float | None:
        """The seconds until dbt began the first node; None if they are not known.

        A saved log is older than its replay, which the journal dates.
        """
        began = instant(self.run.info.started_at)
        is_replay = self.run.info.command[:1] == ("replay",)
        if began is None or is_replay or not self.spans or began > self.start:
            return None
        return self.start - began

    @property
    def outcomes(self) -> dict[str, int]:
        """The number of nodes for each outcome that occurs."""
        counts = dict.fromkeys(OUTCOMES, 0)
        for node in self.nodes:
            counts[node.outcome] += 1
        return {outcome: count for outcome, count in counts.items() if count}

    @property
    def result(self) -> str:
        """How the run ended, in a few words."""
        record = self.run.record
        if self.run.state == "running" and record is not None and record.announced is not None:
            return f"running, {len(self.nodes):,} of {record.announced:,} nodes so far"
        if self.run.state != "finished" or record is None:
            return self.run.state
        return "finished" if record.exit_code is None else f"exit {record.exit_code}"

    def file_of(self, node: NodeRecord) -> str | None:
        """The node's file below the root of its package, where dbt names it."""
        known = self.files.get(node.unique_id)
        return known.file if known is not None else node.path

    def compiled(self, node: NodeRecord) -> Path | None:
        """The file with the node's compiled SQL, if dbt left one."""
        file, target_dir = self.file_of(node), self.run.info.target_dir
        if file is None or target_dir is None:
            return None
        package = node.unique_id.split(".")[1:2]
        source = Path(target_dir, "compiled", *package, file)
        known = self.files.get(node.unique_id)
        candidates = [source / known.path] if known is not None else []
        return next((path for path in (*candidates, source) if path.is_file()), None)


def picture(journal: Journal, run: PastRun) -> Picture:
    """The picture of a run in the journal."""
    nodes = _nodes(journal, run.number)
    earlier = _earlier(journal, run)
    graph, remark, files = _graph(run, nodes)
    return Picture(
        run=run,
        nodes=tuple(nodes.values()),
        parents=graph,
        remark=remark,
        files=files,
        earlier=earlier,
        before=_nodes(journal, earlier.number) if earlier is not None else {},
        undelivered=tuple(history.reasons(journal, run.number)),
    )


def _nodes(journal: Journal, number: int) -> dict[str, NodeRecord]:
    found = history.records(journal, number).items()
    return {key: record for key, record in found if isinstance(record, NodeRecord)}


def _earlier(journal: Journal, run: PastRun) -> PastRun | None:
    """The latest run before this one that did the same work to its end."""
    for number, info in history.earlier(journal, run.number):
        if _is_same_work(run.info, info):
            found = history.past_run(journal, number)
            if found.state == "finished" and found.nodes:
                return found
    return None


def _is_same_work(now: RunInfo, before: RunInfo) -> bool:
    """Whether both are of one task of a DAG, or ran one command in one project.

    A task's command may have another date in each DAG run.
    """
    if before.renews:
        return False
    if now.task is not None and before.task is not None:
        ours, theirs = now.task, before.task
        return (ours.dag_id, ours.task_id, ours.map_index) == (
            theirs.dag_id,
            theirs.task_id,
            theirs.map_index,
        )
    places = (now.project, before.project)
    return now.command == before.command and places[0] == places[1]


def _graph(
    run: PastRun, nodes: Mapping[str, NodeRecord]
) -> tuple[Graph, str | None, Mapping[str, SourceFile]]:
    """The graph of the run's nodes, a remark on where it is from, and the nodes' files."""
    target_dir = run.info.target_dir
    found = target.project(Path(target_dir)) if target_dir is not None else None
    if found is None or not found[0].parents.keys() & nodes.keys():
        return {}, NO_GRAPH, {}
    lineage, files = found
    # Tests that did not run held nothing back.
    whole = {u: p for u, p in lineage.parents.items() if u in nodes or not edges.is_test(u)}
    is_own = lineage.invocation_id in {node.invocation_id for node in nodes.values()}
    return edges.between(whole, nodes), None if is_own else LATER_GRAPH, files
