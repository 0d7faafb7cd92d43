"""The processes of a real Airflow, on SQLite and loopback, in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from support import census

from .api import Api

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

USERS = {"admin": "ADMIN", "op": "OP", "user": "USER", "viewer": "VIEWER"}

START_WITHIN = 180.0
STOP_WITHIN = 20.0

_INFORMATION = re.compile(r"\[(info|debug) +\]|^INFO:")


class StartError(Exception):
    """Airflow did not come up; the message carries the ends of its logs."""


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Server:
    """`start()` returns once all of it is healthy; `stop()` leaves nothing."""

    relay_user = "user"
    """Whom the relay logs in as."""

    def __init__(self, executable: Path, home: Path, environ: Mapping[str, str]) -> None:
        self.executable = executable
        self.home = home
        self.dags = home / "dags"
        self.task_logs = home / "task-logs"
        self.passwords = {user: f"{user}-{secrets.token_hex(8)}" for user in USERS}
        self._logs = home / "process-logs"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: list[int] = []
        self._guard: subprocess.Popen[bytes] | None = None
        port, execution_port = _free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        self.api = Api(port, self.passwords)
        mark = secrets.token_hex(8)
        self._marker = f"SERVER_OF_TESTS={mark}"
        self.environ = {**environ, **self._settings(port, execution_port), "SERVER_OF_TESTS": mark}
        # Two API processes: the audit log's synchronous INSERT blocks the event loop for as long
        # as a task's heartbeat holds SQLite's lock, and in one process the heartbeat waits for the
        # loop (seen with Airflow 3.3.2).
        self.commands = {
            "api-core": ["api-server", "--apps", "core", "--port", str(port)],
            "api-execution": ["api-server", "--apps", "execution", "--port", str(execution_port)],
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "dag-processor": ["dag-processor"],
            "triggerer": ["triggerer", "--skip-serve-logs"],
        }

    def _settings(self, port: int, execution_port: int) -> dict[str, str]:
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            # A worker notices up to so many seconds late that its task has ended: 5 by default,
            # in which Airflow fails those deferred tasks of Cosmos that are back sooner.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
                f"{user}:{role}" for user, role in USERS.items()
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{execution_port}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home / 'airflow.db'}",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            # A file that could not be parsed, for a locked database say, has no DAG until then.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.task_logs),
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            # Cosmos reports the end of every task to its makers unless it is told not to.
            "DO_NOT_TRACK": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def start(self) -> None:
        """Raises StartError, with every process ended, where it is not up in START_WITHIN."""
        for folder in (self.dags, self._logs):
            folder.mkdir(parents=True, exist_ok=True)
        (self.home / "passwords.json").write_text(json.dumps(self.passwords))
        # Ends all of it where these tests cannot: killed, say, or by a CI that gives up.
        self._guard = subprocess.Popen(
            [sys.executable, census.__file__, self._marker],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._migrate()
            for name, command in self.commands.items():
                self._processes[name] = self._launch(name, command)
            self._wait_for_health(time.monotonic() + START_WITHIN)
        except BaseException:
            self.stop()
            raise

    def restart(self, name: str) -> None:
        """End one of the processes, as a deployment does, and start it anew."""
        process = self._processes[name]
        _signal_group(process, signal.SIGTERM)
        _wait_or_kill(process, time.monotonic() + STOP_WITHIN)
        self._processes[name] = self._launch(name, self.commands[name])

    def _launch(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [self.executable, *command],
                cwd=self.home,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._sessions.append(process.pid)
        assert self._guard is not None
        assert self._guard.stdin is not None
        os.write(self._guard.stdin.fileno(), b"%d\n" % process.pid)
        return process

    def _migrate(self) -> None:
        self._processes["migrate"] = migrate = self._launch("migrate", ["db", "migrate"])
        try:
            code = migrate.wait(START_WITHIN)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            msg = f"`airflow db migrate` ended with {code}\n{self.log_tails()}"
            raise StartError(msg)
        del self._processes["migrate"]

    def _wait_for_health(self, deadline: float) -> None:
        health: Any = None
        while time.monotonic() < deadline:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    msg = f"Airflow's {name} ended with {process.returncode}\n{self.log_tails()}"
                    raise StartError(msg)
            try:
                answer = self.api.call("GET", "/api/v2/monitor/health", user=None)
            except OSError:  # it does not listen yet
                time.sleep(0.25)
                continue
            health = answer.body
            parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            if answer.status == 200 and all(health[p]["status"] == "healthy" for p in parts):
                return
            time.sleep(0.25)
        msg = f"Airflow is not healthy after {START_WITHIN:.0f} s: {health}\n{self.log_tails()}"
        raise StartError(msg)

    def stop(self) -> None:
        """End every process that this Airflow started, tasks included.

        Airflow's own get SIGTERM first; a process that outlives that is killed.
        """
        for process in self._processes.values():
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN
        for process in self._processes.values():
            _wait_or_kill(process, deadline)
        self._processes.clear()
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
        census.kill(self.processes_left(within=2.0))

    def processes_left(self, within: float) -> dict[int, str]:
        """Command lines, by pid, of what this Airflow or one of its tasks started and is alive."""
        return census.processes_left(self._marker, within, self._sessions)

    def log(self, name: str) -> str:
        """What one of the processes has logged."""
        return (self._logs / f"{name}.log").read_text(errors="replace")

    def log_tails(self, characters: int = 3000) -> str:
        """The ends of the logs of Airflow's own processes, of what is more than information."""
        tails: list[str] = []
        for path in sorted(self._logs.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()
            text = "\n".join(line for line in lines if not _INFORMATION.search(line))
            tails.append(f"--- {path}\n{text[-characters:]}")
        return "\n".join(tails)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # It leads a session of its own, so its pid names the group until it has been waited for.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _wait_or_kill(process: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        process.wait()
