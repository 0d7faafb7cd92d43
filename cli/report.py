"""`dbt-relay report`: a run from the journal as a page, or for a CI system."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from ..sinks.journal import history
from .options import journal_options, option
from .relay.state_folder import journal_to_read, no_run
from .reports.picture import picture
from .reports.writing import FORMATS, OF_SUFFIX, for_github, format_of, text_of, write

if TYPE_CHECKING:
    from .reports.writing import Format
    from .settings import Keeping

_HELP: Final = """Write a report of a run. RUN is its number in `dbt-relay runs`.

Without RUN it is the latest run. The page is one HTML file that loads nothing: a timeline, the
graph, all nodes, failures, changes since the run before, and delivery.

\b
Examples:
  dbt-relay report --out run.html
  dbt-relay report 17 --out junit.xml
  dbt-relay report --format github      in a step of GitHub Actions
"""


@click.command(help=_HELP)
@option(
    "--out",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="PATH",
    help="Where to write the report; - is stdout. Default: run-N.html for a page, else stdout.",
)
@option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Default: what the name of --out says (.html, .xml, .md, .json), else html.",
)
@journal_options
@click.argument("run", type=int, required=False)
def report(run: int | None, out: str | None, form: Format | None, settings: Keeping) -> int:
    with journal_to_read(settings, os.environ) as journal:
        try:
            number = run if run is not None else history.runs(journal, 1)[0].number
            drawn = picture(journal, history.past_run(journal, number))
        except LookupError:
            return no_run(run, journal)
    form = form or format_of(out or "")
    if form is None:
        raise click.UsageError(
            f"the name of {out} says no format: end it with {', '.join(OF_SUFFIX)}, or add --format"
        )
    if form == "github" and out is None:
        for line in for_github(drawn, os.environ):
            click.echo(line)
        return 0
    if out is None and form == "html":
        out = f"run-{number}.html"
    if out is None or out == "-":
        click.echo(text_of(drawn, form), nl=False)
    else:
        write(text_of(drawn, form), out)
        click.echo(out)
    return 0
