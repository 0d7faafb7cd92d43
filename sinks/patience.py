"""How long a delivery pauses after a sink's verdicts, and whether a person has to act."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .sink import Delivered, Hold, Rejected, Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from .sink import Verdict

    Jitter = Callable[[float, float], float]

FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 30.0
LONGEST_RETRY_AFTER: Final = 300.0
PROBE_EVERY: Final = 30.0
"""Seconds between two tries while a person has to act and dbt is running."""
LAST_PROBES_EVERY: Final = 2.0
"""Seconds at most between two tries once there is a deadline, after dbt has ended."""
SEVERAL: Final = 8
"""Refusals in a row after which a sink that worked before is believed to need a person."""

_FIRST_REFUSED_DELAY: Final = 0.1
_REFUSALS_WITHOUT_DOUBLING: Final = 3
"""Refusals in a row after which the delay begins to double."""


def retry_delay(failures: int, after: float | None, jitter: Jitter) -> float:
    """Seconds to wait after `failures` in a row, with full jitter.

    `after` is how many seconds the server asks to wait; up to LONGEST_RETRY_AFTER it gets them.
    """
    ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures, 10))
    return max(jitter(0.0, ceiling), _asked(after))


def _asked(after: float | None) -> float:
    """The seconds that the server asks to wait, up to a limit."""
    return min(after or 0.0, LONGEST_RETRY_AFTER)


def refused_delay(refusals: int, jitter: Jitter) -> float:
    """Seconds to wait after `refusals` in a row from a server that worked before.

    This is shorter than after failures: a server that refuses at once is not overloaded.
    """
    doublings = max(0, refusals - _REFUSALS_WITHOUT_DOUBLING)
    return jitter(0.0, min(LAST_PROBES_EVERY, _FIRST_REFUSED_DELAY * 2**doublings))


class Patience:
    """Decides from the answers of one sink when it is tried again, and whether a person has to act.

    A Hold says that a person has to act. A sink that has taken records with the same settings is
    not believed at once: a proxy's page while Airflow is redeployed, or one server process that
    does not know a token yet, goes away by itself. Such a sink is tried again soon, and is held
    only after SEVERAL refusals in a row.

    `trouble` is the reason why the sink does not work; None if it works. `is_held` says that a
    person has to act. `paused_until` is the time of the next try, in seconds of the caller's clock.
    Only one thread at a time may use this.
    """

    def __init__(self, jitter: Jitter) -> None:
        self.paused_until = 0.0
        self.trouble: str | None = None
        self.is_held = False
        self.has_deadline = False
        """Whether dbt has ended, and a deadline limits what is left."""
        self._jitter = jitter
        self._has_worked = False
        self._may_pass = False
        self._failures = 0
        self._refusals = 0
        self._asked_until = 0.0
        """Until when the server has asked to wait."""

    @property
    def is_hopeless(self) -> bool:
        """Whether another try is useless until a person acts."""
        return self.is_held and not self._has_worked and not self._may_pass

    def settle(self, verdict: Verdict, now: float) -> None:
        """Decide what a verdict changes."""
        self.is_held = False
        match verdict:
            case Delivered() | Rejected():
                self._has_worked |= isinstance(verdict, Delivered)
                self._failures = self._refusals = 0
                self.paused_until = self._asked_until = 0.0
                self.trouble = None
            case Retry(reason, after):
                self.trouble = reason
                self._fail(after, now)
            case Hold(reason) if self._has_worked and self._refusals < SEVERAL:
                self.trouble = verdict.seen or reason
                self._refuse(now)
            case Hold(reason):
                self.trouble = reason
                self.is_held, self._may_pass = True, verdict.may_pass
                self.paused_until = now + self._probe_every()

    def try_soon(self, now: float) -> None:
        """Try once more soon, even if a person has to act, but not before the server asks for."""
        if self.is_held:
            self.is_held, self.paused_until = False, 0.0
        soon = min(self.paused_until, now + LAST_PROBES_EVERY)
        self.paused_until = max(soon, self._asked_until)

    def _fail(self, after: float | None, now: float) -> None:
        # The server is in trouble, not the record, so all records wait and one of them will probe.
        # Failures of records that other workers sent meanwhile are part of the same trouble.
        is_news = now >= self.paused_until
        delay = retry_delay(self._failures if is_news else 0, after, self._jitter)
        if self.has_deadline:
            delay = min(delay, LAST_PROBES_EVERY)
        self._asked_until = max(self._asked_until, now + _asked(after))
        self._failures += is_news
        self.paused_until = max(self.paused_until, now + max(delay, _asked(after)))

    def _refuse(self, now: float) -> None:
        is_news = now >= self.paused_until
        self._refusals += is_news
        self.paused_until = max(
            self.paused_until, now + refused_delay(self._refusals, self._jitter)
        )

    def _probe_every(self) -> float:
        if not self.has_deadline:
            return PROBE_EVERY
        return self._jitter(LAST_PROBES_EVERY / 2, LAST_PROBES_EVERY)
