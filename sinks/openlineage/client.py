"""OpenLineage's own client, with its own settings, asked to send one event and to say how it went.

Imported when the first event is sent: the client's package takes a third of a second to import.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import requests
from openlineage.client import OpenLineageClient
from openlineage.client.transport.http import HttpTransport

from ..http_status import verdict_of
from ..sink import Delivered, Hold, Retry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openlineage.client.event_v2 import RunEvent

    from ..sink import Verdict

_ASYNC: Final = (
    "OpenLineage's transport async_http does not say what became of an event: use http, as "
    "dbt-relay sends in threads of its own"
)
_NOWHERE: Final = (
    "OpenLineage's client has no transport that leaves this process: set OPENLINEAGE_URL, or "
    "write an openlineage.yml"
)


class Client:
    """Sends events. `refusal` says why it can send none; None if it can."""

    def __init__(self) -> None:
        # The client's package logs what the verdict says already.
        logging.getLogger("openlineage").addHandler(logging.NullHandler())
        self._client = OpenLineageClient()
        self.refusal = self._prepare(self._client.transport)

    def emit(self, events: Iterable[RunEvent]) -> Verdict:
        """Send events in their order, up to the first that is not taken."""
        if self.refusal is not None:
            return Hold(self.refusal)
        for event in events:
            verdict = self._emit(event)
            if not isinstance(verdict, Delivered):
                return verdict
        return Delivered()

    def close(self) -> None:
        self._client.close(timeout=0)

    def _emit(self, event: RunEvent) -> Verdict:
        try:
            self._client.emit(event)
        except requests.HTTPError as error:
            answer = error.response
            if answer is None:
                return Retry("OpenLineage's server gave no answer")
            return verdict_of(answer.status_code, answer.url, answer.headers.get("Retry-After"))
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema):
            return Hold("the address of OpenLineage's server is no URL: correct it")
        except requests.ConnectionError:
            return Retry("OpenLineage's server cannot be reached")
        except requests.Timeout:
            return Retry("OpenLineage's server did not answer in time")
        except Exception as error:
            # Each transport has its own. The text may quote credentials: the type has to do.
            return Retry(f"OpenLineage's transport failed: {type(error).__name__}")
        return Delivered()

    def _prepare(self, transport: Any) -> str | None:
        if isinstance(transport, HttpTransport):
            # The outbox tries again by itself. The client would block for half a minute.
            transport.config.retry = {"total": 0}
        kind = getattr(transport, "kind", None)
        if kind == "async_http":
            return _ASYNC
        return _NOWHERE if kind == "console" else None
