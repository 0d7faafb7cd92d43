"""Sends each record as a span of OpenTelemetry, through OpenTelemetry's own exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...records.outcomes import FAILED
from ...records.schema import RunRecord
from ..sink import Delivered, Hold, Rejected, Verdict
from .trace_ids import SpanId

if TYPE_CHECKING:
    from ...records.schema import NodeRecord, Record
    from .exporter import Exporter
    from .spans import Spans


class OtlpSink:
    """A run of dbt is a span, and the parent of the span of each node.

    A span that was sent twice is the same: ids and times are the record's. `traceparent` names the
    span that dbt was started in. `use_run` says how the run started, before the first record.
    """

    name = "otlp"
    most_workers = 1

    def __init__(self, traceparent: str | None, span: str = "dbt") -> None:
        self.address: dict[str, Any] = {"traceparent": traceparent, "span": span}
        self._adapter: str | None = None
        self._started_at = ""
        self._exporter: Exporter | None = None
        self._spans: Spans | None = None
        self._begun: dict[str | None, bool] = {}
        """Invocations with a node that was sent, and whether one has failed."""
        self._ended: tuple[str | None, str | None] | None = None
        """Invocation and time of the end of the run that was sent."""

    def use_span_name(self, name: str) -> None:
        """Say what the span of the run is called, before the run begins in the journal."""
        self.address = {**self.address, "span": name}

    def use_run(self, started_at: str, adapter: str | None) -> None:
        """`adapter` is dbt's adapter, if it is known already: the run's record tells it too."""
        self._started_at = started_at
        self._adapter = _name_of(adapter)

    def send(self, record: Record) -> Verdict:
        opened = self._open()
        if isinstance(opened, Hold):
            return opened
        exporter, spans = opened
        if isinstance(record, RunRecord):
            return self._send_run(record, exporter, spans)
        return self._send_node(record, exporter, spans)

    def close(self) -> None:
        if self._exporter is not None:
            self._exporter.close()

    def _open(self) -> tuple[Exporter, Spans] | Hold:
        if self._exporter is None or self._spans is None:
            from .exporter import Exporter  # noqa: PLC0415 - loads OpenTelemetry's packages
            from .spans import Spans  # noqa: PLC0415

            try:
                self._exporter = Exporter()
            except Exception as error:
                # A wrong setting of the exporter. Its text may quote a credential.
                return Hold(
                    f"OpenTelemetry's exporter does not start ({type(error).__name__}): check the "
                    "variables OTEL_…"
                )
            caller = SpanId.of_traceparent(self.address["traceparent"])
            self._spans = Spans(self.address["span"], caller, self._started_at)
        return self._exporter, self._spans

    def _send_node(self, record: NodeRecord, exporter: Exporter, spans: Spans) -> Verdict:
        span = spans.of_node(record, self._adapter)
        if span is None:
            return Delivered() if record.outcome == "skipped" else Rejected("it has no time")
        if record.resumed_from is None:
            has_failed = record.outcome in FAILED
            self._begun[record.invocation_id] = (
                self._begun.get(record.invocation_id, False) or has_failed
            )
        return exporter.export([span])

    def _send_run(self, record: RunRecord, exporter: Exporter, spans: Spans) -> Verdict:
        """The spans of all invocations, once the run has ended."""
        own = record.invocation_id
        self._adapter = _name_of(record.adapter) or self._adapter
        if record.state == "running" or self._ended == (own, record.finished_at):
            return Delivered()
        failed = {**self._begun, own: record.has_failed}
        verdict = exporter.export(
            [spans.of_run(id_, record, has_failed=has) for id_, has in failed.items()]
        )
        if isinstance(verdict, Delivered):
            self._ended = (own, record.finished_at)
        return verdict


def _name_of(adapter: str | None) -> str | None:
    """`duckdb` of `duckdb=1.11.1`."""
    return adapter.partition("=")[0] if adapter else None
