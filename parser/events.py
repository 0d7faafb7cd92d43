"""An event of dbt's structured log, and text between the events.

An event is `{"data": {…}, "info": {…}}` in dbt 1.7 to 1.12 and in the v2 format `json`. A record of
the v2 format `otel` becomes such an event (`telemetry`). The
dictionaries of dbt's in-process runner have the same keys in camelCase, without default values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from ..records.values import JsonObject, is_array, is_object, shallow, text
from .telemetry import event_in

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])[A-Z]")
_USER_KEYS: Final = frozenset({"meta", "adapter_response"})


@dataclass(slots=True)
class Event:
    """One event: its name, its `info` and `data`, and `data.node_info` as `node`.

    `line` is the line of the log that held it.
    """

    name: str
    info: JsonObject
    data: JsonObject
    node: JsonObject | None
    line: bytes = b""

    @property
    def level(self) -> str:
        """`debug`, `info`, `warn` or `error`."""
        return text(self.info.get("level")) or ""

    @property
    def msg(self) -> str:
        return text(self.info.get("msg")) or ""

    @property
    def ts(self) -> str:
        """RFC 3339, UTC, with a fraction of 0, 3, 6 or 9 digits."""
        return text(self.info.get("ts")) or ""

    @property
    def thread(self) -> str:
        return text(self.info.get("thread")) or ""

    @property
    def invocation_id(self) -> str:
        return text(self.info.get("invocation_id")) or ""


@dataclass(frozen=True, slots=True)
class Text:
    """Output that is no event, unchanged: a `print` of a Python model, a usage error.

    `is_lead` says that the next event stands behind this text on the same line.
    """

    line: bytes
    is_lead: bool = False


def event_of(value: Any, line: bytes = b"") -> Event | None:
    """The event in a decoded JSON value; None if the value is no event."""
    if not is_object(value):
        return None
    info = value.get("info")
    if not is_object(info):
        found = event_in(value) if "record_type" in value else None
        if found is None:
            return None
        info, value = found[0], {"data": found[1]}
    if "invocationId" in info:
        value = _snake_case(shallow(value))
        info = value["info"]
    name = info.get("name")
    if not isinstance(name, str):
        return None
    data = value.get("data")
    if not is_object(data):
        data = {}
    node = data.get("node_info")
    return Event(name, info, data, node if is_object(node) else None, line)


def _snake_case(value: Any) -> Any:
    if is_array(value):
        return [_snake_case(v) for v in value]
    if not is_object(value):
        return value
    renamed = ((_CAMEL.sub(lambda m: "_" + m[0].lower(), k), v) for k, v in value.items())
    return {k: v if k in _USER_KEYS else _snake_case(v) for k, v in renamed}
