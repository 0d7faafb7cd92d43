"""One trial: what a seed decides comes to pass, and the end is judged."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support.census import kill, processes_left
from support.command import RELAY

from chaos.plan import FLUSH_S, REQUESTS, START_S, Attempt, Kill, Plan
from chaos.processes import PATIENCE_S, Program, Relay, Server, environment
from chaos.story import Writer
from chaos.verdict import RUN, Ending, differences, disagreements
from dbt_relay.cli.exit_codes import UNDELIVERED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BEFORE_CLEARING_S = 0.3
"""Between a new try number and the clearing of XComs Airflow schedules the task and starts it:
more than this. What a late relay that has just asked for the try still writes is cleared."""
GLANCE_S = 0.005
TRIAL_S = 40.0


@dataclass
class Report:
    """What came of a trial: `wrong` is empty if all is true."""

    seed: int
    wrong: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    planned: int = 0
    seconds: float = 0.0


class Trial:
    """To be used once, in an empty folder."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.report = Report(seed)
        self._plan = Plan.of(seed)
        self.report.planned = sum(len(attempt.kills) for attempt in self._plan.attempts)
        self._folder = folder
        self._marker = f"RELAY_CHAOS_MARKER={uuid.uuid4().hex}"
        self._server = Server(folder, seed, self._plan.density, self._marker)
        self._env = environment(folder / "state", self._server.url, self._marker)
        self._relays: list[Relay] = []
        self._delivers: list[Program] = []
        self._todo: list[tuple[Callable[[], bool], Callable[[], None]]] = []
        self._began_at = time.monotonic()

    def run(self) -> Report:
        try:
            for line in self._plan.told():
                self._tell(line)
            self._server.start()
            for number, attempt in enumerate(self._plan.attempts, start=1):
                if number > 1:
                    self._retry()
                self._begin(number, attempt)
            self._until(lambda: not any(p.is_alive for p in (*self._relays, *self._delivers)))
            self._todo.clear()
            self._deliver()
            self._judge()
        except Exception as error:  # the history says more than a traceback does
            self.report.wrong.append(f"the trial broke off: {type(error).__name__}: {error}")
        finally:
            self._close()
        self.report.seconds = time.monotonic() - self._began_at
        return self.report

    def _begin(self, number: int, attempt: Attempt) -> None:
        """Start the relay of an attempt, and put down what is to happen to it."""
        story = Writer(self._plan.seed, number).write()
        relay = Relay(story, self._folder, self._env, attempt.flush_timeout)
        self._relays.append(relay)
        self._tell(f"relay of attempt {number} started")
        for doom in attempt.kills:
            self._todo.append((self._moment(doom, relay), lambda d=doom: self._kill(d, relay)))
        lines = len(story.lines)
        plan, server = self._plan, self._server
        if attempt.closes_at is not None:
            at = attempt.closes_at * lines
            self._todo.append((lambda: relay.taken >= at, lambda: self._order("close")))
        if number == len(plan.attempts):
            if plan.delivers_at is not None:
                at = plan.delivers_at * lines
                self._todo.append((lambda: relay.taken >= at, self._deliver_beside))
            if plan.expires:
                self._todo.append((lambda: relay.taken > lines / 2, lambda: self._order("expire")))
        if number > 1 and server.state.is_closed:
            pause = random.Random(f"open {plan.seed}").uniform(0, 2)
            self._todo.append((_after(pause), lambda: self._order("open")))

    def _retry(self) -> None:
        """Airflow tries the task again: when the first relay has ended, or while it delivers."""
        (first,) = self._relays
        if self._plan.is_beside:
            self._until(lambda: first.has_ended or not first.is_alive)
        else:
            self._until(lambda: not first.is_alive)
            self._todo.clear()
        is_left = first.is_alive
        self._order("next try")
        self._until(_after(BEFORE_CLEARING_S))
        self._order("clear")
        if is_left and first.is_alive:
            self._tell("the relay of attempt 1 is still there")

    def _moment(self, doom: Kill, relay: Relay) -> Callable[[], bool]:
        """Tells whether it has come."""
        before = self._server.state.requests

        def has_come() -> bool:
            now = time.monotonic()
            if "dbt" in doom.targets and relay.dbt_pid is None:
                return False
            match doom.moment:
                case "start":
                    return now >= relay.started_at + doom.at * START_S
                case "run":
                    return relay.taken >= max(1, doom.at * len(relay.story.lines))
                case "send":
                    return self._server.state.requests - before >= 1 + doom.at * REQUESTS
                case "flush":
                    ended_at = relay.dbt_ended_at
                    return ended_at is not None and now >= ended_at + doom.at * FLUSH_S

        return lambda: relay.is_alive and has_come()

    def _kill(self, doom: Kill, relay: Relay) -> None:
        self._tell(f"SIGKILL to {doom} of attempt {relay.story.attempt}")
        who = doom.targets[0] if len(doom.targets) == 1 else "two at once"
        self.report.kills[who, doom.moment] += 1
        for target in doom.targets:
            if target == "relay":
                relay.kill()
            elif target == "dbt":
                relay.kill_dbt()
            else:
                self._server.kill()
                self._todo.append((_after(doom.down_s), self._server.start))

    def _order(self, word: str) -> None:
        self._tell(f"server: {word}")
        self._server.order(word)

    def _deliver_beside(self) -> None:
        self._delivers.append(self._command("deliver", "--all"))

    def _deliver(self) -> None:
        """The faults end; what is left is delivered, and then there is nothing to do."""
        self._order("calm")
        at = self._plan.deliver_dies_at
        if at is not None:
            before = self._server.state.requests
            doomed = self._command("deliver", "--all")
            self._until(lambda: not doomed.is_alive or self._server.state.requests >= before + at)
            doomed.kill()
            if doomed.was_killed:
                self._tell(f"SIGKILL to deliver at its request {at}")
                self.report.kills["deliver", "deliver"] += 1
        code = self._command("deliver", "--all").end()
        before = self._server.state.writes
        again = self._command("deliver", "--all").end()
        if not {code, again} <= {0, UNDELIVERED}:  # what an older attempt left stays undelivered
            self.report.wrong.append(f"deliver ended with {code}, then with {again}")
        if self._server.state.writes != before:
            self.report.wrong.append("a second deliver wrote again")

    def _command(self, *words: str) -> Program:
        name = f"{words[0]}{len(list(self._folder.glob(f'{words[0]}*.out')))}"
        self._tell(" ".join(words))
        return Program([*RELAY, *words], self._folder, name, self._env)

    def _ask(self, *words: str) -> list[dict[str, Any]]:
        """The objects that a command prints, one a line."""
        command = [*RELAY, *words, "--json"]
        done = subprocess.run(
            command, env=self._env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {said}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def _judge(self) -> None:
        """Hold against the truth what the server has of the last attempt, and what the journal
        has of each."""
        endings = [Ending.of(relay) for relay in self._relays]
        on_server = self._server.state.xcoms
        wrong = self.report.wrong
        wrong += [f"server: {text}" for text in differences(endings[-1], on_server)]
        journal: list[dict[str, Any]] = []
        for run in self._ask("runs"):
            journal += self._ask("show", str(run["run"]))
        for ending in endings:
            of_it = [r for r in journal if r.get("attempt") == ending.story.attempt]
            by_key = {record.get("unique_id", RUN): record for record in of_it}
            told = f"journal of attempt {ending.story.attempt}"
            wrong += [f"{told}: {text}" for text in differences(ending, by_key)]
            if ending is endings[-1]:
                wrong += disagreements(by_key, on_server)

    def _until(self, is_so: Callable[[], bool]) -> None:
        """Wait, and let happen meanwhile what is to happen."""
        while not is_so():
            if time.monotonic() > self._began_at + TRIAL_S:
                raise TimeoutError(f"not done after {TRIAL_S} s")
            for todo in [t for t in self._todo if t[0]()]:
                self._todo.remove(todo)
                todo[1]()
            time.sleep(GLANCE_S)

    def _tell(self, text: str) -> None:
        self.report.history.append(f"{time.monotonic() - self._began_at:6.2f} {text}")

    def _close(self) -> None:
        for program in (*self._relays, *self._delivers):
            program.kill()
        self._server.close()
        with contextlib.suppress(FileNotFoundError):  # no /proc
            left = processes_left(self._marker, within=2.0)
            kill(left)
            if left:
                self.report.wrong.append(f"left behind: {sorted(left.values())}")


def _after(seconds: float) -> Callable[[], bool]:
    """Tells whether so much time has passed from now on."""
    at = time.monotonic() + seconds
    return lambda: time.monotonic() >= at
