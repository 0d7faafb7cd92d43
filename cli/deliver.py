"""`dbt-relay deliver`: send what is waiting in the journal."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from ..records.plural import counted
from ..records.schema import RunRecord
from ..sinks import Delivery
from ..sinks.journal import history
from . import exit_codes
from .options import CREDENTIALS, connection_options, option
from .output import report
from .output.notice import notice
from .relay.deadline import Deadline
from .relay.reopening import reopen
from .relay.run_record import died, now
from .relay.state_folder import journal_to_read, no_run
from .settings import ConfigurationError

if TYPE_CHECKING:
    from ..sinks import Journal, JournalRun
    from ..sinks.journal.history import PastRun
    from .settings import Reaching

HELP: Final = """Send the records that wait in the journal: those of RUN, or all with --all.

Safe at any time, twice, and beside a running relay, which delivers its own records. A run whose
relay was killed is published as died. A record is refused if its attempt is over, or if Airflow has
a newer record.

The journal keeps the address that the run was started with. Records go there, with the credentials
that are set today. If DBT_RELAY_AIRFLOW_URL or AIRFLOW__API__BASE_URL has a different address, the
run is not delivered, and the exit code is 78. With --airflow-url, all records go to that address.

\b
Examples:
  dbt-relay deliver 17
  dbt-relay deliver --all
  dbt-relay deliver 17 --force         also rejected records, and over newer records
  dbt-relay deliver 17 --airflow-url https://airflow.example.com
"""


@click.command(help=HELP, epilog=CREDENTIALS)
@option("--all/--no-all", "everything", default=False, help="Every run with records that wait.")
@option(
    "--force/--no-force",
    default=False,
    help="Send rejected records again, and replace newer records.",
)
@connection_options
@click.argument("run", type=int, required=False)
def deliver(run: int | None, everything: bool, force: bool, settings: Reaching) -> int:
    if (run is None) != everything:
        raise click.UsageError("give the number of a RUN (`dbt-relay runs` lists them), or --all")
    with journal_to_read(settings.keeping, os.environ) as journal:
        try:
            runs = [history.past_run(journal, run)] if run is not None else history.runs(journal)
        except LookupError:
            return no_run(run, journal)
        waiting = [
            past
            for past in reversed(runs)
            if past.is_waiting or past.died_unnoticed or (force and past.count("rejected"))
        ]
        codes = [_deliver(journal, past, settings, force=force) for past in waiting]
        if not waiting:
            click.echo("relay: nothing is waiting")
        return max(codes, default=0)


def _deliver(journal: Journal, past: PastRun, settings: Reaching, *, force: bool) -> int:
    name = f"run {past.number}"
    try:
        run = journal.adopt(past.number)
    except OSError as error:
        notice(f"{name} cannot be locked, and is not delivered: {error}")
        return exit_codes.UNDELIVERED
    except LookupError:
        notice(f"{name} is no longer in the journal")
        return exit_codes.UNDELIVERED
    if run is None:
        click.echo(f"relay: {name} is being delivered by another process")
        return 0
    try:
        if run.lost:
            notice(f"{name}: lost {counted(run.lost, 'record')}: the journal was damaged")
        # Read again under the lock: another `deliver` may have changed the run meanwhile.
        past = history.past_run(journal, past.number)
        if past.record is None or past.record.state == "running":
            run.put(died(past, now()), time.monotonic())
            if not run.info.sinks:
                click.echo(f"relay: {name} was killed. It has no sink, so nothing is sent")
        if force:
            run.retry_rejected()
        return _send(run, name, settings, force=force)
    finally:
        run.close()


def _send(run: JournalRun, name: str, settings: Reaching, *, force: bool) -> int:
    code = 0
    for sink, address in run.info.sinks.items():
        before = run.queue(sink).account()
        if not before.waiting:
            continue
        try:
            opened = reopen(
                sink,
                address,
                settings.connection,
                os.environ,
                run=run,
                force=force,
            )
        except ConfigurationError as error:
            notice(f"{name}, {len(before.waiting)} waiting for {sink}: {error.message}")
            code = error.exit_code
            continue
        deadline = Deadline(settings.sending.flush_timeout)
        # The run's own record goes last: it is then written once, with the others' delivery in it.
        run.queue(sink).make_all_due(time.monotonic(), "run last")
        with Delivery(run, [opened], workers=settings.sending.workers) as delivery:
            delivery.flush(deadline.left, order="run last")
            _recount(delivery)
            deadline.extend()
            delivery.flush(deadline.left)
            (after,) = delivery.figures()
        for line in report.redelivery(name, before.waiting, after, deadline.describe()):
            click.echo(line)
        if not after.is_complete:
            code = code or exit_codes.UNDELIVERED
    return code


def _recount(delivery: Delivery) -> None:
    """Put the run's own record again if its figures on the delivery have changed."""
    (figures,) = delivery.figures()
    known = next((r for r in delivery.run.records() if isinstance(r, RunRecord)), None)
    if known is None or known.delivery is None:
        return
    counts = figures.to_json()
    if known.delivery.get(figures.sink) != counts:
        counted = {**known.delivery, figures.sink: counts}
        delivery.put(replace(known, delivery=counted, sequence=known.sequence + 1))
