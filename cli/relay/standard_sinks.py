"""The sinks for OpenLineage and OpenTelemetry, from variables and from dbt's files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...records.values import text
from ...sinks.openlineage.runs import caller_of, job_namespace
from ...sinks.openlineage.setting import Setting
from ...sinks.openlineage.sink import OpenLineageSink
from ...sinks.otlp.sink import OtlpSink
from ..dbt.arguments import SUBCOMMANDS, position_of_dbt
from ..dbt.artifact_nodes import TargetFolder
from ..dbt.profile import UnknownProfileError, profile_of, project_of
from ..dbt.warehouse import dataset_namespace
from ..output.masking import secrets_in
from ..output.notice import notice
from ..settings import ConfigurationError, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from ...records.schema import Record
    from ...sinks import Sink

OPENLINEAGE: Final = "openlineage"
OTLP: Final = "otlp"
_PROTOCOL: Final = "http/protobuf"
_JOB: Final = "OPENLINEAGE_DBT_JOB_NAME"
_TRUE: Final = frozenset({"true", "1"})


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run when one of these sinks is opened for it.

    `target_dir` tells where dbt's files lie; its log may name the folder later. `records` reads the
    run's records. `adapter` is dbt's adapter with its version, if the journal has it.
    """

    started_at: str
    target_dir: Callable[[], str | None]
    records: Callable[[], Iterable[Record]]
    adapter: str | None = None


def chosen_sink(kind: str, environ: Mapping[str, str], place: Place) -> Sink | str:
    """The sink of that name; a text that says why there is none although nothing is wrong.

    Raises ConfigurationError if a package or a setting is missing.
    """
    return _openlineage(environ, place) if kind == OPENLINEAGE else _otlp(environ)


def _openlineage(environ: Mapping[str, str], place: Place) -> OpenLineageSink | str:
    _check_installed("openlineage.client", OPENLINEAGE)
    if environ.get("OPENLINEAGE_DISABLED", "").strip().lower() in _TRUE:
        return "OPENLINEAGE_DISABLED is set, so nothing is sent to OpenLineage"
    if not _has_transport(environ):
        raise ConfigurationError(
            "--sink openlineage needs to know where to: set OPENLINEAGE_URL, or any other "
            "transport of OpenLineage's client, in variables or in openlineage.yml"
        )
    try:
        caller = caller_of(environ, place.task, place.attempt)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    job = environ.get(_JOB) or "dbt-run"
    return OpenLineageSink(Setting(job_namespace(environ), job, caller=caller))


def describe(
    sinks: Iterable[Sink],
    command: Sequence[str],
    environ: Mapping[str, str],
    project_dir: Path | None,
    target_dir: Path | None,
) -> None:
    """Tell these sinks what the command shows, before the run begins in the journal.

    The project of a saved log is the folder above `target_dir`.
    """
    cwd = Path.cwd()
    folder = project_dir or (target_dir.parent if target_dir is not None else cwd)
    for sink in sinks:
        if isinstance(sink, OpenLineageSink):
            _locate(sink, command, environ, folder, cwd)
        elif isinstance(sink, OtlpSink):
            sink.use_span_name(_span_name(command))


def _locate(
    sink: OpenLineageSink,
    command: Sequence[str],
    environ: Mapping[str, str],
    project_dir: Path,
    cwd: Path,
) -> None:
    """Tell the sink the names of the project and of the warehouse. Says what cannot be known."""
    project = text(project_of(project_dir).get("name"))
    setting = replace(sink.setting, project=project)
    if project is not None and not environ.get(_JOB):
        setting = replace(setting, job=f"dbt-run-{project}")
    try:
        profile = profile_of(command, environ, project_dir, cwd)
        setting = replace(setting, adapter=text(profile.get("type")))
        setting = replace(setting, datasets=dataset_namespace(profile))
    except UnknownProfileError as error:
        notice(f"the events for OpenLineage name no tables: {error}")
    sink.use_setting(setting)


def _otlp(environ: Mapping[str, str]) -> OtlpSink | str:
    _check_installed("opentelemetry.sdk.trace", OTLP)
    _check_installed("opentelemetry.exporter.otlp.proto.http", OTLP)
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "OTEL_SDK_DISABLED is set, so nothing is sent to OpenTelemetry"
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if protocol := environ.get(name):
            if protocol != _PROTOCOL:
                raise ConfigurationError(
                    f"--sink otlp speaks {_PROTOCOL}, but {name} is {protocol}: set "
                    f"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL={_PROTOCOL}, and "
                    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT to the collector's address for HTTP"
                )
            break
    return OtlpSink(environ.get("TRACEPARENT"))


def _span_name(command: Sequence[str]) -> str:
    """The name of the span of a run: dbt with its subcommand, if the command shows one."""
    at = position_of_dbt(command)
    words = command[at + 1 :] if at is not None else ()
    return next((f"dbt {word}" for word in words if word in SUBCOMMANDS), "dbt")


def use_run(sink: Sink, facts: RunFacts, environ: Mapping[str, str]) -> None:
    """Tell one of these sinks what it needs beyond the records."""
    if isinstance(sink, OpenLineageSink):
        files = TargetFolder(facts.target_dir, secrets_in(environ))
        sink.use_run(facts.started_at, files, facts.records)
    elif isinstance(sink, OtlpSink):
        sink.use_run(facts.started_at, facts.adapter)


def reopened(
    name: str, address: Mapping[str, Any], facts: RunFacts, environ: Mapping[str, str]
) -> Sink:
    """One of these sinks, as the journal has it, with today's settings of its client.

    Raises ConfigurationError.
    """
    today = chosen_sink(name, environ, Place())
    if isinstance(today, str):
        raise ConfigurationError(today)
    kept: Sink
    if name == OPENLINEAGE:
        kept = OpenLineageSink(Setting.of_json(address))
    else:
        kept = OtlpSink(address["traceparent"], address["span"])
    use_run(kept, facts, environ)
    return kept


def _check_installed(module: str, extra: str) -> None:
    try:
        is_there = find_spec(module) is not None
    except ModuleNotFoundError:
        is_there = False
    if not is_there:
        raise ConfigurationError(
            f"--sink {extra} needs packages that are not installed: "
            f"pip install 'dbt-relay[{extra}]'"
        )


def _has_transport(environ: Mapping[str, str]) -> bool:
    """Whether OpenLineage's client will find a transport, where the client itself looks."""
    named = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT")
    if any(value and name.startswith(named) for name, value in environ.items()):
        return True
    folders = (Path.cwd(), Path("~/.openlineage").expanduser())
    return any((folder / "openlineage.yml").is_file() for folder in folders)
