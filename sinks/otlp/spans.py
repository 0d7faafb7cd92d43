"""The span that a record becomes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ... import __version__
from ...records.instant import moment
from .attributes import error_type, of_node, of_run
from .trace_ids import node_of, root_of

if TYPE_CHECKING:
    from ...records.schema import NodeRecord, RunRecord
    from .attributes import Attributes
    from .trace_ids import SpanId

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SCOPE: Final = InstrumentationScope("dbt-relay", __version__)


class Spans:
    """Makes the spans of one run of the relay. The same record makes the same span.

    `name` is the name of the run's own span, `caller` the span that dbt was started in.
    `started_at` is when the run started, in the form of records.
    """

    def __init__(self, name: str, caller: SpanId | None, started_at: str) -> None:
        self._name = name
        self._caller = caller
        self._started_at = started_at
        self._resource = _resource()

    def of_node(self, record: NodeRecord, adapter: str | None) -> ReadableSpan | None:
        """The span of a node; None for a node that did not run, or has no time."""
        began_at = record.started_at or record.finished_at
        if record.outcome == "skipped" or began_at is None:
            return None
        root = root_of(record.invocation_id, self._started_at, self._caller)
        has_failed = error_type(record) is not None
        return self._span(
            f"{record.resource_type or 'node'} {record.name or record.unique_id}",
            (node_of(root, record.invocation_id, record.unique_id), root),
            (began_at, record.finished_at or began_at),
            of_node(record, adapter),
            error=(record.explanation or record.status) if has_failed else None,
        )

    def of_run(
        self, invocation_id: str | None, record: RunRecord, *, has_failed: bool
    ) -> ReadableSpan:
        """The span of an invocation of dbt, which is the parent of its nodes."""
        attributes = of_run(record, invocation_id)
        if has_failed:
            attributes["error.type"] = record.signal or str(record.exit_code or record.state)
        return self._span(
            self._name,
            (root_of(invocation_id, self._started_at, self._caller), self._caller),
            (self._started_at, record.finished_at or self._started_at),
            attributes,
            error=(record.failure or "a node failed") if has_failed else None,
        )

    def _span(
        self,
        name: str,
        ids: tuple[SpanId, SpanId | None],
        times: tuple[str, str],
        attributes: Attributes,
        *,
        error: str | None,
    ) -> ReadableSpan:
        """A span with its own id and its parent's, its start and its end."""
        own, parent = ids
        status = Status(StatusCode.UNSET if error is None else StatusCode.ERROR, error)
        return ReadableSpan(
            name=name,
            context=_context(own, is_remote=False),
            parent=_context(parent, is_remote=parent is self._caller) if parent else None,
            resource=self._resource,
            attributes=attributes,
            kind=SpanKind.INTERNAL,
            status=status,
            start_time=_nanoseconds(times[0]),
            end_time=_nanoseconds(times[1]),
            instrumentation_scope=_SCOPE,
        )


def _resource() -> Resource:
    """What OpenTelemetry's variables say of this service; `dbt` if they do not name it."""
    told = Resource.create()
    name = str(told.attributes.get(SERVICE_NAME, ""))
    return told.merge(Resource({SERVICE_NAME: "dbt"})) if name.startswith("unknown") else told


def _context(named: SpanId, *, is_remote: bool) -> SpanContext:
    return SpanContext(
        named.trace, named.span, is_remote=is_remote, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def _nanoseconds(stamp: str) -> int:
    """Nanoseconds since 1970 of a record's time, without the error of a float."""
    return (moment(stamp) - _EPOCH) // timedelta(microseconds=1) * 1000
