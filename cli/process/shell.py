"""A command of the user's in a shell, for a bounded time."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Final

from ...records.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PIPE: Final = 1 << 20
"""Bytes that a pipe holds at most (Linux, for users without privileges)."""
_PAUSE_MS: Final = 50


def trouble_with(
    command: str,
    given: bytes,
    *,
    env: Mapping[str, str],
    seconds: float,
    take: Callable[[bytes], object],
    is_stopped: Callable[[], bool],
) -> str | None:
    """Run `sh -c COMMAND` to its end; None if it ended with 0, else what went wrong.

    `given` is its standard input. `take` gets its output and its errors as they come. After
    `seconds`, or as soon as `is_stopped`, it is killed with its process group. What it has left
    running in the background when it ends goes on.
    """
    try:
        # A file, as a command that reads none of it must neither block nor fail.
        with tempfile.TemporaryFile() as stdin:
            stdin.write(given)
            stdin.seek(0)
            process = subprocess.Popen(
                ["sh", "-c", command],  # noqa: S607 - the user's own shell
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
                bufsize=0,
            )
    except OSError as error:
        return f"could not be started: {error.strerror}"
    try:
        trouble = _followed(process, seconds, take, is_stopped)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
    return trouble


def _followed(
    process: subprocess.Popen[bytes],
    seconds: float,
    take: Callable[[bytes], object],
    is_stopped: Callable[[], bool],
) -> str | None:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    until = time.monotonic() + seconds
    fd = process.stdout.fileno()
    os.set_blocking(fd, False)
    output = select.poll()
    output.register(fd, select.POLLIN)
    is_open = True
    while True:
        code = process.poll()  # before the last read, which then has all that the command printed
        if is_open:
            output.poll(_PAUSE_MS if code is None else 0)
            with contextlib.suppress(BlockingIOError):
                chunk = os.read(fd, _PIPE)
                is_open = bool(chunk)
                take(chunk)
        elif code is None:
            time.sleep(_PAUSE_MS / 1000)
        if code is not None:
            ended = Exit(code=code) if code >= 0 else Exit(signal=-code)
            return ended.describe() if ended.status else None
        if time.monotonic() >= until:
            return f"was killed, because it took longer than {seconds:g} s"
        if is_stopped():
            return "was killed, because the relay was told to stop"
