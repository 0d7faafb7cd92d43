"""A child of a task that is `dbt-relay` or starts it, and whose records the task pushes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from typing import IO, TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .record_store import RecordStore

    Push = Callable[[str, Any], None]
    Task = Callable[[], tuple[str | None, int | None]]

_CHANNEL: Final = "DBT_RELAY_CHANNEL"
_LEVELS: Final = {3: "error", 4: "warning", 6: "info", 7: "debug"}
"""Levels of syslog. The child writes one in angle brackets before a line (sd-daemon(3))."""
_END_WITHIN: Final = 4.0
"""Seconds for the child to end after a stop signal. Airflow 3 kills a task after 5 s."""
_PATIENCE: Final = 2.0
"""Seconds to wait for the last output of a child that has ended."""
_UNDELIVERABLE: Final = frozenset({400, 413, 422})


class RelayProcess:
    """Starts the child. `serve` pushes the records that the child sends, until the child ends.

    Older versions of the task SDK answer one request at a time, so only the thread that calls
    `serve` makes requests. No signal interrupts a request: the SDK would take its unread answer for
    the answer to the next request.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None,
        push: Push,
        task: Task,
        log: Any,
        store: RecordStore | None = None,
    ) -> None:
        self.run_number: int | None = None
        self.result: Any = None
        self._push = push
        self._task = task
        self._log = log
        self._store = store
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                command,
                env={**env, _CHANNEL: str(theirs.fileno())},
                cwd=cwd,
                # Standard input is the supervisor's socket (Airflow 3.0 to 3.3).
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._readers = [
            threading.Thread(target=self._copy, args=(stream, usual), daemon=True)
            for stream, usual in (
                (self._process.stdout, "info"),
                (self._process.stderr, "warning"),
            )
        ]
        for reader in self._readers:
            reader.start()

    def serve(self) -> int:
        """Push the child's records. Returns its exit code, -N if signal N killed it."""
        try:
            self._serve(None)
        except BaseException:
            # A timeout of the task, say. The records of all that dbt has done must get to Airflow.
            self.stop()
            with contextlib.suppress(Exception):
                self._serve(time.monotonic() + _END_WITHIN)
            raise
        finally:
            if self._store is not None:
                with _undisturbed():
                    self._store.save()
            self._end()
        return self._process.returncode

    def stop(self) -> None:
        """Tell the child to end. A signal handler may call this."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def _serve(self, until: float | None) -> None:
        buffer = b""
        while True:
            if until is not None:
                self._socket.settimeout(max(0.01, until - time.monotonic()))
            chunk = self._socket.recv(1 << 16)
            if not chunk:
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                self._answer(json.loads(line))

    def _answer(self, message: dict[str, Any]) -> None:
        if "push" in message:
            answer = self._pushed(**message["push"])
        elif message.get("ask") == "task":
            with _undisturbed():
                state, try_number = self._task()
            answer = {"state": state, "try_number": try_number}
        elif message.get("ask") == "earlier":
            with _undisturbed():
                answer = {"records": self._store.earlier() if self._store is not None else []}
        else:
            self.run_number = message.get("run", self.run_number)
            self.result = message.get("result", self.result)
            return
        self._socket.sendall(json.dumps(answer).encode() + b"\n")

    def _pushed(self, key: str, value: Any) -> dict[str, Any]:
        """Push an XCom. Returns the answer for the child."""
        try:
            with _undisturbed():
                if self._store is not None:
                    self._store.add(key, value)
                self._push(key, value)
        except AirflowRuntimeError as error:
            detail = error.error.detail or {}
            status = detail.get("status_code")
            verdict = "rejected" if status in _UNDELIVERABLE else "retry"
            return {"verdict": verdict, "reason": f"Airflow did not take it: {error}"[:500]}
        except Exception as error:
            return {"verdict": "retry", "reason": f"{type(error).__name__}: {error}"[:500]}
        return {"verdict": "delivered"}

    def _copy(self, stream: IO[bytes] | None, usual: str) -> None:
        """Log each line of the child at its level, or at the `usual` level."""
        assert stream is not None  # noqa: S101 - both are pipes
        for raw in stream:
            line, level = raw.decode("utf-8", "replace").rstrip("\n"), usual
            if line[:1] == "<" and line[2:3] == ">" and line[1].isdigit():
                level, line = _LEVELS.get(int(line[1]), usual), line[3:]
            getattr(self._log, level)("%s", line)

    def _end(self) -> None:
        self._socket.close()
        if self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_WITHIN)
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for reader in self._readers:
            reader.join(_PATIENCE)


@contextlib.contextmanager
def _undisturbed() -> Any:
    """Blocks signals, because a handler may raise in the middle of a request."""
    held = {signal.SIGALRM, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
