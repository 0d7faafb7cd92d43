"""Servers on loopback that take what the relay sends: OpenLineage's events, OTLP's spans."""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from support.http import Handler, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collected:
    """What has arrived. Each request takes the next of `answers`, and 200 after the last.

    `headers` go with every answer but 200. `refuses` is what a collector says of spans that it
    does not want, in an answer 200. `stall` is how many seconds an answer takes.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.sent: list[dict[str, str]] = []
        """The headers of each request."""
        self.answers: deque[int] = deque()
        self.headers: dict[str, str] = {}
        self.refuses: str | None = None
        self.stall = 0.0
        self.url = ""

    @property
    def variables(self) -> dict[str, str]:
        """The variables that send everything here."""
        return {"OPENLINEAGE_URL": self.url, "OTEL_EXPORTER_OTLP_ENDPOINT": self.url}

    def take(self, path: str, body: bytes) -> bytes:
        """Keep the content of a request; the content of the answer."""
        if path == "/api/v1/lineage":
            self.events.append(json.loads(body))
            return b""
        assert path == "/v1/traces"
        answer = ExportTraceServiceResponse()
        if self.refuses is not None:
            answer.partial_success.rejected_spans = 1
            answer.partial_success.error_message = self.refuses
        else:
            request = ExportTraceServiceRequest.FromString(body)
            for group in request.resource_spans:
                about = {a.key: a.value.string_value for a in group.resource.attributes}
                for scope in group.scope_spans:
                    self.spans += scope.spans
                    self.resources += [about] * len(scope.spans)
        return answer.SerializeToString()


@contextmanager
def collecting() -> Iterator[Collected]:
    collected = Collected()

    class Collector(Handler):
        def serve(self) -> None:
            body = self.content()
            collected.sent.append(dict(self.headers))
            if collected.stall:
                time.sleep(collected.stall)
            status = collected.answers.popleft() if collected.answers else 200
            if status != 200:
                self.send_response(status)
                for name, value in collected.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.answer(200, collected.take(self.path, body))

    with serving(Collector) as port:
        collected.url = f"http://127.0.0.1:{port}"
        yield collected


def attributes_of(span: Span) -> dict[str, Any]:
    """The attributes of a span as plain values."""
    return {
        a.key: getattr(a.value, a.value.WhichOneof("value") or "string_value")
        for a in span.attributes
    }
