"""Which sinks the records of this run go to, from options and environment."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from ..sinks import Delivery, JsonlSink, Sink
from ..sinks.airflow import AirflowSettings, AirflowSink, Login, base_url, check_prefix
from . import exit_codes

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTEXT = {"dag_id": "--dag-id", "run_id": "--run-id", "task_id": "--task-id"}


class ConfigurationError(click.ClickException):
    """Settings that cannot work; nothing was started."""

    exit_code = exit_codes.CONFIGURATION

    def show(self, file: Any = None) -> None:
        click.echo(f"relay: {self.message}", err=True, file=file)


@dataclass
class Destination:
    """The chosen sinks. `notes` are lines that a person should see first."""

    sinks: list[Sink] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    attempt: int | None = None
    owns_stdout: bool = False
    in_airflow: bool = False
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
            in_airflow="AIRFLOW_CTX_TASK_ID" in environ,
            workers=options["workers"],
            flush_timeout=options["flush_timeout"],
            is_strict=options["strict_delivery"],
        )
        login = _login(environ)
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
                chosen.sinks.append(AirflowSink(_airflow(options, login), _note))
            elif kind == "jsonl" and target:
                chosen.owns_stdout |= target == "-"
                chosen.sinks.append(_jsonl(target))
            else:
                raise ConfigurationError(f"there is no sink {sink!r}: use airflow or jsonl:PATH")
        return chosen

    def open(self) -> Delivery:
        """The delivery, with its threads running: not before the child has been forked."""
        return Delivery(self.sinks, workers=self.workers)


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
        missing.append(
            "DBT_RELAY_AIRFLOW_TOKEN (or …_TOKEN_FILE, …_TOKEN_COMMAND, …_USERNAME and …_PASSWORD)"
        )
    return missing


def _airflow(options: Mapping[str, Any], login: Login) -> AirflowSettings:
    try:
        check_prefix(options["key_prefix"])
        return AirflowSettings(
            url=base_url(options["airflow_url"]),
            dag_id=options["dag_id"],
            run_id=options["run_id"],
            task_id=options["task_id"],
            xcom_task_id=options["xcom_task_id"],
            login=login,
            map_index=options["map_index"],
            key_prefix=options["key_prefix"],
            max_message_bytes=options["max_message_bytes"],
            force=options.get("force", False),
            ca_file=options["ca_file"],
            proxy=options["proxy"],
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
    return _airflow({**options, **ids}, login), missing


def _jsonl(target: str) -> JsonlSink:
    out: Path | BinaryIO = sys.stdout.buffer if target == "-" else Path(target)
    try:
        return JsonlSink(out)
    except OSError as error:
        raise ConfigurationError(f"cannot write {target}: {error.strerror}") from error


def _note(line: str) -> None:
    click.echo(f"relay: {line}", err=True)
