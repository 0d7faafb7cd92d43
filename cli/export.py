"""`dbt-relay export`: the history of all runs as a table."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ..records.values import encode
from .history.columns import exported_rows, json_row
from .history.parquet import engine, write_parquet
from .history.whole_file import whole_file
from .options import journal_options, option
from .relay.ledger import ledger_to_read
from .relay.state_folder import journal_to_read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..sinks.ledger.file import Ledger
    from .settings import Keeping

_AT_A_TIME: Final = 1_000
"""Lines."""
_HELP: Final = """Write the history as a table: a row for each node and run, for a year.

Without an option: JSON lines on standard output. Parquet needs pyarrow or duckdb.

\b
Examples:
  dbt-relay export --parquet history
  dbt-relay export --jsonl history.jsonl
  duckdb -c "select * from 'history/*.parquet' limit 10"
"""


@click.command(help=_HELP)
@option(
    "--parquet",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write a Parquet file for each month into this folder. The files are written anew each "
    "time: export as often as you like.",
)
@option(
    "--jsonl",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="PATH",
    help="Write JSON lines to this file; - is standard output.",
)
@journal_options
def export(parquet: Path | None, jsonl: str | None, settings: Keeping) -> int:
    if parquet is not None and jsonl is not None:
        raise click.UsageError("--parquet and --jsonl exclude each other: type the command twice")
    writer = engine() if parquet is not None else None
    with journal_to_read(settings, os.environ) as journal, ledger_to_read(journal) as ledger:
        if parquet is not None and writer is not None:
            for line in write_parquet(ledger, parquet, writer):
                click.echo(line)
        elif jsonl is None or jsonl == "-":
            lines = _json_lines(ledger)
            while some := b"".join(itertools.islice(lines, _AT_A_TIME)):
                click.echo(some, nl=False)
        else:
            path = Path(jsonl)
            with whole_file(path) as draft, draft.open("wb") as file:
                file.writelines(_json_lines(ledger))
            click.echo(jsonl)
    return 0


def _json_lines(ledger: Ledger) -> Iterator[bytes]:
    return (encode(json_row(row)) + b"\n" for row in exported_rows(ledger))
