"""The panel below dbt's lines: the status of a run in a few lines of a terminal."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

from ...records.display import in_one_line
from ...records.plural import counted
from .note_text import telling_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ...records.schema import NodeRecord
    from ...sinks import Backlog
    from .progress import Running, Status

_WIDEST: Final = 100
"""Columns. A terminal that is made narrower may break longer lines, which then cannot be erased."""
_BAR: Final = 30
_SHORTEST_BAR: Final = 8
_MOST_RUNNING: Final = 8

_RESET: Final = "\x1b[0m"
_DIM, _BOLD = "\x1b[2m", "\x1b[1m"
_COLOURS: Final[Mapping[str, str]] = {
    "success": "\x1b[32m",
    "warning": "\x1b[33m",
    "failure": "\x1b[31m",
    "skipped": "\x1b[2m",
    "interrupted": "\x1b[35m",
}

Span = tuple[str, str]
"""A text and its style, which may be empty."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the terminal can show."""

    colours: bool = True
    unicode: bool = True

    @classmethod
    def on(cls, stream: TextIO, *, colours: bool) -> Look:
        """What the terminal behind this stream can show."""
        return cls(colours, (stream.encoding or "").lower().startswith("utf"))

    @property
    def bar(self) -> tuple[str, str]:
        """The characters for what is done, and for the rest."""
        return ("━", "─") if self.unicode else ("#", "-")

    @property
    def ellipsis(self) -> str:
        return "…" if self.unicode else "..."


def panel(status: Status, columns: int, rows: int, look: Look) -> list[str]:
    """The lines of the panel, each narrower than the terminal; at most half of its rows."""
    width = min(columns, _WIDEST) - 1
    room = max(1, rows // 2)
    if status.is_over:
        told = [_backlog(b) for b in status.backlogs if b.waiting]
        lines = [[("dbt has ended. Delivering: ", ""), *spans] for spans in told]
    else:
        lines = [_progress(status, width, look), *_counts(status)]
        lines += [_failure(record) for record in status.failures][: max(0, room - len(lines) - 1)]
        lines += _running(status.running, width, look, min(_MOST_RUNNING, room - len(lines)))
    if 0 < len(lines) < room:
        lines.insert(0, [])
    return [_drawn([(" ", ""), *spans], width, look) for spans in lines[:room]]


def _progress(status: Status, width: int, look: Look) -> list[Span]:
    then = f", about {roughly(status.left)} left" if status.left is not None else " so far"
    clock = duration(status.seconds) + then
    if status.total is None:
        return [(counted(status.done, "node"), _BOLD), (f"  {clock}", "")]
    counts = f"{status.done:,} of {counted(status.total, 'node')}"
    size = min(_BAR, width - len(counts) - len(clock) - 6)
    if size < _SHORTEST_BAR:
        return [(counts, _BOLD), (f"  {clock}", "")]
    full = size * status.done // status.total if status.total else 0
    done, rest = look.bar
    colour = _COLOURS["failure" if "failure" in status.outcomes else "success"]
    bar = [(done * full, colour), (rest * (size - full), _DIM)]
    return [(counts, _BOLD), ("  ", ""), *bar, (f"  {clock}", "")]


def _counts(status: Status) -> Iterator[list[Span]]:
    spans: list[Span] = []
    for outcome, count in status.outcomes.items():
        spans += [(", " if spans else "", ""), (f"{count:,} {outcome}", _COLOURS[outcome])]
    for backlog in status.backlogs:
        spans += [("; " if spans else "", ""), *_backlog(backlog)]
    if spans:
        yield spans


def _backlog(backlog: Backlog) -> list[Span]:
    sink = backlog.sink.partition(":")[0]
    if not backlog.waiting:
        return [(f"{sink}: all delivered", _DIM)]
    told = f"{sink}: {counted(backlog.waiting, 'record')} waiting"
    if backlog.trouble is None:
        return [(told, "")]
    return [(f"{told} ({in_one_line(backlog.trouble)})", _COLOURS["warning"])]


def _failure(record: NodeRecord) -> list[Span]:
    told = in_one_line(telling_line(record.explanation or record.status))
    colour = _COLOURS[record.outcome]
    return [
        (f"{in_one_line(record.status)} ", colour),
        (title(record.unique_id), _BOLD),
        (f": {told}", ""),
    ]


def _running(running: Sequence[Running], width: int, look: Look, most: int) -> list[list[Span]]:
    more = 0
    if len(running) > most:
        most = max(0, most - 1)
        running, more = running[:most], len(running) - most
    named = [in_one_line(node.thread) for node in running]
    threads = max(map(cells, named), default=0)
    rows: list[tuple[str, str, str, str, str]] = []
    for node, name in zip(running, named, strict=True):
        thread = f"{_padded(name, threads, look)}  " if threads else ""
        usual = f"usually {duration(node.usual, exact=True)}" if node.usual is not None else ""
        is_late = node.usual is not None and node.seconds > max(2 * node.usual, node.usual + 5)
        style = _COLOURS["warning"] if is_late else ""
        rows.append((thread, title(node.unique_id), duration(node.seconds), style, usual))
    taken = max(
        (cells(thread) + len(clock) + len(usual) for thread, _, clock, _, usual in rows), default=0
    )
    names = min(max((cells(name) for _, name, _, _, _ in rows), default=0), width - taken - 6)
    clocks = max((len(clock) for _, _, clock, _, _ in rows), default=0)
    lines: list[list[Span]] = [
        [
            (thread, _DIM),
            (_padded(name, names, look), ""),
            (f"  {clock:>{clocks}}", style),
            (f"  {usual}", _DIM),
        ]
        for thread, name, clock, style, usual in rows
    ]
    if more:
        lines.append([(f"and {more:,} more", _DIM)])
    return lines


def title(unique_id: str) -> str:
    """A node's kind and name, without its package and without the hash of a test."""
    kind, _, rest = in_one_line(unique_id).partition(".")
    name = rest.partition(".")[2] or rest
    return f"{kind} {name.partition('.')[0] if kind == 'test' else name}"


def duration(seconds: float, *, exact: bool = False) -> str:
    """`9 s`, `1:23` or `1:02:03`; `exact` has tenths of a second below ten."""
    if exact and seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds) if exact else int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def roughly(seconds: float) -> str:
    """A time that is an estimate: `20 s`, `3 min` or `2 h 10 min`."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = max(1, round(seconds / 60))
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60 // 10 * 10} min"


def cells(text: str) -> int:
    """The columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(character) for character in text)


def _cells_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cut(text: str, width: int) -> str:
    """The beginning of the text that fits."""
    if text.isascii():
        return text[:width]
    taken = 0
    for at, character in enumerate(text):
        taken += _cells_of(character)
        if taken > width:
            return text[:at]
    return text


def _padded(text: str, width: int, look: Look) -> str:
    """The text in so many columns, if there are any."""
    if cells(text) > width:
        text = _cut(text, max(0, width - len(look.ellipsis))) + look.ellipsis
    return text + " " * (width - cells(text))


def _drawn(spans: Sequence[Span], width: int, look: Look) -> str:
    """The spans in one line, cut to the width."""
    if sum(cells(text) for text, _ in spans) > width:
        spans = [*_shortened(spans, width - len(look.ellipsis)), (look.ellipsis, "")]
    if not look.colours:
        return "".join(text for text, _ in spans).rstrip()
    line = "".join(f"{style}{text}{_RESET}" if style else text for text, style in spans if text)
    return line.rstrip()


def _shortened(spans: Sequence[Span], width: int) -> Iterator[Span]:
    for text, style in spans:
        kept = _cut(text, width)
        width -= cells(kept)
        yield kept, style
        if kept != text:
            return
