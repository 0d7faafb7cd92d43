"""What a person sees of a run of this process: dbt's lines, and a panel on a terminal."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TextIO

from ...sinks.journal.usual import usual
from ..output import streams
from ..output.masking import print_fault
from ..output.terminal import shows_panel
from .here import console_on

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from ...parser.secrets import Secrets
    from ...sinks import Backlog, Journal, RunInfo
    from ..dbt.command import DbtCommand
    from ..output.progress import Progress
    from ..output.screen import Screen
    from ..settings import RunSettings
    from .destination import Destination


class Watch:
    """The console of a run, and the panel below it if `stream` is a terminal that shows one."""

    def __init__(
        self, stream: TextIO, prepared: DbtCommand, secrets: Secrets, *, has_panel: bool
    ) -> None:
        self.progress: Progress | None = None
        self._stream = stream
        self._colours = prepared.colours
        self._screen: Screen | None = None
        if has_panel:
            from ..output.progress import Progress  # noqa: PLC0415 - a task has no panel
            from ..output.screen import Screen  # noqa: PLC0415

            self.progress, self._screen = Progress(), Screen(stream.buffer)
        self.console = console_on(self._screen or stream.buffer, prepared, secrets)

    @contextmanager
    def showing(
        self, journal: Journal, info: RunInfo, backlogs: Callable[[], Sequence[Backlog]]
    ) -> Generator[None]:
        """Show the panel until the end of the block. Use it once dbt has been forked."""
        screen, progress = self._screen, self.progress
        if screen is None or progress is None:
            yield
            return
        from ..output.panel import Look, panel  # noqa: PLC0415

        look, is_asked = Look.on(self._stream, colours=self._colours), False

        def draw(columns: int, rows: int) -> Sequence[str]:
            nonlocal is_asked
            if not progress.has_begun:
                return ()
            if not is_asked:
                is_asked = True
                progress.use(usual(journal, info))
            return panel(progress.status(backlogs()), columns, rows, look)

        with ExitStack() as stack:
            stack.enter_context(screen.showing(draw, print_fault))
            if sys.stderr.isatty():
                stack.enter_context(streams.stderr_taken(screen.write))
            yield


def watch_over(
    settings: RunSettings, prepared: DbtCommand, destination: Destination, secrets: Secrets
) -> Watch:
    """The watch over a run. It has a panel on a terminal where a person may look at it."""
    stream = sys.stderr if destination.owns_stdout else sys.stdout
    is_for_log = destination.in_airflow or destination.channel is not None or prepared.quiet
    is_mixed = destination.owns_stdout and sys.stdout.isatty()
    has_panel = not (is_for_log or is_mixed) and shows_panel(
        stream, os.environ, wanted=settings.progress
    )
    return Watch(stream, prepared, secrets, has_panel=has_panel)
