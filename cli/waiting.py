"""The loop of `wait`: look at the task that runs dbt until there is a decision on its nodes."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..consumer.waiting.decision import Decision, Policy, combine
from ..consumer.waiting.look import Waiting, look, look_at_prefixes
from ..sinks.airflow.reading import UnreadError, read_records
from ..sinks.sink import Hold, Retry
from .output import streams
from .output.notice import notice
from .settings import AirflowAccess, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..records.schema import Record
    from ..sinks.airflow import AirflowSettings
    from ..sinks.airflow.reading import Watch

_JITTER: Final = 0.2
"""The share of a pause by which it is longer or shorter."""


@dataclass(frozen=True, slots=True)
class WaitSettings:
    """Where to look, how often, and what to make of it. `poll` and `timeout` are in seconds.

    `attempt` is the try of the task that waits. `prefixes` are of the nodes to wait for once dbt
    has ended, besides those that are named.
    """

    airflow: AirflowAccess
    prefixes: tuple[str, ...] = ()
    attempt: int = 1
    policy: Policy = field(default_factory=Policy)
    poll: float = 10.0
    timeout: float = 86_400.0


class Wait:
    """Looks until there is a decision, and prints the decision on each node."""

    def __init__(
        self,
        watch: Watch,
        airflow: AirflowSettings,
        unique_ids: tuple[str, ...],
        settings: WaitSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._waiting = Waiting(
            unique_ids=unique_ids,
            producer=airflow.task,
            xcom_task_id=airflow.xcom_task_id,
            key_prefix=airflow.key_prefix,
            attempt=settings.attempt,
            # Nobody tells a command whether Airflow retries its task or a person has cleared it.
            was_cleared=True,
            policy=settings.policy,
        )
        self._watch = watch
        self._airflow = airflow
        self._prefixes = settings.prefixes
        self._poll = settings.poll
        self._timeout = settings.timeout
        self._clock = clock
        self._sleep = sleep
        self._known: dict[str, Decision] = {}
        self._printed: set[str] = set()
        self._said: str | None = None

    def decision(self) -> Decision | None:
        """The decision; None if the time is up.

        Raises ConfigurationError for trouble that does not pass by waiting.
        """
        until = self._clock() + self._timeout
        while True:
            pause = self._poll * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
            try:
                decision = self._look()
            except UnreadError as error:
                if isinstance(error.verdict, Hold):
                    raise ConfigurationError(str(error)) from error
                self._say(f"{error}; trying again")
                pause = max(pause, error.verdict.after or 0)
            else:
                self._print()
                if decision.action != "wait":
                    return decision
                self._say(decision.reason)
            left = until - self._clock()
            if left <= 0:
                return None
            self._sleep(min(pause, left))

    def _look(self) -> Decision:
        if not self._prefixes:
            return look(self._waiting, self._watch, self._known)
        self._known = look_at_prefixes(self._waiting, self._watch, self._prefixes, self._records)
        if not self._known:
            return Decision("wait", "the task that runs dbt has not ended")
        return combine(list(self._known.values()))

    def _records(self) -> dict[str, Record]:
        found = read_records(self._airflow)
        if isinstance(found, (Retry, Hold)):
            raise UnreadError(found)
        return found

    def _print(self) -> None:
        for unique_id, decision in self._known.items():
            if unique_id not in self._printed:
                self._printed.add(unique_id)
                streams.say(decision.reason)

    def _say(self, reason: str) -> None:
        """Print a reason unless it is the one before: a task may look for hours."""
        if reason != self._said:
            self._said = reason
            notice(reason)
