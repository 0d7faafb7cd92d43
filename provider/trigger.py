"""The wait of a deferred sensor, in the triggerer."""

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
"""Seconds after which a task that has left its worker may be back in one.

A worker notices up to one heartbeat late that the task's process has ended, and the scheduler reads
that in its next loop. A task that is queued by then it fails, as one that was killed: "the task
instance's state attribute is queued" (seen with Airflow 3.3 and the LocalExecutor).
"""
_JITTER: Final = 0.2
_KEPT: Final = 1000


class DbtNodeTrigger(BaseTrigger):
    """Fires once, with the decision on the nodes: `{"action": …, "reason": …}`.

    Holds nothing that a restart of the triggerer would lose, and logs nothing: what is logged here
    is in the task's log too.
    """

    def __init__(self, waiting: dict[str, Any], poll_interval: float) -> None:
        super().__init__()
        self.waiting = waiting
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where to find this class, and what to make it anew with."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"waiting": self.waiting, "poll_interval": self.poll_interval}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is a decision, first when the task may be back in a worker."""
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
    """Asks for the state of a task that runs dbt once for all the nodes that wait for it."""

    _asking: Final = threading.Lock()
    _known: Final[dict[TaskInstance, tuple[float, str | None]]] = {}

    def __init__(self, younger_than: float) -> None:
        self._younger_than = younger_than

    def state(self, waiting: Waiting) -> str | None:
        """A final state is always asked anew, as somebody may have cleared the task."""
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
