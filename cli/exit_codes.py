"""The relay's own exit codes; dbt's (0, 1, 2, 128+n) pass through.

docs/reference/exit-codes.md has them all.
"""

from __future__ import annotations

from typing import Final

USAGE: Final = 64
NO_EVENTS: Final = 65
INTERNAL: Final = 70
UNDELIVERED: Final = 75
CONFIGURATION: Final = 78
SKIP: Final = 99
"""Airflow's own convention for a task to be skipped."""
TIMED_OUT: Final = 124
"""As `timeout` of coreutils has it."""
