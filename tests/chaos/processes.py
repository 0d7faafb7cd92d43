"""The processes of a trial, each as the test sees it."""

from __future__ import annotations

import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from support.command import RELAY
from support.environment import clean_environment
from support.fake_airflow import PASSWORDS

from chaos.ledger import Reader

if TYPE_CHECKING:
    from chaos.ledger import State
    from chaos.story import Story

HERE = Path(__file__).parent
PATIENCE_S = 20.0
_SHOWN = re.compile(rb"^\d\d:\d\d:\d\d  (.*)\n", re.MULTILINE)


def free_port() -> int:
    """A port that no outgoing connection is given: those start at 32768. A relay that tries to
    reach a dead server on such a port may else be connected to itself."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment(state_dir: Path, url: str, marker: str) -> dict[str, str]:
    """What every command gets: where the journal is, how to log in to which Airflow."""
    name, _, value = marker.partition("=")
    return {
        **clean_environment(),
        name: value,
        "DBT_RELAY_STATE_DIR": str(state_dir),
        "DBT_RELAY_AIRFLOW_URL": url,
        "DBT_RELAY_AIRFLOW_USERNAME": "op",
        "DBT_RELAY_AIRFLOW_PASSWORD": PASSWORDS["op"],
    }


class Program:
    """A process with its output in files."""

    def __init__(self, command: list[str], folder: Path, name: str, env: dict[str, str]) -> None:
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        self.was_killed = False
        self.started_at = time.monotonic()
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self._process = subprocess.Popen(
                command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL; `was_killed` says whether that was in time."""
        self._process.kill()
        self.was_killed |= self._process.wait() == -signal.SIGKILL

    def end(self) -> int:
        """Wait for its own end; returns the exit code."""
        return self._process.wait(PATIENCE_S)


class Relay(Program):
    """`dbt-relay run` around the player of one story."""

    def __init__(
        self, story: Story, folder: Path, env: dict[str, str], flush_timeout: float
    ) -> None:
        self.story = story
        self.dbt_was_killed = False
        self._truth = folder / f"truth{story.attempt}"
        self._seen = {text.encode(): number for text, number in story.seen.items()}
        self._ended_at: float | None = None
        score = folder / f"score{story.attempt}"
        story.write(score)
        command = [*RELAY, "run", "--flush-timeout", str(flush_timeout), "--"]
        command += [sys.executable, "-I", "-S", str(HERE / "player.py")]
        task = {"DAG_ID": "shop", "DAG_RUN_ID": "run+1", "TASK_ID": "dbt"}
        context = {**task, "TRY_NUMBER": str(story.attempt)}
        env = {**env, **{f"AIRFLOW_CTX_{name}": value for name, value in context.items()}}
        command += [str(score), str(self._truth)]
        super().__init__(command, folder, f"relay{story.attempt}", env)

    @property
    def taken(self) -> int:
        """So many lines of dbt's the relay has demonstrably taken: those before the last one that
        it printed."""
        numbers = (self._seen.get(shown, 0) for shown in _SHOWN.findall(self.out.read_bytes()))
        return max(numbers, default=0)

    @property
    def dbt_pid(self) -> int | None:
        words = self._said("pid")
        return int(words[0]) if words else None

    @property
    def dbt_ended_at(self) -> float | None:
        """When dbt was first seen to have said all."""
        if self._ended_at is None and self.has_ended:
            self._ended_at = time.monotonic()
        return self._ended_at

    @property
    def has_ended(self) -> bool:
        """Whether dbt has said all."""
        return self._truth.exists() and self._truth.read_text().endswith("end\n")

    @property
    def written(self) -> tuple[int, int]:
        """So many lines dbt has written at least, and at most: a kill may fall in between."""
        return len(self._said("wrote")), len(self._said("begin"))

    def kill_dbt(self) -> None:
        if self.dbt_pid is not None and self.is_alive:  # not yet reaped, hence still dbt's pid
            with suppress(ProcessLookupError):
                os.kill(self.dbt_pid, signal.SIGKILL)
                self.dbt_was_killed = True

    def _said(self, what: str) -> list[str]:
        if not self._truth.exists():
            return []
        lines = self._truth.read_text().splitlines()
        return [rest for word, _, rest in (text.partition(" ") for text in lines) if word == what]


class Server:
    """The Airflow, on one port through all its lives."""

    def __init__(self, folder: Path, seed: int, density: float, marker: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._ledger = folder / "ledger"
        self._reader = Reader(self._ledger)
        self._errors = (folder / "server.err").open("ab")
        name, _, value = marker.partition("=")
        self._env = {**os.environ, name: value}
        arguments = (self._ledger, self.port, seed, density)
        self._command = [sys.executable, str(HERE / "server.py"), *map(str, arguments)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> State:
        return self._reader.state()

    def start(self) -> None:
        """Start it if it is not there."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
            )
            self._hear("ready")

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()

    def order(self, word: str) -> None:
        """Have it do something, see `LastingAirflow.obey`; a server that is away comes back."""
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        self._hear("done")

    def close(self) -> None:
        self.kill()
        self._errors.close()

    def _hear(self, word: str) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], PATIENCE_S)[0], "the server is silent"
        assert self._process.stdout.readline() == f"{word}\n".encode()
