"""One seed: a run, or two attempts of one, with kills; then what the server has is held against
what dbt said."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos.server import changes

from dbt_relay.parser import Event, EventReader, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
VICTIMS = ("relay", "server", "dbt", "relay and server", "relay and dbt", "server and dbt")
LATEST_KILL_S = 3.2
"""By then a run that nothing disturbs has delivered everything."""
PATIENCE_S = 40.0
RUN = "dbt_relay_run"


class BrokenError(AssertionError):
    """A promise was broken."""


@dataclass
class Trial:
    """What happens for a seed. `story` tells what did."""

    seed: int
    story: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Raises BrokenError, with the story."""
        self._chance = random.Random(self.seed)
        self._began = time.monotonic()
        self._folder = Path(tempfile.mkdtemp(prefix=f"relay-chaos-{self.seed}-"))
        self._port = _free_port()
        self._server: subprocess.Popen[str] | None = None
        self._relays: dict[int, subprocess.Popen[bytes]] = {}
        self._relay_was_killed: set[int] = set()
        try:
            self._play()
        except (AssertionError, subprocess.TimeoutExpired, OSError) as error:
            story = "\n  ".join(self.story)
            raise BrokenError(f"seed {self.seed}: {error}\n  {story}") from error
        finally:
            self._clean_up()

    def _play(self) -> None:
        chance = self._chance
        self._start_server()
        attempts = 2 if chance.random() < 0.5 else 1
        self._start_relay(1)
        self._kill(1)
        if attempts == 2:
            if chance.random() < 0.4:  # the second begins while the first still has records left
                self._tell("refuse")
                self._wait_for_dbt(1)
                self._tell("accept")
            else:
                self._wait_for_relay(1)
            self._tell("retry")
            self._start_relay(2)
            if chance.random() < 0.6:
                self._kill(2)
        for attempt in self._relays:
            self._wait_for_relay(attempt)
        self._tell("calm")
        if chance.random() < 0.3:
            self._deliver(kill_after=chance.uniform(0.1, 2.5))
        self._deliver()
        writes = len(changes(self._folder / "committed"))
        said = self._deliver()
        if len(changes(self._folder / "committed")) != writes:
            raise BrokenError(f"a second deliver wrote something: {said}")
        for attempt in self._relays:
            if attempt == attempts:
                self._check(attempt)

    # What is done to it -----------------------------------------------------------------------

    def _kill(self, attempt: int) -> None:
        chance = self._chance
        victims = chance.choice(VICTIMS)
        time.sleep(chance.uniform(0, LATEST_KILL_S))
        for victim in victims.split(" and "):
            if victim == "server":
                assert self._server is not None
                self._server.kill()
                self._server.wait()
                _close(self._server)
            elif victim == "relay":
                relay = self._relays[attempt]
                if relay.poll() is None:
                    self._relay_was_killed.add(attempt)
                    relay.kill()
            else:
                self._kill_dbt(attempt)
            self._tell_story(f"killed {victim}")
        self.killed.append(victims)
        if "server" in victims:
            time.sleep(chance.uniform(0, 0.5))
            self._start_server()

    def _kill_dbt(self, attempt: int) -> None:
        # Once its relay has gone, somebody else may have its number.
        with contextlib.suppress(OSError, ValueError):
            if self._relays[attempt].poll() is None:
                os.kill(int((self._folder / f"pid-{attempt}").read_text()), signal.SIGKILL)

    def _start_server(self) -> None:
        command = [sys.executable, "-m", "chaos.server", str(self._folder), str(self._port)]
        self._server = subprocess.Popen(
            [*command, f"{self.seed} {len(self.killed)}"],
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"
        self._tell_story("server is up")

    def _tell(self, command: str) -> None:
        assert self._server is not None
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(f"{command}\n")
        self._server.stdin.flush()
        assert self._server.stdout.readline() == "done\n"
        self._tell_story(command)

    def _start_relay(self, attempt: int) -> None:
        dbt = [sys.executable, str(HERE / "dbt.py"), str(self.seed), str(attempt)]
        with (self._folder / f"out-{attempt}").open("wb") as out:
            self._relays[attempt] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "dbt_relay", "run", "--flush-timeout", "3"),
                    *("--try-number", str(attempt), "--", *dbt, str(self._folder)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._environ(),
            )
        self._tell_story(f"attempt {attempt} begins")

    def _deliver(self, kill_after: float | None = None) -> str:
        command = [sys.executable, "-m", "dbt_relay", "deliver", "--all", "--flush-timeout", "20"]
        deliver = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environ(),
        )
        try:
            out, _ = deliver.communicate(timeout=kill_after or PATIENCE_S)
        except subprocess.TimeoutExpired:
            deliver.kill()
            out, _ = deliver.communicate()
            if kill_after is None:
                raise
            self.killed.append("deliver")
        said = out.decode()
        self._tell_story(f"deliver: {said}")
        if "Traceback" in said:
            raise BrokenError("deliver broke down")
        return said

    def _environ(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("DBT_", "AIRFLOW"))}
        return {
            **clean,
            "AIRFLOW_CTX_DAG_ID": "shop",
            "AIRFLOW_CTX_DAG_RUN_ID": "run+1",
            "AIRFLOW_CTX_TASK_ID": "dbt",
            "DBT_RELAY_AIRFLOW_URL": f"http://127.0.0.1:{self._port}",
            "DBT_RELAY_AIRFLOW_USERNAME": "op",
            "DBT_RELAY_AIRFLOW_PASSWORD": "op-password",
            "DBT_RELAY_STATE_DIR": str(self._folder / "state"),
            "NO_PROXY": "*",
        }

    def _wait_for_dbt(self, attempt: int) -> None:
        """Until dbt is through, or dead, or the relay is."""
        log, last = self._folder / f"log-{attempt}", -1
        while self._relays[attempt].poll() is None:
            size = log.stat().st_size if log.exists() else 0
            if size == last and size:
                return
            last = size
            time.sleep(0.3)

    def _wait_for_relay(self, attempt: int) -> None:
        code = self._relays[attempt].wait(PATIENCE_S)
        self._tell_story(f"attempt {attempt} ended with {code}")

    def _tell_story(self, event: str) -> None:
        self.story.append(f"{time.monotonic() - self._began:6.2f} {event.strip()}")

    def _clean_up(self) -> None:
        for process in (*self._relays.values(), self._server):
            if process is not None:
                process.kill()
                process.wait()
                _close(process)
        shutil.rmtree(self._folder, ignore_errors=True)

    # What has to be true ----------------------------------------------------------------------

    def _check(self, attempt: int) -> None:
        has_lived = attempt not in self._relay_was_killed
        said = (self._folder / f"log-{attempt}").read_bytes() if self._has_log(attempt) else b""
        told = said.splitlines(keepends=True)
        out = (self._folder / f"out-{attempt}").read_text()
        if "Traceback" in out:
            raise BrokenError(f"the relay broke down: {out}")
        taken = len(told) if has_lived else max(map(int, re.findall(r"tick (\d+)", out)), default=0)

        server = self._state()
        own = server.pop(RUN, None)
        versions = _versions(told, attempt)
        for key, value in server.items():
            if value.get("attempt") != attempt:
                raise BrokenError(f"{key} is of attempt {value.get('attempt')}, not {attempt}")
            known = [record for _, record in versions.get(key, [])]
            # What dbt wrote down but was killed before it said it.
            is_interrupted = has_lived and value["outcome"] == "interrupted"
            if value not in known and not is_interrupted:
                raise BrokenError(f"{key} is {value}, which dbt never said: {known}")
        for key, history in versions.items():
            sure = [record for at, record in history if at < taken]
            if has_lived and "killed by SIGKILL" in out and history[-1][0] >= len(told) - 1:
                sure = sure[:-1]
            if not sure:
                continue
            if key not in server:
                raise BrokenError(f"{key} is lost: {sure[-1]}")
            there = server[key]
            if there["outcome"] != "interrupted" and there["sequence"] < sure[-1]["sequence"]:
                raise BrokenError(f"{key} is older than what was taken: {there}, {sure[-1]}")
        self._check_run(own, has_lived=has_lived, attempt=attempt)
        self._check_journal(attempt, {**server, RUN: own} if own else server)

    def _has_log(self, attempt: int) -> bool:
        return (self._folder / f"log-{attempt}").exists()

    def _check_run(self, own: dict[str, Any] | None, *, has_lived: bool, attempt: int) -> None:
        if own is None:
            if has_lived:
                raise BrokenError("the run has no record")
            return  # killed before it had begun
        if own["attempt"] != attempt:
            raise BrokenError(f"the run's record is of attempt {own['attempt']}, not {attempt}")
        if own["state"] not in ("finished", "died"):
            raise BrokenError(f"the run is {own['state']!r} for ever")

    def _check_journal(self, attempt: int, server: dict[str, Any]) -> None:
        runs = self._ask("runs")
        latest = next((r["run"] for r in runs if r["attempt"] == attempt), None)
        kept = self._ask("show", str(latest)) if latest is not None else []
        told = {record.get("unique_id", RUN): record for record in kept}
        if told != server:
            odd = {k for k in told.keys() | server.keys() if told.get(k) != server.get(k)}
            raise BrokenError(f"journal and server differ in {sorted(odd)}")

    def _ask(self, *command: str) -> list[dict[str, Any]]:
        words = [sys.executable, "-m", "dbt_relay", command[0], "--json", *command[1:]]
        done = subprocess.run(
            words, env=self._environ(), capture_output=True, timeout=PATIENCE_S, check=True
        )
        return [json.loads(text) for text in done.stdout.splitlines()]

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        for change in changes(self._folder / "committed"):
            if change["do"] == "retry":
                state.clear()
            elif change["task"] == "dbt":
                state[change["key"]] = change["value"]
        return state


def _versions(log: Sequence[bytes], attempt: int) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """Every record that the log makes of each node, with the number of its line."""
    reader, run = EventReader(), Run(attempt=attempt)
    versions: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for at, text in enumerate(log):
        for item in reader.feed(text):
            for record in (run.feed(item) or ()) if isinstance(item, Event) else ():
                versions.setdefault(record.key, []).append((at, record.to_json()))
    return versions


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _close(process: subprocess.Popen[Any]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
