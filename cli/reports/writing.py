"""Which format a report has, where it goes, and writing it there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import click

from ...sinks.journal import history
from .. import exit_codes
from ..output.masking import print_fault
from ..output.notice import notice
from ..relay.run_record import now
from .picture import picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...sinks import Journal
    from .picture import Picture

Format = Literal["html", "junit", "github", "markdown", "json"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
OF_SUFFIX: Final[dict[str, Format]] = {
    ".htm": "html",
    ".html": "html",
    ".xml": "junit",
    ".md": "markdown",
    ".json": "json",
}
SUMMARY_VARIABLE: Final = "GITHUB_STEP_SUMMARY"
"""GitHub Actions: the file to which a step adds the Markdown of its summary."""
_MOST_OF_SUMMARY: Final = 1 << 20
"""Bytes of a step's summary. GitHub shows none of a longer one, and an error in its place."""
_FEWER_CAUSES: Final = (20, 5, 0)
_WORKSPACE_VARIABLE: Final = "GITHUB_WORKSPACE"


class ReportError(click.ClickException):
    """The report cannot be written."""

    exit_code = exit_codes.USAGE

    def show(self, file: Any = None) -> None:
        notice(self.message)


def format_of(path: str) -> Format | None:
    """The format that the end of a file's name asks for; HTML for none, None for an unknown one."""
    suffix = Path(path).suffix.lower()
    return OF_SUFFIX.get(suffix) if suffix else "html"


def text_of(picture: Picture, form: Format) -> str:
    """The report in this format. For GitHub it is the job's summary."""
    # Each format imports what the others do not need.
    if form == "html":
        from .page import page  # noqa: PLC0415

        return page(picture, now())
    if form == "junit":
        from .junit import junit  # noqa: PLC0415

        return junit(picture)
    if form == "json":
        from .json_form import json_form  # noqa: PLC0415

        return json_form(picture)
    from .markdown import markdown  # noqa: PLC0415

    return markdown(picture)


def write(text: str, path: str, *, adds: bool = False) -> None:
    """Write a file anew, or add to it. Raises ReportError."""
    try:
        with Path(path).open("a" if adds else "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        why = error.strerror or error
        raise ReportError(f"the report cannot be written to {path}: {why}") from None


def for_github(picture: Picture, environ: Mapping[str, str]) -> Iterator[str]:
    """Add the summary to the job's page; then the annotations, each a line to print.

    Outside GitHub Actions the summary is printed too.
    """
    from .github import annotation_lines  # noqa: PLC0415

    if path := environ.get(SUMMARY_VARIABLE):
        file = Path(path)
        room = _MOST_OF_SUMMARY - (file.stat().st_size if file.is_file() else 0)
        summary = _summary(picture, room)
        if summary is not None:
            write(summary, path, adds=True)
        else:
            yield "relay: nothing is added to the step's summary, which is 1 MiB long already"
    else:
        yield from text_of(picture, "github").splitlines()
    yield from annotation_lines(picture, Path(environ.get(_WORKSPACE_VARIABLE) or Path.cwd()))


def _summary(picture: Picture, room: int) -> str | None:
    """The summary, with fewer failures if it has more bytes than the room; None if none fits."""
    from .markdown import MOST_CAUSES, markdown  # noqa: PLC0415

    summaries = (markdown(picture, most) for most in (MOST_CAUSES, *_FEWER_CAUSES))
    return next((s for s in summaries if len(s.encode("utf-8", "replace")) <= room), None)


def at_the_end(
    journal: Journal, number: int, reports: tuple[str, ...], environ: Mapping[str, str]
) -> Iterator[str]:
    """Write what `run --report` asked for; the lines to print.

    dbt's result stands: a report that cannot be written is a line, and no error.
    """
    try:
        drawn = picture(journal, history.past_run(journal, number))
        for report in reports:
            yield from _written(drawn, report, environ)
    except Exception as error:
        print_fault(error)
        yield "relay: no report, because dbt-relay failed: please report the traceback above"


def _written(picture: Picture, report: str, environ: Mapping[str, str]) -> Iterator[str]:
    try:
        if report == "github":
            yield from for_github(picture, environ)
        else:
            write(text_of(picture, format_of(report) or "html"), report)
            yield f"relay: report: {report}"
    except ReportError as error:
        yield f"relay: {error.message}"
