"""The wait of a deferred sensor, in the triggerer."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from ..consumer.decision import FINAL
from .look import Waiting, look, producer_state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_JITTER: Final = 0.2
_KEPT: Final = 1000


class DbtNodeTrigger(BaseTrigger):
    """Fires once, with the decision on a node: `{"action": …, "reason": …}`.

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
        """Look until there is a decision. The looks of many triggers spread by themselves."""
        waiting = Waiting.from_json(self.waiting)
        while True:
            decision = await sync_to_async(look)(waiting, self._state)
            if decision.action != "wait":
                yield TriggerEvent({"action": decision.action, "reason": decision.reason})
                return
            jitter = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
            await asyncio.sleep(self.poll_interval * jitter)

    def _state(self, waiting: Waiting) -> str | None:
        return _STATES.get(waiting, younger_than=self.poll_interval / 2)


class _States:
    """The states of the tasks that run dbt, asked once for all the nodes that wait for the same."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._known: dict[tuple[str, str, str, int], tuple[float, str | None]] = {}

    def get(self, waiting: Waiting, younger_than: float) -> str | None:
        """The state; a final one is always asked anew, as somebody may have cleared the task."""
        with self._asking:
            now = time.monotonic()
            at, state = self._known.get(waiting.producer, (float("-inf"), None))
            if now - at < younger_than and state not in FINAL:
                return state
            state = producer_state(waiting)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[waiting.producer] = now, state
            return state


_STATES: Final = _States()
