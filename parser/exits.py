"""How a process ended."""

from __future__ import annotations

import signal
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exit:
    """Either an exit `code` or the number of the `signal` that killed it."""

    code: int | None = None
    signal: int | None = None

    @property
    def status(self) -> int:
        """As a shell has it: the code, or 128 and the signal."""
        if self.signal is not None:
            return 128 + self.signal
        return self.code or 0

    @property
    def signal_name(self) -> str | None:
        """`SIGKILL`, or None if no signal killed it."""
        if self.signal is None:
            return None
        try:
            return signal.Signals(self.signal).name
        except ValueError:
            return f"signal {self.signal}"

    def describe(self) -> str:
        """What it did, to follow the process's name: `ended with exit code 1`."""
        if self.signal is None:
            return f"ended with exit code {self.code}"
        reason = ", often out of memory" if self.signal_name == "SIGKILL" else ""
        return f"was killed by {self.signal_name}{reason}"
