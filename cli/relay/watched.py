"""Tells `show --watch` of another process which nodes run now."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ...parser.run import Run
    from ...sinks.journal.running import RunningNodes

_PAUSE: Final = 1.0
"""Seconds between two looks at whether somebody watches."""


class Watched:
    """A thread that looks for somebody who watches, and reads the run only for them.

    The thread that reads dbt does nothing for it. Create it once dbt has been forked.
    """

    def __init__(self, run: Run, nodes: RunningNodes, pause: float = _PAUSE) -> None:
        self._run = run
        self._nodes = nodes
        self._pause = pause
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watched", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._nodes.forget()

    def _look(self) -> None:
        while not self._is_over.wait(self._pause):
            if self._nodes.is_asked:
                last = self._run.last
                self._nodes.tell(last.running() if last is not None else {})
