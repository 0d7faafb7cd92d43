"""The command `dbt-relay`, called in a process of its own or in the process of the test."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.environment import clean_environment, forget_settings
from support.timing import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

RELAY = (sys.executable, "-m", "dbt_relay")

Typed = Callable[..., subprocess.CompletedProcess[str]]
"""Runs `dbt-relay` with words, and with variables as keywords."""


class Shell:
    """A folder in which commands are typed, each in a process of its own.

    They find `env` and none of the tests' own settings, and keep their journal in the folder.
    """

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.state = folder / "state" / "dbt-relay"
        self.env = clean_environment(XDG_STATE_HOME=str(folder / "state"), COLUMNS="100", **env)

    def __call__(
        self, *words: object, stdin: bytes = b"", umask: int = -1, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `dbt-relay WORDS` to its end. Its output is decoded, with its line ends as they
        are."""
        done = subprocess.run(
            [*RELAY, *map(str, words)],
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env={**self.env, **env},
            timeout=PATIENCE,
            check=False,
            umask=umask,
        )
        said = [out.decode("utf-8", "replace") for out in (done.stdout, done.stderr)]
        return subprocess.CompletedProcess(done.args, done.returncode, *said)

    def start(
        self, *words: object, stderr: int = subprocess.PIPE, **env: str
    ) -> subprocess.Popen[str]:
        """Start `dbt-relay WORDS`; see `ended`."""
        return subprocess.Popen(
            [*RELAY, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=self.folder,
            env={**self.env, **env},
        )


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a command printed until its end: standard output and standard error."""
    try:
        return process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()


def typed_here(capture: pytest.CaptureFixture[str]) -> Typed:
    """What runs `dbt-relay WORDS` in this process, as the console script does.

    `capture` is the fixture `capfd`. For what a whole process adds nothing to: it cannot be sent
    signals, it ends with no exit code but the one that it means to, and its streams are open.
    """
    import dbt_relay.cli.main  # noqa: F401 - `dbt_relay.cli.main` is the function of that name

    module = sys.modules["dbt_relay.cli.main"]

    def typed(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
        with pytest.MonkeyPatch.context() as patch, _handlers_kept():
            forget_settings(patch)
            for name, value in {"COLUMNS": "100", **env}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["dbt-relay", *map(str, words)])
            for stream in ("stdin", "stdout", "stderr"):  # `main` puts its own in their place
                patch.setattr(sys, stream, getattr(sys, stream))
            patch.setattr(module, "_leave", sys.exit)  # not `os._exit`, in spite of other threads
            with pytest.raises(SystemExit) as left:
                module.main()
            sys.stdout.flush()
            sys.stderr.flush()
        out, err = capture.readouterr()
        return subprocess.CompletedProcess(words, int(left.value.code or 0), out, err)

    return typed


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Commands set handlers of signals for their process, which is the test's here."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)
