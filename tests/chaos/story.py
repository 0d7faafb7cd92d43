"""What dbt says in one attempt, and the records that this makes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.logs import line

from dbt_relay.parser import Event, EventReader, Run
from dbt_relay.records import NodeRecord

if TYPE_CHECKING:
    from pathlib import Path

    from dbt_relay.records.exits import Exit

NODES = 25
THREADS = 3
LONGEST_PAUSE_S = 0.02
LONGEST_PRELUDE_S = 0.8
"""dbt takes a while to parse, the relay to import Airflow's client: only where that is over when
the first node ends are there requests while dbt runs."""


@dataclass(frozen=True)
class Story:
    """The lines of dbt's log, each with the pause before it."""

    attempt: int
    lines: list[tuple[float, bytes]]
    exit_code: int

    @property
    def seen(self) -> dict[str, int]:
        """The numbers of the lines that a person gets to see, by their text."""
        infos = [json.loads(text)["info"] for _, text in self.lines]
        return {info["msg"]: n for n, info in enumerate(infos) if info["level"] != "debug"}

    def write(self, path: Path) -> None:
        lines = [(pause, text.decode()) for pause, text in self.lines]
        path.write_text(json.dumps({"lines": lines, "exit_code": self.exit_code}))

    def fold(self, count: int, ended: Exit | None = None) -> list[NodeRecord]:
        """Every record that the first `count` lines make, in turn, with those of dbt's end if it
        `ended`."""
        reader, run = EventReader(), Run(attempt=self.attempt)
        stream = b"".join(text for _, text in self.lines[:count])
        records: list[NodeRecord] = []
        for item in (*reader.feed(stream), *reader.end()):
            assert isinstance(item, Event)
            records += run.feed(item) or []
        return records + (run.finish(ended) if ended is not None else [])


def latest(records: list[NodeRecord]) -> dict[str, dict[str, Any]]:
    """The last record of each node, as JSON."""
    return {record.key: record.to_json() for record in records}


class Writer:
    """Makes up the log of one attempt: some nodes fail, others in each attempt."""

    def __init__(self, seed: int, attempt: int) -> None:
        self._chance = random.Random(f"story {seed} {attempt}")
        self._attempt = attempt
        self._invocation = f"{seed}-{attempt}"
        self._lines: list[tuple[float, bytes]] = []

    def write(self) -> Story:
        chance = self._chance
        outcomes = dict.fromkeys(range(1, NODES + 1), "success")
        for number in chance.sample(range(1, NODES + 1), 6):
            outcomes[number] = chance.choice(("error", "late error", "skipped"))
        self._say("MainReportVersion", {"version": "=1.11.16"}, "Running with dbt=1.11.16")
        self._say("Prelude", {}, "Found 25 models", pause=chance.uniform(0, LONGEST_PRELUDE_S))
        waiting, running = list(outcomes), []
        while waiting or running:
            if waiting and len(running) < THREADS and chance.random() < 0.6:
                running.append(waiting.pop(0))
                self._start(running[-1])
            elif running:
                number = running.pop(chance.randrange(len(running)))
                self._finish(number, outcomes[number])
        failed = [number for number, outcome in outcomes.items() if "error" in outcome]
        for number in failed:
            data = {"msg": self._error(number), "node_info": _node(number, "error")}
            self._say("RunResultError", data, f"  {self._error(number)}", level="error")
        self._say("StatsLine", {}, f"Done. PASS={NODES - len(failed)} ERROR={len(failed)}")
        self._say("CommandCompleted", {"success": not failed}, "Command ended", level="debug")
        return Story(self._attempt, self._lines, int(bool(failed)))

    def _start(self, number: int) -> None:
        node = _node(number, "started")
        data = {"node_info": node, "index": number, "total": NODES}
        begins = f"{number} of {NODES} START sql table model main.n{number:02}"
        self._say("LogStartLine", data, begins)
        self._say("NodeStart", {"node_info": node}, "Began running node", level="debug")

    def _finish(self, number: int, outcome: str) -> None:
        status = outcome.removeprefix("late ")
        node = _node(number, status)
        # Where the end of a node lacks its text, the tail of the log amends the record.
        says = {"success": f"OK of attempt {self._attempt}", "error": self._error(number)}
        result = {
            "status": status,
            "message": says.get(outcome),
            "execution_time": round(self._chance.uniform(0.1, 9), 3),
            "num_failures": 0,
            "thread": "Thread-1 (worker)",
            "adapter_response": {"_message": "OK", "rows": self._chance.randrange(1000)},
            "timing_info": [],
        }
        shown = {"node_info": node, "index": number, "total": NODES, "status": status}
        event = "SkippingDetails" if status == "skipped" else "LogModelResult"
        ends = f"{number} of {NODES} {status.upper()} sql table model main.n{number:02}"
        self._say(event, shown, ends)
        ended = {"node_info": node, "run_result": result}
        self._say("NodeFinished", ended, "Finished running node", level="debug")

    def _error(self, number: int) -> str:
        return f"Database Error in model n{number:02}: of attempt {self._attempt}"

    def _say(
        self,
        event: str,
        data: dict[str, Any],
        msg: str,
        *,
        level: str = "info",
        pause: float | None = None,
    ) -> None:
        if pause is None:  # lines come in bursts
            pause = self._chance.choice((0, 0, self._chance.uniform(0, LONGEST_PAUSE_S)))
        ts = f"2026-01-02T{self._attempt:02}:04:05.000006Z"
        text = line(event, data, invocation_id=self._invocation, msg=msg, level=level, ts=ts)
        assert len(text) < 4096
        self._lines.append((pause, text))


def _node(number: int, status: str) -> dict[str, Any]:
    name = f"n{number:02}"
    return {
        "unique_id": f"model.shop.{name}",
        "resource_type": "model",
        "node_name": name,
        "node_path": f"{name}.sql",
        "materialized": "table",
        "node_relation": {"relation_name": f'"shop"."main"."{name}"'},
        "node_status": status,
        "node_started_at": "2026-01-02T03:04:05.000006",
        "node_finished_at": "" if status == "started" else "2026-01-02T03:04:06",
    }
