"""The sinks of a run in the journal, opened again with today's credentials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...records.schema import RunRecord
from ...sinks.airflow import base_url, is_same_address
from ...sinks.airflow.cosmos import CosmosSink
from ...sinks.airflow.sink import AirflowSink
from ...sinks.channel import Channel, OperatorSink
from ..output.notice import notice
from ..settings import (
    AIRFLOW_SINKS,
    CREDENTIALS,
    STANDARD_SINKS,
    URL_VARIABLES,
    AirflowAccess,
    ConfigurationError,
    Place,
    XComForm,
    login_of,
)
from .destination import open_jsonl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...sinks import JournalRun, Sink
    from ..settings import Connection


def reopen(
    name: str,
    address: Mapping[str, Any],
    connection: Connection,
    environ: Mapping[str, str],
    *,
    run: JournalRun | None = None,
    force: bool = False,
) -> Sink:
    """The sink of that name; `address` is its `Sink.address`, as the journal has it.

    `run` is the run in the journal, which all sinks but airflow need. `force` replaces newer
    records.
    Credentials go to the address in the journal, or to one that was typed. Raises
    ConfigurationError if a variable names another address, since the credentials may be for that
    one, and if the sink cannot be opened here and now.
    """
    if name in STANDARD_SINKS and run is not None:
        return _standard(name, address, run, environ)
    if name not in AIRFLOW_SINKS:
        if not address:
            raise ConfigurationError(
                f"{name} was the standard output of a process that has ended: "
                "`dbt-relay show --json` prints the records"
            )
        return open_jsonl(address["path"], name)
    channel = Channel.of(environ)
    if channel is not None:
        return _through_operator(channel, address)
    if not login_of(environ).is_given:
        raise ConfigurationError(f"to deliver to Airflow, set {CREDENTIALS}")
    kept_ca = address["ca_file"]
    reached = replace(
        connection,
        url=_url(connection, address["url"], environ),
        ca_file=connection.ca_file or (Path(kept_ca) if kept_ca else None),
    )
    place = _place(address)
    form = XComForm(
        address["xcom_task_id"],
        address["key_prefix"],
        address["max_message_bytes"],
    )
    access = AirflowAccess(place, reached, form)
    renews = bool(address.get("renews"))
    to = access.settings(environ, renews=renews, force=force)
    # In journals from before there was a sink cosmos, its name is airflow.
    if address.get("wire") != "cosmos":
        return AirflowSink(to, notice)
    sink = CosmosSink(to, notice, name=name)
    if run is not None:
        sink.use_journal(run.records)
    return sink


def _standard(
    name: str, address: Mapping[str, Any], run: JournalRun, environ: Mapping[str, str]
) -> Sink:
    from .standard_sinks import RunFacts, reopened  # noqa: PLC0415 - few runs have one

    own = next((r for r in run.records() if isinstance(r, RunRecord)), None)
    facts = RunFacts(
        run.info.started_at,
        lambda: run.info.target_dir,
        run.records,
        own.adapter if own is not None else None,
    )
    return reopened(name, address, facts, environ)


def _through_operator(channel: Channel, address: Mapping[str, Any]) -> OperatorSink:
    return OperatorSink(
        channel,
        _place(address).task,
        key_prefix=address["key_prefix"],
        max_message_bytes=address["max_message_bytes"],
        renews=bool(address.get("renews")),
    )


def _place(address: Mapping[str, Any]) -> Place:
    return Place(address["dag_id"], address["run_id"], address["task_id"], address["map_index"])


def _url(connection: Connection, kept: str | None, environ: Mapping[str, str]) -> str:
    """The address to use. Whoever can write the journal must not choose where credentials go."""
    configured = connection.url
    if kept is None:  # an operator has pushed its records
        if configured is None:
            raise ConfigurationError(f"to deliver to Airflow, set {URL_VARIABLES[0]}")
        return configured
    if configured is None or connection.is_url_typed:
        return configured or kept
    try:
        is_same = is_same_address(configured, kept)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    if not is_same:
        variable = next((v for v in URL_VARIABLES if environ.get(v)), URL_VARIABLES[0])
        raise ConfigurationError(
            f"the run was for the Airflow at {kept}, but {variable} is {base_url(configured)}, so "
            "the credentials may belong to a different Airflow: type --airflow-url with the "
            "address to send to"
        )
    return kept
