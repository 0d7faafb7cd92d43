"""The parts of the page that stand there without its script: they print, and read without it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from ...records.plural import counted
from .html import Html, element, joined
from .wording import duration, figures, remarks, signed, skipped_for, status_of, text_of, when

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...consumer.causes import Cause
    from ...consumer.course.comparison import Change
    from .picture import Picture

_MOST: Final = 200
"""Entries of a list. The table of nodes has the others."""


def heading(picture: Picture) -> Html:
    """What ran, when and where."""
    info, record = picture.run.info, picture.run.record
    rows: list[tuple[str, str]] = [("Command", element("code", shlex.join(info.command)))]
    if project := info.project:
        rows.append(("Project", element("code", project)))
    started = when(info.started_at)
    ended = f" to {when(record.finished_at)}" if record and record.finished_at else ""
    rows.append(("When", started + ended))
    if info.task is not None:
        task, index = info.task, f" [{info.task.map_index}]" if info.task.map_index >= 0 else ""
        place = f"{task.dag_id} / {task.run_id} / {task.task_id}{index}"
        rows.append(("Airflow", f"{place}, try {info.attempt or '?'}"))
    if record is not None and record.dbt_version:
        adapter = f", {record.adapter}" if record.adapter else ""
        rows.append(("dbt", f"{record.dbt_version}{adapter}"))
    if record is not None and record.invocation_id:
        rows.append(("Invocation", record.invocation_id))
    facts = (joined(element("dt", name), element("dd", value)) for name, value in rows)
    tiles = (
        element("li", element("b", value), " ", name) for name, value in figures(picture).items()
    )
    notes = (element("p", remark, class_="remark") for remark in remarks(picture))
    return joined(element("dl", *facts), *notes, element("ul", *tiles, class_="figures"))


def outcomes(picture: Picture) -> Html:
    """A switch for each outcome, which shows its nodes alone in the table."""
    return joined(
        *(
            element(
                "button",
                element("b", f"{count:,}"),
                f" {outcome}",
                type="button",
                class_=f"outcome {outcome}",
                data_outcome=outcome,
                aria_pressed="false",
            )
            for outcome, count in picture.outcomes.items()
        )
    )


def failures(picture: Picture) -> Html:
    """Each root cause with its text, and the nodes that were skipped for it."""
    causes = picture.causes.found
    if not causes:
        return element("p", "No node failed.")
    return joined(*(_failure(picture, cause) for cause in causes[:_MOST]), _more(len(causes)))


def _failure(picture: Picture, cause: Cause) -> Html:
    record = cause.record
    outcome = record.outcome if record is not None else "failure"
    kind = f"{record.error_type} error" if record is not None and record.error_type else None
    heading = element(
        "h3",
        _link(cause.unique_id),
        " ",
        element("span", status_of(cause), class_=f"badge {outcome}"),
        element("small", f" {kind}") if kind is not None else None,
    )
    files = [element("p", element("code", line), class_="file") for line in _files(picture, cause)]
    text = element("pre", text_of(cause))
    return element("article", heading, *files, text, _skipped(cause), class_=outcome)


def _files(picture: Picture, cause: Cause) -> Iterator[str]:
    if cause.record is not None:
        if (file := picture.file_of(cause.record)) is not None:
            yield file
        if (compiled := picture.compiled(cause.record)) is not None:
            yield f"compiled: {compiled}"


def _skipped(cause: Cause) -> Html | None:
    said = skipped_for(cause)
    if said is None:
        return None
    names = element("ul", *_links(cause.skipped[:_MOST]))
    return element("details", element("summary", said), names, _more(len(cause.skipped)))


def comparison(picture: Picture) -> Html:
    """What changed since the earlier run of the same work."""
    found, earlier = picture.comparison, picture.earlier
    if found is None or earlier is None:
        return element("p", "The journal has no earlier run of the same command in this project.")
    lists = (
        ("Slower", _changes(found.slower)),
        ("Faster", _changes(found.faster)),
        ("Failed now", _links(found.broken)),
        ("Mended", _links(found.mended)),
        ("New", _links(found.new)),
        ("Gone", [element("li", element("code", u)) for u in found.gone]),
    )
    shown = [
        element(
            "section",
            element("h3", f"{name} ", element("small", f"{len(items):,}")),
            element("ul", *items[:_MOST]),
            _more(len(items)),
        )
        for name, items in lists
        if items
    ]
    took = ""
    if earlier.record is not None and earlier.record.finished_at:
        took = f", of {when(earlier.info.started_at)}"
    said = element("p", f"Compared with run {earlier.number}{took}.")
    nothing = "Nothing changed: no node is new or gone, and none took much longer or shorter."
    return joined(said, element("div", *shown, class_="lists") if shown else element("p", nothing))


def _changes(changes: Iterable[Change]) -> list[Html]:
    return [
        element(
            "li",
            element("b", signed(change.by)),
            _link(change.unique_id),
            element("small", f"{duration(change.before)} → {duration(change.now)}"),
            class_="change",
        )
        for change in changes
    ]


def delivery(picture: Picture) -> Html:
    """What became of the records, for each sink, and why some did not arrive."""
    if not picture.run.info.sinks:
        return element("p", "The run had no sink: its records are in the journal only.")
    states = ("delivered", "waiting", "rejected")
    head = element("tr", *(element("th", word, scope="col") for word in ("sink", *states)))
    rows = (
        element(
            "tr",
            element("th", sink, scope="row"),
            *(element("td", f"{counts.get(state, 0):,}") for state in states),
        )
        for sink, counts in picture.run.delivery.items()
    )
    table = element("table", element("thead", head), element("tbody", *rows), class_="plain")
    return joined(table, *_undelivered(picture))


def _undelivered(picture: Picture) -> Iterator[Html]:
    by_reason: dict[tuple[str, str, str], list[str]] = {}
    for sink, state, key, reason in picture.undelivered:
        by_reason.setdefault((sink, state, reason), []).append(key)
    for (sink, state, reason), keys in by_reason.items():
        names = (element("li", element("code", key)) for key in keys[:_MOST])
        yield element(
            "details",
            element("summary", f"{counted(len(keys), 'record')} {state} for {sink}: {reason}"),
            element("ul", *names),
            _more(len(keys)),
        )


def _links(unique_ids: Sequence[str]) -> list[Html]:
    return [element("li", _link(unique_id)) for unique_id in unique_ids]


def _link(unique_id: str, shown: str | None = None) -> Html:
    """A button that shows the node everywhere on the page."""
    return element("button", shown or unique_id, type="button", class_="link", data_node=unique_id)


def _more(number: int) -> Html | None:
    return element("p", f"… and {number - _MOST:,} more") if number > _MOST else None
