"""The channel to an Airflow operator that started this process, and the sink at its other end.

The operator is in the task's own process and may push XComs there, without an address and without
credentials. It gives its child one end of a socket, whose number is in `DBT_RELAY_CHANNEL`. Each
side sends lines of JSON. The relay asks one thing at a time:

    {"push": {"key": …, "value": …}}   answered by {"verdict": "delivered"}, or by "retry", "hold"
                                       or "rejected" with a "reason"
    {"ask": "task"}                    answered by {"state": …, "try_number": …}
    {"ask": "earlier"}                 answered by {"records": […]}, of the newest earlier attempt

and it tells, without an answer:

    {"run": 17}                        the number of the run in the journal
    {"result": {…}}                    the summary, which becomes the task's return value
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

from ..records.schema import RunRecord, read_record
from ..records.values import encode, is_array, is_object, number, text
from .airflow.payload import key_of, xcom_value
from .sink import Delivered, Hold, Rejected, Retry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..records.schema import Record
    from ..records.task import TaskInstance
    from .sink import Verdict

VARIABLE: Final = "DBT_RELAY_CHANNEL"
_opened: dict[int, Channel] = {}
_GONE: Final = "the operator that started dbt-relay does not answer any more"


class Channel:
    """The relay's end. Any thread may call any method."""

    def __init__(self, fd: int) -> None:
        """OSError if that is no socket."""
        self._socket = socket.socket(fileno=fd)
        self._answers = self._socket.makefile("rb")
        self._lock = threading.Lock()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Channel | None:
        """The channel that the environment names, the same each time; None without an operator."""
        name = environ.get(VARIABLE, "")
        if name.isdecimal() and int(name) not in _opened:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)
                _opened[int(name)] = cls(int(name))
        return _opened.get(int(name)) if name.isdecimal() else None

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer to a question; None if the operator is gone."""
        with self._lock:
            try:
                self._socket.sendall(encode(dict(question)) + b"\n")
                answer = json.loads(self._answers.readline() or b"null")
            except (OSError, ValueError):
                return None
        return answer if is_object(answer) else None

    def tell(self, fact: Mapping[str, Any]) -> None:
        """Say something that has no answer."""
        with self._lock, contextlib.suppress(OSError):
            self._socket.sendall(encode(dict(fact)) + b"\n")

    def close(self) -> None:
        """End the connection: the operator sees the end of the stream."""
        self._answers.close()
        self._socket.close()

    def task(self) -> tuple[str | None, int | None] | None:
        """State and try of the task that holds the XComs; None if the operator is gone."""
        told = self.ask({"ask": "task"})
        return None if told is None else (text(told.get("state")), number(told.get("try_number")))

    def earlier(self) -> list[Record]:
        """The records of the newest earlier attempt of this task, the newest of each key."""
        told = self.ask({"ask": "earlier"}) or {}
        values = told.get("records")
        records = [read_record(value) for value in values] if is_array(values) else []
        return [*{record.key: record for record in records if record is not None}.values()]


class OperatorSink:
    """Hands each record to the operator, which pushes it as an XCom of the task.

    No record of the run itself is pushed where nodes are run again (`renews`) for a task that has
    ended: that record stays.
    """

    name = "airflow"
    most_workers = 1

    def __init__(
        self,
        channel: Channel,
        task: TaskInstance | None,
        *,
        key_prefix: str = "",
        max_message_bytes: int = 16_384,
        renews: bool = False,
    ) -> None:
        self.address: dict[str, Any] = {
            "url": None,
            "ca_file": None,
            "dag_id": task.dag_id if task else None,
            "run_id": task.run_id if task else None,
            "task_id": task.task_id if task else None,
            "map_index": task.map_index if task else -1,
            "xcom_task_id": None,
            "key_prefix": key_prefix,
            "max_message_bytes": max_message_bytes,
            "renews": renews,
        }
        self._channel = channel
        self._key_prefix = key_prefix
        self._max_message_bytes = max_message_bytes
        self._renews = renews

    def send(self, record: Record) -> Verdict:
        if self._renews and isinstance(record, RunRecord):
            return Delivered()
        answer = self._channel.ask(
            {
                "push": {
                    "key": key_of(record, self._key_prefix),
                    "value": xcom_value(record.to_json(), self._max_message_bytes),
                }
            }
        )
        if answer is None:
            return Hold(_GONE)
        reason = text(answer.get("reason")) or "the operator gave no reason"
        match answer.get("verdict"):
            case "delivered":
                return Delivered()
            case "rejected":
                return Rejected(reason)
            case "hold":
                return Hold(reason)
            case _:
                return Retry(reason)

    def close(self) -> None:
        """The channel stays open for the result of the run."""
