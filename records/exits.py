"""How a process ended."""

from __future__ import annotations

import signal
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exit:
    """The exit `code` of a process, or the number of the `signal` that killed it.

    `stopped_by` is the number of the signal that told the relay to stop the process.
    """

    code: int | None = None
    signal: int | None = None
    stopped_by: int | None = None

    @property
    def status(self) -> int:
        """The status in a shell: the code, or 128 plus the signal."""
        if self.signal is not None:
            return 128 + self.signal
        return self.code or 0

    @property
    def signal_name(self) -> str | None:
        """`SIGKILL`, or None if no signal killed the process."""
        return _name(self.signal) if self.signal is not None else None

    def describe(self) -> str:
        """The end as a phrase that follows the process's name: `ended with exit code 1`."""
        how = f"ended with exit code {self.code}"
        if self.signal is not None:
            how = f"was killed by {self.signal_name}"
        if self.stopped_by is not None:
            return f"{how} after {_name(self.stopped_by)} had told the relay to stop"
        return f"{how}, often out of memory" if self.signal == signal.SIGKILL else how


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"
