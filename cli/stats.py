"""`dbt-relay stats`: what the runs of a project tell together."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ..records.instant import moment
from ..records.plural import counted
from ..records.values import encode
from ..sinks.ledger import reading
from .history.findings import findings
from .history.json_form import json_form
from .history.text import lines
from .options import AS_JSON, journal_options, option
from .output.notice import notice
from .relay.ledger import ledger_to_read
from .relay.state_folder import journal_to_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .settings import Keeping

_HELP: Final = """Say what got slower in a project, what is flaky, what fails, and what would
shorten its run.

Looks at the latest runs of the project in this folder, or of the project that ran last. With NODE:
only at those nodes, with the figures of each. NODE is a name or a unique_id, and may have * and ?.

\b
Examples:
  dbt-relay stats
  dbt-relay stats orders 'stg_*'
  dbt-relay stats --since 30d --json
"""
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)([mhdw])")
_SECONDS: Final = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def _instant(_: object, __: object, value: str | None) -> float | None:
    """Seconds since 1970: of a date, or of a span back from now."""
    if value is None:
        return None
    if span := _SPAN.fullmatch(value):
        return time.time() - float(span[1]) * _SECONDS[span[2]]
    try:
        return moment(value).timestamp()
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is neither a span as 30m, 12h, 30d or 4w nor a date as 2026-11-01"
        ) from None


@click.command(help=_HELP)
@option(
    "--project",
    metavar="DIR",
    help="The project's folder. Default: the project in this folder, or the one that ran last.",
)
@option(
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many runs to look at. Default: 50, or all that --since names.",
)
@option(
    "--since",
    callback=_instant,
    metavar="WHEN",
    help="Look at runs since a date (2026-11-01) or for a span (30m, 12h, 30d, 4w).",
)
@AS_JSON
@journal_options
@click.argument("nodes", metavar="[NODE]...", nargs=-1)
def stats(
    *,
    project: str | None,
    last: int | None,
    since: float | None,
    as_json: bool,
    nodes: tuple[str, ...],
    settings: Keeping,
) -> int:
    with journal_to_read(settings, os.environ) as journal, ledger_to_read(journal) as ledger:
        known = reading.projects(ledger)
        if not known:
            click.echo(f"no run of dbt in {journal.state_dir} yet, so there is nothing to say")
            return 0
        chosen = _project(known, project)
        if last is None and since is None:
            last = 50
        found = findings(journal, ledger, chosen, last=last, since=since, patterns=nodes)
        if as_json:
            click.echo(encode(json_form(found)))
            return 0
        for line in lines(found):
            click.echo(line)
        if project is None and len(known) > 1:
            others = counted(len(known) - 1, "other project")
            notice(f"{others} ran here: name one with --project")
        return 0


def _project(known: Sequence[str], named: str | None) -> str:
    """The project that is meant, of those that the ledger knows."""
    if named is not None:
        wanted = os.path.realpath(named)
        found = [p for p in known if p in (named, wanted)] or [
            p for p in known if Path(p).name == named
        ]
        if len(found) != 1:
            what = f"{len(found)} projects are" if found else "no project is"
            listed = "\n".join(f"  {p}" for p in known)
            raise click.BadParameter(f"{what} called {named}. dbt-relay knows:\n{listed}")
        return found[0]
    here = Path(os.path.realpath(Path.cwd()))
    found = next((str(p) for p in (here, *here.parents) if str(p) in known), None)
    if found is None and (here / "dbt_project.yml").is_file():
        notice(f"no run of the project in {here} yet: this is the project that ran last")
    return found or known[0]
