"""A child process in its own session: its output as a stream, its end as a value."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Final, cast

from ...records.exits import Exit
from ..output.streams import write_stderr
from .signals import FORWARDED, STOP, Signals, signals_held
from .watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from .telemetry import TelemetryPipe

_CHUNK: Final = 1 << 16
_PR_SET_PDEATHSIG: Final = 1
_REMEDY: Final = {
    errno.EACCES: " Make it executable (chmod +x), or start it with its shell.",
    errno.ENOEXEC: " A script must begin with a line such as #!/bin/sh.",
}


class CannotStartError(Exception):
    """The command cannot be run; `exit_code` is a shell's for that (126 or 127)."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StoppedError(Exception):
    """The relay was told to stop before it started dbt.

    `exit_code` is the exit code of the command that it had started instead.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__("told to stop before dbt was started")
        self.exit_code = exit_code


class Child:
    """Runs `argv`, and gives it time to cancel its queries when the relay is told to stop.

    dbt has no handler for SIGTERM: it would die at once and leave its queries running. So the
    first stop signal becomes one SIGINT to dbt, and `grace` seconds later SIGKILL to its process
    group. A second stop signal becomes SIGKILL at once. dbt never gets a second SIGINT: two in
    quick succession make it abort.

    `exit` is None until the child has ended. `stopped_by` is the first stop signal, `stopped_at`
    its time on the monotonic clock; `is_stopped_twice` says that another one followed.

    With `telemetry` the log comes from that pipe, and `on_stdout` takes what the child prints.

    Create it in the main thread, before any other thread starts: the kernel's parent-death signal
    belongs to the thread that forks.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        signals: Signals,
        grace: float = 10.0,
        drain: float = 2.0,
        on_stderr: Callable[[bytes], object] | None = None,
        on_stdout: Callable[[bytes], object] | None = None,
        telemetry: TelemetryPipe | None = None,
    ) -> None:
        self.exit: Exit | None = None
        self.stopped_by: signal.Signals | None = None
        self.stopped_at: float | None = None
        self.is_stopped_twice = False
        self._signals = signals
        self._grace = grace
        self._drain = drain
        self._on_stderr = on_stderr or write_stderr
        self._on_stdout = on_stdout
        self._telemetry = telemetry
        self._kill_at: float | None = None
        self._dbt: int | None = None
        self._told_all = False
        self._process = _start(argv, env)
        self._watchdog = Watchdog(self._process.pid)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.exit is None:
            self._stop(signal.SIGTERM)
            for _ in self.output():
                pass
        self._watchdog.dismiss()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def output(self) -> Iterator[bytes]:
        """The child's log in chunks as they come, until it has exited and its pipes are closed.

        A grandchild may hold the pipes open after the child's end. Reading then goes on for `drain`
        seconds; after a stop signal for the rest of `grace`, as the grandchild may be dbt behind a
        shell.
        """
        stdout = cast("IO[bytes]", self._process.stdout)
        stderr = cast("IO[bytes]", self._process.stderr)
        give_up_at: float | None = None
        with selectors.DefaultSelector() as selector:
            open_pipes = {stdout.fileno(), stderr.fileno()}
            takers = {stdout.fileno(): self._on_stdout, stderr.fileno(): self._on_stderr}
            logs = [self._telemetry.fileno()] if self._telemetry is not None else []
            for fd in (*open_pipes, *logs, self._signals.fileno()):
                selector.register(fd, selectors.EVENT_READ)
            while self.exit is None or open_pipes:
                if self.exit is not None and self._kill_at is None:
                    give_up_at = give_up_at or time.monotonic() + self._drain
                deadlines = [at for at in (self._kill_at, give_up_at) if at is not None]
                timeout = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
                for key, _ in selector.select(timeout):
                    if key.fd == self._signals.fileno():
                        self._obey(self._signals.take())
                        continue
                    chunk = os.read(key.fd, _CHUNK)
                    if not chunk:
                        selector.unregister(key.fd)
                        open_pipes.discard(key.fd)
                    elif (take := takers.get(key.fd)) is not None:
                        take(chunk)
                    else:
                        yield chunk
                now = time.monotonic()
                if self._kill_at is not None and now >= self._kill_at:
                    self._kill_at = None
                    self._signal_group(signal.SIGKILL)
                if give_up_at is not None and now >= give_up_at:
                    break
                self._reap()
        while self._telemetry is not None and (chunk := self._telemetry.read(_CHUNK)):
            yield chunk
        if self.stopped_by is not None:
            self._signal_group(signal.SIGKILL)

    def dbt_is(self, pid: int) -> None:
        """Name the process of dbt, which may be behind a wrapper: it gets the interrupt.

        If a script goes on to its next dbt after a stop signal, that dbt is interrupted too. A
        process outside the child's group is ignored: a log may say anything.
        """
        if pid == self._dbt or not self._is_ours(pid):
            return
        self._dbt = pid
        if self._kill_at is not None and not self._told_all:
            self._interrupt()

    def _interrupt(self) -> None:
        # While dbt is known, not the whole group: `uv run` is in it, and forwards its signals.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._dbt is not None and self._is_ours(self._dbt):
                os.kill(self._dbt, signal.SIGINT)
                return
        self._told_all = True
        self._signal_group(signal.SIGINT)

    def _is_ours(self, pid: int) -> bool:
        """Whether the process is in the child's group. For 0, -1 and 1 the answer is no."""
        try:
            return pid > 1 and os.getpgid(pid) == self._process.pid
        except (OSError, OverflowError):
            return False

    def _obey(self, signums: list[int]) -> None:
        for signum in signums:
            if signum in STOP:
                self._stop(signal.Signals(signum))
            elif signum in FORWARDED:
                self._signal_group(signum)
        self._reap()

    def _stop(self, signum: signal.Signals) -> None:
        if self.stopped_by is not None:
            self.is_stopped_twice = True
            self._kill_at = None
            self._signal_group(signal.SIGKILL)
            return
        self.stopped_by, self.stopped_at = signum, time.monotonic()
        if self.exit is None:
            self._interrupt()
            self._kill_at = time.monotonic() + self._grace

    def _reap(self) -> None:
        code = self._process.poll()
        if code is not None and self.exit is None:
            self.exit = Exit(code=code) if code >= 0 else Exit(signal=-code)

    def _signal_group(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signum)


def _start(argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        signal.set_wakeup_fd(-1)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(128 + signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    try:
        with signals_held():
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=env,
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509 - no other thread runs yet
                bufsize=0,
            )
    except FileNotFoundError as error:
        if shutil.which(argv[0], path=env.get("PATH")) is None:
            raise CannotStartError(
                f"cannot start {argv[0]!r}: not found. Install it in this environment, put it on "
                "the PATH, or give its full path.",
                127,
            ) from error
        raise CannotStartError(
            f"cannot start {argv[0]!r}: the interpreter that its first line names is missing. "
            "In a virtual environment that was moved or copied, install it again.",
            126,
        ) from error
    except OSError as error:
        remedy = _REMEDY.get(error.errno or 0, "")
        raise CannotStartError(
            f"cannot start {argv[0]!r}: {error.strerror}.{remedy}", 126
        ) from error
