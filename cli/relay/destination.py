"""Which sinks the records of this run go to, from options and environment."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from ...records.task import TaskInstance
from ...sinks import Delivery, JournalRun, JsonlSink, RunInfo, Sink
from ...sinks.airflow import (
    AirflowSettings,
    AirflowSink,
    Login,
    base_url,
    check_prefix,
    is_same_address,
    proxy_of,
)
from .. import exit_codes
from ..output.notice import note
from ..output.streams import was_closed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CREDENTIALS = (
    "DBT_RELAY_AIRFLOW_TOKEN (or …_TOKEN_FILE, …_TOKEN_COMMAND, …_USERNAME and …_PASSWORD)"
)
_URL_VARIABLES = ("DBT_RELAY_AIRFLOW_URL", "AIRFLOW__API__BASE_URL")
_CONTEXT = {"dag_id": "--dag-id", "run_id": "--run-id", "task_id": "--task-id"}


class ConfigurationError(click.ClickException):
    """Settings that cannot work; nothing was started."""

    exit_code = exit_codes.CONFIGURATION

    def show(self, file: Any = None) -> None:
        note(self.message)


@dataclass
class Destination:
    """The chosen sinks. `notes` are lines that a person should see first."""

    sinks: list[Sink] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    attempt: int | None = None
    task: TaskInstance | None = None
    """The task whose work this is; None outside Airflow."""
    lasting_airflow: AirflowSettings | None = None
    """Where records outlive a retry of the task that runs dbt."""
    asked_airflow: AirflowSettings | None = None
    """The Airflow that can be asked for the tries of this task, be it a sink or not."""
    airflow_url: str | None = None
    renews: bool = False
    noted: AirflowSink | None = None
    """Where the task gets a note at the end."""
    is_watched: bool = False
    """Whether sensors of Cosmos wait for the records."""
    owns_stdout: bool = False
    in_airflow: bool = False
    """Whether this is the work of an Airflow task, be it on a worker or elsewhere."""
    workers: int = 1
    flush_timeout: float = 30.0
    is_strict: bool = False

    @classmethod
    def choose(cls, options: Mapping[str, Any], environ: Mapping[str, str]) -> Destination:
        """The destination that the options name, or what suits where this runs.

        Raises ConfigurationError for a sink that was asked for and cannot work.
        """
        chosen = cls(
            attempt=options["try_number"],
            task=_task(options),
            in_airflow=names_task(options, environ),
            workers=options["workers"],
            flush_timeout=options["flush_timeout"],
            is_strict=options["strict_delivery"],
            renews=bool(options.get("renew")),
        )
        login = _login(environ)
        chosen.asked_airflow, chosen.airflow_url = _asked(options, login, environ)
        missing = _missing(options, login)
        sinks: tuple[str, ...] = options["sinks"]
        if not sinks and chosen.in_airflow:
            if missing:
                chosen.notes.append(
                    f"results stay in this log: to have them in XCom, set {' and '.join(missing)}"
                )
            else:
                sinks = ("airflow",)
        for sink in dict.fromkeys(sinks):
            kind, _, target = sink.partition(":")
            if kind == "airflow" and not target:
                if missing:
                    raise ConfigurationError(f"--sink airflow needs {' and '.join(missing)}")
                settings = _airflow(options, login, environ)
                if options["xcom_task_id"]:
                    chosen.lasting_airflow = settings
                chosen.is_watched = settings.wire == "cosmos"
                airflow = AirflowSink(settings, note)
                chosen.sinks.append(airflow)
                if options.get("note"):
                    chosen.noted = airflow
            elif kind == "jsonl" and target:
                chosen.owns_stdout |= target == "-"
                chosen.sinks.append(_jsonl(target))
            else:
                raise ConfigurationError(f"there is no sink {sink!r}: use airflow or jsonl:PATH")
        if options.get("note") and chosen.noted is None:
            chosen.notes.append("no note is written: --note needs the sink airflow")
        return chosen

    def run_info(
        self,
        command: Sequence[str],
        started_at: str,
        target_dir: Path | None = None,
        project_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> RunInfo:
        """What the journal is to know of a run that goes here."""
        return RunInfo(
            command=tuple(command),
            started_at=started_at,
            cwd=_cwd(),
            target_dir=str(target_dir) if target_dir else None,
            attempt=self.attempt,
            airflow_url=self.airflow_url,
            project_dir=os.path.realpath(project_dir) if project_dir else None,
            environment=environment,
            renews=self.renews,
            sinks={sink.name: sink.address for sink in self.sinks},
            task=self.task,
        )

    def open(self, run: JournalRun) -> Delivery:
        """The delivery, with its threads running: not before the child has been forked."""
        return Delivery(run, self.sinks, workers=self.workers)

    def close(self) -> None:
        """Close the sinks, where no delivery was opened that does."""
        for sink in self.sinks:
            sink.close()


def _task(options: Mapping[str, Any]) -> TaskInstance | None:
    if not all(options[name] for name in _CONTEXT):
        return None
    return TaskInstance(
        options["dag_id"], options["run_id"], options["task_id"], options["map_index"]
    )


def _asked(
    options: Mapping[str, Any], login: Login, environ: Mapping[str, str]
) -> tuple[AirflowSettings | None, str | None]:
    """The Airflow that is configured, if it can be asked, and its address in any case.

    Settings that cannot work are no error here: the sink airflow says what is wrong with them.
    """
    try:
        url = base_url(options["airflow_url"]) if options["airflow_url"] else None
        if url is None or _missing(options, login):
            return None, url
        return _airflow(options, login, environ), url
    except (ValueError, ConfigurationError):
        return None, None


def names_task(options: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    """Whether a task of Airflow is named: by Airflow on its worker, by the options elsewhere."""
    return "AIRFLOW_CTX_TASK_ID" in environ or all(options[name] for name in _CONTEXT)


def reopen(
    name: str, address: Mapping[str, Any], options: Mapping[str, Any], environ: Mapping[str, str]
) -> Sink:
    """A sink that the journal names, with today's credentials.

    Those go to the address that the journal has, or to one that was typed (`is_typed`). Raises
    ConfigurationError where another address is configured, whose credentials they are, and where
    the sink cannot be opened here and now.
    """
    if name != "airflow":
        if not address:
            raise ConfigurationError(
                f"{name} was the standard output of a process that has ended: "
                "`dbt-relay show --json` prints the records"
            )
        return _jsonl(address["path"], name)
    login = _login(environ)
    if not login.is_given:
        raise ConfigurationError(f"to deliver to Airflow, set {_CREDENTIALS}")
    kept = {
        "airflow_url": address["url"],
        "ca_file": address["ca_file"] and Path(address["ca_file"]),
    }
    given = {name: options[name] for name in ("airflow_url", "ca_file") if options[name]}
    if "airflow_url" in given and not options.get("is_typed"):
        _check_address(given.pop("airflow_url"), address["url"], environ)
    here = {"proxy": options["proxy"], "force": options["force"]}
    return AirflowSink(_airflow({**address, **kept, **given, **here}, login, environ), note)


def _check_address(configured: str, kept: str, environ: Mapping[str, str]) -> None:
    """Whoever can write the journal must not choose where the credentials of today go."""
    try:
        is_same = is_same_address(configured, kept)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    if not is_same:
        variable = next((v for v in _URL_VARIABLES if environ.get(v)), _URL_VARIABLES[0])
        raise ConfigurationError(
            f"the run was for the Airflow at {kept}, and {variable} says {base_url(configured)}, "
            "so the credentials that are set may be for the latter: type --airflow-url with the "
            "address that the records are to go to"
        )


def _cwd() -> str | None:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was deleted under us
        return None


def _login(environ: Mapping[str, str]) -> Login:
    def secret(name: str) -> str | None:
        return environ.get(f"DBT_RELAY_AIRFLOW_{name}") or None

    file = secret("TOKEN_FILE")
    return Login(
        token=secret("TOKEN"),
        token_file=Path(file) if file else None,
        token_command=secret("TOKEN_COMMAND"),
        username=secret("USERNAME"),
        password=secret("PASSWORD"),
    )


def _missing(options: Mapping[str, Any], login: Login) -> list[str]:
    missing = [option for name, option in _CONTEXT.items() if not options[name]]
    if not options["airflow_url"]:
        missing.append("DBT_RELAY_AIRFLOW_URL")
    if not login.is_given:
        missing.append(_CREDENTIALS)
    return missing


def _airflow(
    options: Mapping[str, Any], login: Login, environ: Mapping[str, str]
) -> AirflowSettings:
    wire = options.get("wire", "relay")
    given = {"--key-prefix": options["key_prefix"], "--xcom-task-id": options["xcom_task_id"]}
    fixed = [name for name, value in given.items() if value]
    if wire == "cosmos" and fixed:
        raise ConfigurationError(
            f"--wire cosmos and {fixed[0]} exclude each other: the sensors of Cosmos read keys "
            "that are fixed, of the task whose state they watch"
        )
    try:
        check_prefix(options["key_prefix"])
        url = base_url(options["airflow_url"])
        return AirflowSettings(
            url=url,
            dag_id=options["dag_id"],
            run_id=options["run_id"],
            task_id=options["task_id"],
            xcom_task_id=options["xcom_task_id"],
            login=login,
            map_index=options["map_index"],
            key_prefix=options["key_prefix"],
            max_message_bytes=options["max_message_bytes"],
            wire=wire,
            renews=bool(options.get("renew") or options.get("renews")),
            force=options.get("force", False),
            ca_file=options["ca_file"],
            proxy=proxy_of(url, options["proxy"], environ),
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def airflow_of(
    options: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[AirflowSettings | None, list[str]]:
    """The Airflow that is named, if an address is, and which settings are missing to deliver.

    An id that is missing is empty. Raises ConfigurationError for settings that cannot work.
    """
    login = _login(environ)
    missing = _missing(options, login)
    if not options["airflow_url"]:
        return None, missing
    ids = {name: options[name] or "" for name in _CONTEXT}
    return _airflow({**options, **ids}, login, environ), missing


def _jsonl(target: str, name: str | None = None) -> JsonlSink:
    if target == "-" and was_closed(1):
        raise ConfigurationError("cannot write jsonl:- as the standard output is closed")
    out: Path | BinaryIO = sys.stdout.buffer if target == "-" else Path(target)
    try:
        return JsonlSink(out, name)
    except OSError as error:
        raise ConfigurationError(f"cannot write {target}: {error.strerror}") from error
