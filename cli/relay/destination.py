"""Which sinks the records of a run go to."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ...sinks import Delivery, JsonlSink, RunInfo
from ...sinks.airflow import base_url
from ...sinks.channel import Channel, OperatorSink
from ..output.notice import notice
from ..output.streams import was_closed
from ..settings import AIRFLOW_SINKS, STANDARD_SINKS, ConfigurationError
from .tested_nodes import TestedNodes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...parser.invocation import Invocation
    from ...records.schema import NodeRecord
    from ...sinks import JournalRun, Sink
    from ...sinks.airflow import AirflowSettings
    from ...sinks.airflow.cosmos import CosmosSink
    from ...sinks.airflow.note import TaskNote
    from ..settings import AirflowAccess, RelaySettings


@dataclass(slots=True)
class Destination:
    """The chosen sinks. `remarks` are lines that a person should see first."""

    settings: RelaySettings
    in_airflow: bool
    """Whether this is the work of an Airflow task, on a worker or elsewhere."""
    sinks: list[Sink] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    lasting_airflow: AirflowSettings | None = None
    """Where records outlive a retry of the task that runs dbt."""
    known_airflow: AirflowSettings | None = None
    """The Airflow that knows the tries of this task, whether or not it is a sink."""
    airflow_url: str | None = None
    note: TaskNote | None = None
    """The note that the task gets at the end."""
    cosmos: CosmosSink | None = None
    """The sink whose values the sensors of Cosmos wait for."""
    channel: Channel | None = None
    """To the operator that has started this process."""
    owns_stdout: bool = False

    @classmethod
    def choose(cls, settings: RelaySettings, environ: Mapping[str, str]) -> Destination:
        """The destination that the settings name, or a fitting one for the place where this runs.

        Raises ConfigurationError for a sink that was asked for and cannot work.
        """
        chosen = cls(settings, in_airflow=settings.names_task(environ))
        chosen.known_airflow, chosen.airflow_url = _known(settings.airflow, environ)
        missing = settings.airflow.missing(environ)
        sinks = settings.sinks
        chosen.channel = Channel.of(environ)
        if not sinks and chosen.in_airflow:
            if missing and chosen.channel is None:
                chosen.remarks.append(
                    f"results stay in this log: to have them in XCom, set {' and '.join(missing)}"
                )
            else:
                sinks = (settings.default_sink,)
        for sink in dict.fromkeys(sinks):
            kind, _, target = sink.partition(":")
            if kind == "airflow" and not target and chosen.channel is not None:
                chosen.add_operator(chosen.channel, environ, missing)
            elif kind in AIRFLOW_SINKS and not target:
                chosen.add_airflow(kind, environ, missing)
            elif kind in STANDARD_SINKS and not target:
                chosen.add_standard(kind, environ)
            elif kind == "jsonl" and target:
                chosen.owns_stdout |= target == "-"
                chosen.sinks.append(open_jsonl(target))
            else:
                raise ConfigurationError(
                    f"there is no sink {sink!r}: use airflow, cosmos, openlineage, otlp or "
                    "jsonl:PATH"
                )
        if settings.writes_note and chosen.note is None:
            chosen.remarks.append(f"no note is written: {chosen.why_no_note(missing)}")
        return chosen

    def why_no_note(self, missing: Sequence[str]) -> str:
        """Why the task gets no note. Only Airflow's REST API can write a note."""
        if self.channel is not None and missing:
            return f"--note needs {' and '.join(missing)}, even with an operator"
        return "--note needs the sink airflow or cosmos"

    def add_operator(
        self, channel: Channel, environ: Mapping[str, str], missing: Sequence[str]
    ) -> None:
        """Add the operator that has started this process as the sink airflow.

        A note goes over the REST API, unless a setting for it is `missing`.
        """
        form, renews = self.settings.airflow.xcoms, self.settings.renews
        self.sinks.append(
            OperatorSink(
                channel,
                self.settings.place.task,
                key_prefix=form.key_prefix,
                max_message_bytes=form.max_message_bytes,
                renews=renews,
            )
        )
        if self.settings.writes_note and not missing:
            from ...sinks.airflow.note import TaskNote  # noqa: PLC0415 - few runs write a note
            from ...sinks.airflow.writer import XComWriter  # noqa: PLC0415

            to = self.settings.airflow.settings(environ)
            self.note = TaskNote(XComWriter(to, notice), to)

    def add_airflow(self, kind: str, environ: Mapping[str, str], missing: Sequence[str]) -> None:
        """Add the sink airflow or cosmos.

        Raises ConfigurationError if a setting is `missing` or wrong.
        """
        from ...sinks.airflow.cosmos import CosmosSink  # noqa: PLC0415 - many runs have no Airflow
        from ...sinks.airflow.sink import AirflowSink  # noqa: PLC0415

        if missing:
            raise ConfigurationError(f"--sink {kind} needs {' and '.join(missing)}")
        access = self.settings.airflow
        to = access.settings(environ, renews=self.settings.renews)
        if kind == "cosmos":
            access.xcoms.check_for_cosmos()
            sink = self.cosmos = CosmosSink(to, notice)
        else:
            sink = AirflowSink(to, notice)
            if access.xcoms.task_id:
                self.lasting_airflow = to
        self.sinks.append(sink)
        if self.settings.writes_note:
            self.note = sink.note

    def add_standard(self, kind: str, environ: Mapping[str, str]) -> None:
        """Add the sink openlineage or otlp, unless its own variables switch it off.

        Raises ConfigurationError if a package or a setting is missing.
        """
        from .standard_sinks import chosen_sink  # noqa: PLC0415 - few runs have one

        sink = chosen_sink(kind, environ, self.settings.place)
        if isinstance(sink, str):
            self.remarks.append(sink)
        else:
            self.sinks.append(sink)

    @property
    def asks_for_versions(self) -> bool:
        """Whether a sink needs the versions of dbt before the first node."""
        return self.cosmos is not None or self._has_standard

    def run_info(
        self,
        command: Sequence[str],
        started_at: str,
        target_dir: Path | None = None,
        project_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> RunInfo:
        """The journal's description of a run that goes here."""
        if self._has_standard:
            from .standard_sinks import describe  # noqa: PLC0415

            describe(self.sinks, command, os.environ, project_dir, target_dir)
        return RunInfo(
            command=tuple(command),
            started_at=started_at,
            cwd=_cwd(),
            target_dir=str(target_dir) if target_dir else None,
            task=self.settings.place.task,
            attempt=self.settings.place.attempt,
            airflow_url=self.airflow_url,
            project_dir=os.path.realpath(project_dir) if project_dir else None,
            environment=environment,
            renews=self.settings.renews,
            sinks={sink.name: sink.address for sink in self.sinks},
        )

    def open(self, run: JournalRun) -> Delivery:
        """The delivery, with its threads running. Call it only after dbt has been forked."""
        if self.cosmos is not None:
            self.cosmos.use_journal(run.records)
        if self._has_standard:
            from .standard_sinks import RunFacts, use_run  # noqa: PLC0415

            facts = RunFacts(run.info.started_at, lambda: run.info.target_dir, run.records)
            for sink in self.sinks:
                use_run(sink, facts, os.environ)
        return Delivery(run, self.sinks, workers=self.settings.sending.workers)

    def complete(self, target_dir: Path) -> Callable[[NodeRecord, Invocation], NodeRecord] | None:
        """What adds to each record that a sink needs and dbt's log does not say; None for nothing.

        `target_dir` is where dbt's artifacts lie if its log does not say.
        """
        return TestedNodes(target_dir).add if self.cosmos is not None else None

    @property
    def _has_standard(self) -> bool:
        return any(sink.name in STANDARD_SINKS for sink in self.sinks)

    def close(self) -> None:
        """Close the sinks, if no delivery was opened that closes them."""
        for sink in self.sinks:
            sink.close()


def open_jsonl(target: str, name: str | None = None) -> JsonlSink:
    """The sink of a file, or of stdout for `-`. Raises ConfigurationError where it cannot write."""
    if target == "-" and was_closed(1):
        raise ConfigurationError("cannot write jsonl:-, because the standard output is closed")
    out: Path | BinaryIO = sys.stdout.buffer if target == "-" else Path(target)
    try:
        return JsonlSink(out, name)
    except OSError as error:
        raise ConfigurationError(f"cannot write {target}: {error.strerror}") from error


def _known(
    access: AirflowAccess, environ: Mapping[str, str]
) -> tuple[AirflowSettings | None, str | None]:
    """The Airflow that is configured, if it can be asked, and its address in any case.

    Settings that cannot work are no error here: the sink airflow says what is wrong with them.
    """
    address = access.connection.url
    try:
        url = base_url(address) if address else None
        if url is None or access.missing(environ):
            return None, url
        return access.settings(environ), url
    except (ValueError, ConfigurationError):
        return None, None


def _cwd() -> str | None:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was deleted under us
        return None
