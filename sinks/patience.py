"""What a delivery makes of the verdicts of its sink: how long it pauses, whose turn it is."""

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
"""Seconds between tries while a person has to mend something, as long as dbt runs."""
LAST_PROBES_EVERY: Final = 2.0
"""Seconds at most between tries once dbt has ended, and there is a deadline."""
SEVERAL: Final = 8
"""Refusals in a row before a sink that has worked is believed to need a person."""

_FIRST_REFUSED_DELAY: Final = 0.1
_QUICK: Final = 3
"""Refusals in a row before the delay begins to double."""


def retry_delay(failures: int, after: float | None, jitter: Jitter) -> float:
    """Seconds to wait after so many failures in a row: full jitter, and the server's own wish."""
    ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures, 10))
    wish = min(after or 0.0, LONGEST_RETRY_AFTER)
    return max(jitter(0.0, ceiling), wish)


def refused_delay(refusals: int, jitter: Jitter) -> float:
    """Seconds to wait after so many refusals in a row of what was taken before.

    Shorter than after a failure: who refuses at once is not overloaded.
    """
    return jitter(
        0.0, min(LAST_PROBES_EVERY, _FIRST_REFUSED_DELAY * 2 ** max(0, refusals - _QUICK))
    )


class Patience:
    """How the sink of one delivery has answered of late, and when it is asked again.

    A Hold says that a person has to change something. Of a sink that has taken records, with the
    same settings, that is not believed at once: a proxy's page while Airflow is deployed anew, or
    one worker of a server that knows no token yet, pass. Then it is tried again soon, and only
    after SEVERAL in a row is it a Hold.

    `trouble` is the reason while there is one, `is_held` whether a person's turn has come.
    Not for several threads at once.
    """

    def __init__(self, jitter: Jitter) -> None:
        self.paused_until = 0.0
        self.trouble: str | None = None
        self.is_held = False
        self.is_last = False
        """Whether dbt has ended, so that all that is left is a deadline."""
        self._jitter = jitter
        self._has_worked = False
        self._may_pass = False
        self._failures = 0
        self._refusals = 0
        self._asked_until = 0.0
        """Until when the server itself wants to be left alone."""

    @property
    def is_hopeless(self) -> bool:
        """Whether to try again before a person has changed something is of no use."""
        return self.is_held and not self._has_worked and not self._may_pass

    def settle(self, verdict: Verdict, now: float) -> None:
        """Take note of a verdict."""
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

    def release(self, now: float) -> None:
        """Try once more soon, whatever was found out before; what the server wishes is kept."""
        if self.is_held:
            self.is_held, self.paused_until = False, 0.0
        soon = min(self.paused_until, now + LAST_PROBES_EVERY)
        self.paused_until = max(soon, self._asked_until)

    def _fail(self, after: float | None, now: float) -> None:
        # The server is in trouble, not the record: all wait, and one will be the probe. What other
        # workers had on the way meanwhile is part of the same trouble.
        is_news = now >= self.paused_until
        delay = retry_delay(self._failures if is_news else 0, after, self._jitter)
        if self.is_last:
            delay = min(delay, LAST_PROBES_EVERY)
        wish = min(after or 0.0, LONGEST_RETRY_AFTER)
        self._asked_until = max(self._asked_until, now + wish)
        self._failures += is_news
        self.paused_until = max(self.paused_until, now + max(delay, wish))

    def _refuse(self, now: float) -> None:
        is_news = now >= self.paused_until
        self._refusals += is_news
        self.paused_until = max(
            self.paused_until, now + refused_delay(self._refusals, self._jitter)
        )

    def _probe_every(self) -> float:
        if not self.is_last:
            return PROBE_EVERY
        return self._jitter(LAST_PROBES_EVERY / 2, LAST_PROBES_EVERY)
