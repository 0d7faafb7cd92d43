"""The trigger of a sensor: it waits in the triggerer."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow.triggers.base import (
    BaseTrigger,
    StartTriggerArgs,
    TaskSkippedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)
from asgiref.sync import sync_to_async

from ..consumer.waiting.decision import FINAL_STATES, Decision
from ..consumer.waiting.look import Waiting, look
from .reader import TaskReader
from .sdk import conf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from ..records.task import TaskInstance

SETTLED: Final = 5.0 + conf.getint("workers", "min_heartbeat_interval", fallback=5)
"""Seconds before a task that has left its worker may return to a worker.

A worker notices the end of the task's process up to one heartbeat late, and the scheduler reads
that in its next loop. If the task is queued again by then, the scheduler fails it like a killed
task: "the task instance's state attribute is queued" (Airflow 3.3 with the LocalExecutor).
"""
OWN_INDEX: Final = -2
"""Stands for the map index of the waiting task."""
_JITTER: Final = 0.2
_KEPT: Final = 1000
_LOOKS_PER_SECOND: Final = 40
"""Looks of all triggers of a triggerer. Each look is one or two calls of Airflow's API."""


def is_first_try(own: Any) -> bool:
    """Whether a task that began in the triggerer may also end there.

    A later try would keep the end date of the try before: only a worker deletes it (Airflow 3.3).
    """
    return own is None or own.try_number <= 1


class DbtNodeTrigger(BaseTrigger):
    """Fires once, with the decision on the nodes: a `Decision.to_json`, and `ended_first`.

    A restart of the triggerer loses no state. `waiting` is a `Waiting.to_json`, `poll_interval` is
    in seconds. `from_worker` says that the task has been in a worker before. If not, the trigger
    takes the place of the producer and the attempt from its own task. With `ends_task` the trigger
    ends a task that succeeds or is skipped, except for a later try that began here: that task does
    not return to a worker.

    `ended_first` in the event says that the producer had ended before the first look.
    """

    path: ClassVar[str] = f"{__name__}.DbtNodeTrigger"
    _count: ClassVar[int] = 0

    def __init__(
        self,
        waiting: dict[str, Any],
        poll_interval: float,
        ends_task: bool = False,
        from_worker: bool = True,
    ) -> None:
        super().__init__()
        self.waiting = waiting
        self.poll_interval = poll_interval
        self.ends_task = ends_task
        self.from_worker = from_worker

    @classmethod
    def start_args(
        cls, waiting: Waiting, poll_interval: float, ends_task: bool, timeout: timedelta
    ) -> StartTriggerArgs:
        """What Airflow needs to begin a task in the triggerer.

        `waiting` has no DAG, no run and no attempt yet, and perhaps the producer's index OWN_INDEX.
        """
        arguments = cls(waiting.to_json(), poll_interval, ends_task, from_worker=False)
        return StartTriggerArgs(
            trigger_cls=cls.path,
            trigger_kwargs=arguments.serialize()[1],
            next_method="resume",
            timeout=timeout,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The path of this class and the arguments that make an equal trigger."""
        return self.path, {
            "waiting": self.waiting,
            "poll_interval": self.poll_interval,
            "ends_task": self.ends_task,
            "from_worker": self.from_worker,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is a decision."""
        began_at = time.monotonic()
        DbtNodeTrigger._count += 1
        try:
            decision, ended_first = await self._decision()
        finally:
            DbtNodeTrigger._count -= 1
        if self._may_end_task and decision.action in ("success", "skip"):
            # Airflow copies the line into the log of the task.
            self.log.info("%s", decision.reason)
            yield TaskSuccessEvent() if decision.action == "success" else TaskSkippedEvent()
            return
        if self.from_worker:
            await asyncio.sleep(max(0.0, began_at + SETTLED - time.monotonic()))
        yield TriggerEvent({**decision.to_json(), "ended_first": ended_first})

    @property
    def _may_end_task(self) -> bool:
        """Whether a task that succeeds or is skipped may end here."""
        return self.ends_task and (self.from_worker or is_first_try(self.task_instance))

    async def _decision(self) -> tuple[Decision, bool]:
        """The decision, and whether the producer had ended before the first look."""
        waiting, known = self._waiting(), dict[str, Decision]()
        reader = _SharingReader(self.poll_interval / 2)
        ended_first: bool | None = None
        # The worker has just looked.
        pause = self._pause() if self.from_worker else 0.0
        while True:
            await asyncio.sleep(pause)
            decision = await sync_to_async(look)(waiting, reader, known)
            if ended_first is None:
                ended_first = reader.has_ended(waiting)
            if decision.action != "wait":
                return decision, ended_first
            pause = self._pause()

    def _pause(self) -> float:
        """Seconds to the next look. The more triggers wait, the longer."""
        pause = max(self.poll_interval, DbtNodeTrigger._count / _LOOKS_PER_SECOND)
        return pause * random.uniform(1, 1 + _JITTER)  # noqa: S311 - no secret

    def _waiting(self) -> Waiting:
        waiting = Waiting.from_json(self.waiting)
        own: Any = self.task_instance
        if self.from_worker or own is None:
            return waiting
        logical_date = own.get_template_context()["dag_run"].logical_date
        index = waiting.producer.map_index
        producer = replace(
            waiting.producer,
            dag_id=own.dag_id,
            run_id=own.run_id,
            map_index=own.map_index if index == OWN_INDEX else index,
        )
        return replace(
            waiting,
            producer=producer,
            logical_date=logical_date.isoformat() if logical_date else None,
            attempt=own.try_number,
        )


class _SharingReader(TaskReader):
    """Reads in the triggerer.

    Asks once for the state of a task that runs dbt, for all sensors that wait for it.
    """

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

    def try_number(self, waiting: Waiting) -> int | None:
        """None: the triggerer takes the question, and cannot read the answer (Airflow 3.2, 3.3).

        Its list of messages lacks `PreviousTIResult`, so that the trigger would fail.
        """
        return None

    def has_ended(self, waiting: Waiting) -> bool:
        """Whether the newest answer was a final state."""
        return self._known.get(waiting.producer, (0.0, None))[1] in FINAL_STATES
