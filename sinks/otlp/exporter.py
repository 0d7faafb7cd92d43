"""OpenTelemetry's own exporter, asked to send one span and to say how it went.

Imported when the first span is sent: the exporter's packages take a quarter of a second to import.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace.export import SpanExportResult

from ..http_status import verdict_of
from ..sink import Delivered, Rejected, Retry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from ..sink import Verdict

_PROVIDERS: Final = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
)
"""Variables that name a session of the user's own."""


class Exporter:
    """Sends spans to the collector that OpenTelemetry's variables name.

    The exporter tries again by itself for OTEL_EXPORTER_OTLP_TIMEOUT, which is 10 s.
    """

    def __init__(self) -> None:
        # The exporter logs what the verdict says already.
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        self._answer: requests.Response | None = None
        session: requests.Session | None = None
        if not any(os.environ.get(name) for name in _PROVIDERS):
            session = requests.Session()
            session.hooks["response"].append(self._note)
        self._exporter = OTLPSpanExporter(session=session)

    def export(self, spans: Sequence[ReadableSpan]) -> Verdict:
        self._answer = None
        try:
            result = self._exporter.export(spans)
        except requests.RequestException:  # before 1.39 the exporter lets it through
            result = SpanExportResult.FAILURE
        answer = self._answer
        if answer is None:
            is_sent = result is SpanExportResult.SUCCESS
            return Delivered() if is_sent else Retry("the OTLP collector cannot be reached")
        if result is SpanExportResult.SUCCESS:
            return _partial(answer.content) or Delivered()
        return verdict_of(answer.status_code, answer.url, answer.headers.get("Retry-After"))

    def close(self) -> None:
        self._exporter.shutdown()

    def _note(self, answer: requests.Response, *_: Any, **__: Any) -> None:
        self._answer = answer


def _partial(content: bytes) -> Rejected | None:
    """The refusal in an answer 200, in which a collector may refuse single spans."""
    answer = ExportTraceServiceResponse()
    try:
        answer.ParseFromString(content)
    except Exception:  # something in front of the collector has answered in its place
        return None
    refused = answer.partial_success
    if not refused.rejected_spans:
        return None
    return Rejected(
        f"the collector refused the span: {refused.error_message or 'without a reason'}"
    )
