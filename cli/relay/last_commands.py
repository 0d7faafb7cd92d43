"""The commands of `--on-failure` and `--on-end`, which get the run as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...records.display import displayed
from ...sinks.journal import history
from ..dbt.variables import for_children
from ..output.masking import MaskedStream, print_fault
from ..process.shell import trouble_with
from ..reports.json_form import json_form
from ..reports.picture import picture
from ..reports.wording import headline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...parser.secrets import Secrets
    from ...sinks import Journal
    from ..output.console import Console
    from ..reports.picture import Picture

SECONDS: Final = 60.0
"""How long each command may take."""
_STOPPED: Final = "was not run, because the relay was told to stop"


class LastCommands:
    """Runs commands one after the other; their output, and what went wrong, go to the console.

    Nothing of it changes how the run ends. `is_stopped` says that the relay was told to stop: it
    has no time for a command then.
    """

    def __init__(
        self,
        console: Console,
        secrets: Secrets,
        environ: Mapping[str, str],
        is_stopped: Callable[[], bool],
        *,
        seconds: float = SECONDS,
    ) -> None:
        self._console = console
        self._secrets = secrets
        self._environ = environ
        self._is_stopped = is_stopped
        self._seconds = seconds

    def run(
        self, commands: Sequence[tuple[str, str]], journal: Journal, number: int, exit_code: int
    ) -> None:
        """Run each command, which comes with the name of its option, for a run of the journal.

        `exit_code` is the relay's own.
        """
        if self._is_stopped():
            for name, _ in commands:
                self._say(name, _STOPPED)
            return
        try:
            drawn = picture(journal, history.past_run(journal, number))
            given = json_form(drawn).encode("utf-8", "replace")
            env = _environment(drawn, journal, exit_code, self._environ)
            for name, command in commands:
                trouble = self._trouble(command, given, env)
                if trouble is not None:
                    self._say(name, trouble)
        except Exception as error:
            print_fault(error)
            self._console.say(
                "relay: not every command was run, because dbt-relay failed: please report the "
                "traceback above"
            )

    def _say(self, name: str, trouble: str) -> None:
        # Not the command itself: it may hold an address that lets anybody send.
        self._console.say(f"relay: the command of {name} {trouble}")

    def _trouble(self, command: str, given: bytes, env: Mapping[str, str]) -> str | None:
        if self._is_stopped():
            return _STOPPED
        lines = _Lines(self._console)
        with MaskedStream(self._secrets, lines.write) as masked:
            trouble = trouble_with(
                command,
                given,
                env=env,
                seconds=self._seconds,
                take=masked.write,
                is_stopped=self._is_stopped,
            )
        lines.end()
        return trouble


class _Lines:
    """Prints the output of a command line by line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rest = b""

    def write(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._console.say(displayed(line.decode("utf-8", "replace")))
        self._console.flush()

    def end(self) -> None:
        if self._rest:
            self.write(b"\n")


def _environment(
    drawn: Picture, journal: Journal, exit_code: int, environ: Mapping[str, str]
) -> dict[str, str]:
    """What a command finds in its environment: what dbt finds there, and the run."""
    found = {
        **for_children(environ),
        "DBT_RELAY_EXIT_CODE": str(exit_code),
        "DBT_RELAY_TITLE": headline(drawn),
    }
    if journal.file is not None:  # a number without a file would be another run's
        found["DBT_RELAY_RUN"] = str(drawn.run.number)
        found["DBT_RELAY_STATE_DIR"] = str(journal.state_dir)
    return found
