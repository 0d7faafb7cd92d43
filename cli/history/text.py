"""What `stats` prints for a person, in 80 columns: first what got slower."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from ...consumer.history.pace import LEAST_EARLIER
from ...records.display import in_one_line
from ...records.plural import counted
from ..reports.wording import duration
from .findings import name_of
from .table import table
from .volume import volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ...consumer.history.flaky import Flaky
    from ...consumer.history.history import NodeHistory
    from ...consumer.history.pace import Slower
    from .findings import Chain, Findings

T = TypeVar("T")

_MOST: Final = 10
"""Nodes in one table."""
_FEW: Final = 5
_SEVERAL: Final = 3
_SAME_CODE: Final = " on the same code"
_ANY_CODE: Final = " (whether their code changed meanwhile is not known)"
_WIDEST: Final = 120
_WORTH: Final = 0.05
"""The share of a chain that a node must save to be named."""
_SPAN: Final = re.compile(r"(?<=\d) (?=(?:ms|s|m|h)\b)|(?<=\d [mh]) (?=\d)")
"""The blanks in a span of time, where no line breaks."""
_LITTLE: Final = 1.15
"""A run that takes so many times its longest chain gains little from more threads."""


def _nothing(_: object) -> str:
    return ""


def lines(found: Findings, width: int | None = None) -> Iterator[str]:
    """The whole text. `width` is in columns; without it the terminal's, up to 120."""
    wide = width or min(_WIDEST, shutil.get_terminal_size((80, 24)).columns)
    labels = _labels([node.unique_id for node in found.history.nodes])
    told = _Told(found, labels, wide)
    yield from _wrapped(told.heading(), wide)
    if not found.history.nodes:
        return
    if found.patterns:
        yield from told.nodes()
    for part in (told.slower, told.flaky, told.failing, told.chain, told.volumes):
        yield from part()


class _Told:
    """The parts of the text; each begins with an empty line. `labels` are the nodes' names."""

    def __init__(self, found: Findings, labels: dict[str, str], width: int) -> None:
        self._found = found
        self._labels = labels
        self._width = width

    def heading(self) -> str:
        runs = self._found.runs
        name = in_one_line(Path(self._found.project).name or self._found.project)
        if not runs:
            return f"{name}: no run in that time. Without --since there may be some."
        first, last = _day(runs[0].started_at), _day(runs[-1].started_at)
        when = f"on {last}" if first == last else f"from {first} to {last}"
        many = len(self._found.history.nodes)
        nodes = counted(many, "node") if many else "no node"
        chosen = f" like {' '.join(self._found.patterns)}" if self._found.patterns else ""
        return f"{name}: {nodes}{chosen} in {counted(len(runs), 'run')} {when} (UTC)"

    def slower(self) -> Iterator[str]:
        history = self._found.history
        found, runs = history.slower, len(self._found.runs)
        yield ""
        if max(node.times for node in history.nodes) <= LEAST_EARLIER:
            yield from _wrapped(
                f"Too few runs to say what got slower: a node must have run {LEAST_EARLIER + 1} "
                f"times, and there {'is' if runs == 1 else 'are'} {counted(runs, 'run')}.",
                self._width,
            )
            return
        if (times := history.slowness.get(runs - 1)) is not None:
            yield from _wrapped(
                f"Run {self._found.runs[-1].number} was slow as a whole: its nodes took "
                f"{times:.1f} times their usual time, in the median. A node counts as slower only "
                "if it was slower than that.",
                self._width,
            )
        if not found:
            yield "No node is slower than usual."
        else:
            are = counted(len(found), "node is", "nodes are")
            yield f"{are} slower than usual{self._together(found)}:"
            yield from self._table(
                ("NODE", "USUALLY", "LAST", "FACTOR", "SINCE"), found, self._slower_row, _why
            )

    def flaky(self) -> Iterator[str]:
        found = self._found.flaky
        if not found:
            return
        nodes = counted(len(found), "node fails and succeeds", "nodes fail and succeed")
        is_known = any(one.is_code_known for one in found)
        yield ""
        yield from _wrapped(f"{nodes} in turn{_SAME_CODE if is_known else _ANY_CODE}:", self._width)
        head = ("NODE", "FAILED", "CHANGED", "LAST FAILED")
        yield from self._table(head, found, self._flaky_row, _doubt if is_known else _nothing)

    def failing(self) -> Iterator[str]:
        told = {one.unique_id for one in self._found.flaky}
        failing = self._found.history.failing
        found = [node for node in failing if node.unique_id not in told]
        if found:
            what = "node" if len(found) == len(failing) else "other node"
            yield ""
            yield f"{counted(len(found), what)} failed, {_still(found)}:"
            yield from self._table(("NODE", "FAILED", "", "LAST FAILED"), found, self._failing_row)

    def nodes(self) -> Iterator[str]:
        yield ""
        found = sorted(self._found.history.nodes, key=lambda n: -(n.last or 0.0))
        head = ("NODE", "MEDIAN", "SPREAD", "LAST", "RAN", "FAILED")
        yield from self._table(head, found, self._node_row)

    def chain(self) -> Iterator[str]:
        chain = self._found.chain
        if chain is None:
            if self._found.no_chain is not None:
                yield ""
                yield from _wrapped(f"No critical path: {self._found.no_chain}.", self._width)
            return
        yield ""
        yield from _wrapped(_about(chain), self._width)
        worth = [s for s in chain.savings if s.saves >= _WORTH * chain.seconds][:_FEW]
        if worth:
            yield "What would shorten it most:"
            yield from self._table(
                ("NODE", "TOOK", "SAVES AT MOST"),
                worth,
                lambda s: (self._name(s.unique_id), duration(s.seconds), duration(s.saves)),
            )
        if chain.remark is not None:
            yield from _wrapped(f"({chain.remark}.)", self._width)

    def volumes(self) -> Iterator[str]:
        yield from volume(self._found.history.nodes, self._name, self._width)

    def _table(
        self,
        head: Sequence[str],
        found: Sequence[T],
        row: Callable[[T], Sequence[str]],
        remark: Callable[[T], str] = _nothing,
    ) -> Iterator[str]:
        shown = found[:_MOST]
        rows = [(row(one), remark(one)) for one in shown]
        yield from table(head, rows, self._width)
        if len(found) > _MOST:
            yield f"  and {len(found) - _MOST:,} more: --json has all"

    def _together(self, found: Sequence[Slower]) -> str:
        """Since when most of them are, if there is such a run: then it is not the nodes' own."""
        ((since, times),) = Counter(one.since for one in found).most_common(1)
        if times < _SEVERAL or times * 2 <= len(found):
            return ""
        which = "all" if times == len(found) else f"{times}"
        return f", {which} of them since run {self._found.runs[since].number}"

    def _name(self, unique_id: str) -> str:
        return in_one_line(self._labels.get(unique_id, name_of(unique_id)))

    def _run(self, place: int) -> str:
        run = self._found.runs[place]
        return f"run {run.number}, {_day(run.started_at)}"

    def _slower_row(self, one: Slower) -> Sequence[str]:
        return (
            self._name(one.unique_id),
            duration(one.pace.usual),
            duration(one.last),
            f"{one.factor:,.0f} x" if one.factor >= 10 else f"{one.factor:.1f} x",
            self._run(one.since),
        )

    def _flaky_row(self, one: Flaky) -> Sequence[str]:
        return (
            self._name(one.unique_id),
            f"{one.failed} of {one.failed + one.succeeded}",
            f"{one.changes} times",
            self._run(one.last_failed),
        )

    def _failing_row(self, one: NodeHistory) -> Sequence[str]:
        return (
            self._name(one.unique_id),
            f"{one.failed} of {one.times}",
            "fails now" if one.is_failing else "",
            self._run(one.last_failed if one.last_failed is not None else -1),
        )

    def _node_row(self, one: NodeHistory) -> Sequence[str]:
        return (
            self._name(one.unique_id),
            duration(one.pace.usual) if one.pace is not None else "",
            f"± {duration(one.pace.spread)}" if one.pace is not None else "",
            duration(one.last) if one.last is not None else "",
            str(one.times),
            str(one.failed),
        )


def _about(chain: Chain) -> str:
    threads = f" in {counted(chain.threads, 'thread')}" if chain.threads else ""
    nodes = "one node"
    if len(chain.path) > 1:
        nodes = f"{counted(len(chain.path), 'node')} that wait for each other"
    text = (
        f"Run {chain.run.number} took {duration(chain.whole)}{threads} from its first node to its "
        f"last. Its critical path, {nodes}, took {duration(chain.seconds)} of it: "
    )
    if chain.whole <= _LITTLE * chain.seconds:
        text += "more threads would save little."
    else:
        text += f"more threads could save up to {duration(chain.whole - chain.seconds)}."
    best = max((saving.saves for saving in chain.savings), default=0.0)
    if best < _WORTH * chain.seconds:
        text += f" No faster node alone shortens it by more than {duration(best)}."
    return text


def _still(failed: Sequence[NodeHistory]) -> str:
    now = sum(node.is_failing for node in failed)
    if now == len(failed):
        return f"and still {'does' if now == 1 else 'do'}"
    return f"{now} of them still" if now else "none of them in its last run"


def _why(one: Slower) -> str:
    told = ["only in its last run"] if one.times == 1 else [f"in its last {one.times} runs"]
    if one.code_changed is not None:
        told.append("its code changed then" if one.code_changed else "its code did not change")
    if one.rows_factor is not None:
        told.append(f"{one.rows_factor:.1f} times the rows")
    return "; ".join(told)


def _doubt(one: Flaky) -> str:
    return "" if one.is_code_known else "whether the code changed is not known"


def _labels(unique_ids: Iterable[str]) -> dict[str, str]:
    """The nodes' own names; where two nodes share one, their unique_ids."""
    names = {unique_id: name_of(unique_id) for unique_id in unique_ids}
    times = Counter(names.values())
    return {u: name if times[name] == 1 else u for u, name in names.items()}


def _day(time: float) -> str:
    return f"{datetime.fromtimestamp(time, timezone.utc):%Y-%m-%d}"


def _wrapped(text: str, width: int) -> list[str]:
    whole = _SPAN.sub("\u00a0", text)
    wrapped = textwrap.wrap(whole, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in wrapped]
