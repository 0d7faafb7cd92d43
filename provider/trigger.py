"""The trigger of a deferred sensor: it waits in the triggerer."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import conf
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from ..consumer.waiting.decision import FINAL_STATES, Decision
from ..consumer.waiting.look import Waiting, look
from .reader import TaskReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..records.task import TaskInstance

SETTLED: Final = 5.0 + conf.getint("workers", "min_heartbeat_interval", fallback=5)
"""Seconds before a task that has left its worker may return to a worker.

A worker notices the end of the task's process up to one heartbeat late, and the scheduler reads
that in its next loop. If the task is queued again by then, the scheduler fails it like a killed
task: "the task instance's state attribute is queued" (Airflow 3.3 with the LocalExecutor).
"""
_JITTER: Final = 0.2
_KEPT: Final = 1000


class DbtNodeTrigger(BaseTrigger):
    """Fires once, with the decision on the nodes: `{"action": …, "reason": …}`.

    A restart of the triggerer loses no state. The trigger logs nothing, because Airflow copies the
    lines into the task's log. `waiting` is a `Waiting.to_json`, `poll_interval` is in seconds.
    """

    def __init__(self, waiting: dict[str, Any], poll_interval: float) -> None:
        super().__init__()
        self.waiting = waiting
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The path of this class and the arguments that make an equal trigger."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"waiting": self.waiting, "poll_interval": self.poll_interval}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is a decision. The first look waits until the task may return."""
        waiting, known = Waiting.from_json(self.waiting), dict[str, Decision]()
        reader = _SharingReader(self.poll_interval / 2)
        pause = max(self.poll_interval, SETTLED)
        while True:
            await asyncio.sleep(pause * random.uniform(1, 1 + _JITTER))  # noqa: S311 - no secret
            pause = self.poll_interval
            decision = await sync_to_async(look)(waiting, reader, known)
            if decision.action != "wait":
                yield TriggerEvent({"action": decision.action, "reason": decision.reason})
                return


class _SharingReader(TaskReader):
    """Asks once for the state of a task that runs dbt, for all sensors that wait for it."""

    _asking: Final = threading.Lock()
    _known: Final[dict[TaskInstance, tuple[float, str | None]]] = {}

    def __init__(self, younger_than: float) -> None:
        self._younger_than = younger_than

    def state(self, waiting: Waiting) -> str | None:
        """The state, perhaps from a recent answer.

        A final state is always asked again, because somebody may have cleared the task.
        """
        with self._asking:
            now = time.monotonic()
            at, state = self._known.get(waiting.producer, (float("-inf"), None))
            if now - at < self._younger_than and state not in FINAL_STATES:
                return state
            state = super().state(waiting)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[waiting.producer] = now, state
            return state
