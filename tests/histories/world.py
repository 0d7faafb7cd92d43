"""An Airflow, its hosts, and the attempts of one task: what happens around the relay."""

from __future__ import annotations

import io
import os
import shlex
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt_relay.cli.dbt.command import prepare
from dbt_relay.cli.output.console import Console
from dbt_relay.cli.relay.pipeline import Pipeline
from dbt_relay.cli.resume import this_attempt
from dbt_relay.cli.resume.environment import environment_digests
from dbt_relay.cli.resume.listing import LsOutput
from dbt_relay.parser.secrets import Secrets
from dbt_relay.records import TaskInstance
from dbt_relay.records.exits import Exit
from dbt_relay.records.schema import NodeRecord, RunRecord
from dbt_relay.sinks import Hold, Journal, Retry, RunInfo
from dbt_relay.sinks.airflow import AirflowSettings, Login
from dbt_relay.sinks.airflow.attempts import Attempt

from .project import Project
from .stand_in import StandIn

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from dbt_relay.records.schema import Record

    from .project import Node, Warehouse

URL = "http://airflow"
UNASKED = ("no address", "no credentials")
TASK = TaskInstance("shop", "run", "dbt")
SETTINGS = AirflowSettings(URL, TASK, Login(token="x"), xcom_task_id="results")


@dataclass
class DagRun:
    """One that is deleted and made again has the same ids, and is another."""

    tries: list[Attempt] = field(default_factory=list)
    xcoms: dict[str, Record] = field(default_factory=dict)


@dataclass
class Tally:
    """What has happened in all histories: a property of nothing would be no property."""

    attempts: int = 0
    green: int = 0
    carried: int = 0
    green_and_carried: int = 0
    retried: int = 0
    by_name: int = 0
    from_xcom: int = 0
    remarks: dict[str, int] = field(default_factory=dict)


@dataclass
class World:
    """`answers` is what Airflow does when it is asked: `tries`, `silence`, or nothing because there
    is no address of it, or no credentials. Then a DAG run that is made anew shows by its attempts
    alone: all of them are on one host, and leave a run in its journal.
    """

    rng: random.Random
    place: Path
    tally: Tally
    project: Project = field(init=False)
    warehouse: Warehouse = field(default_factory=dict)
    now: datetime = datetime(2026, 1, 2, tzinfo=timezone.utc)

    def __post_init__(self) -> None:
        rng = self.rng
        self.project = Project.any(rng)
        self.answers = rng.choice(["tries", "tries", "silence", *UNASKED])
        self.is_made_anew = self.answers not in UNASKED or rng.random() < 0.5
        is_alone = self.is_alone = self.answers in UNASKED and self.is_made_anew
        self.hosts = 1 if is_alone else rng.choice([1, 2])
        self.keeps_journal = is_alone or rng.random() < 0.5
        self.has_xcom = self.answers not in UNASKED and rng.random() < 0.8
        self.command = ("dbt", "build", "--select", "tag:daily")
        if rng.random() < 0.2:
            self.command += ("--fail-fast",)
        # What chance alone brings about too seldom.
        self.plot = "" if is_alone else rng.choice(["", "", "", "made anew", "reverted"])
        if not self.is_made_anew and self.plot == "made anew":
            self.plot = ""
        if self.answers == "silence" and rng.random() < 0.5:
            self.plot = "made anew"
        self.flaky = rng.uniform(0.03, 0.25)
        self.dag_run = DagRun()
        self.has_carried = False
        self.at = 0
        self.story: list[str] = []
        self._pods = 0

    def live(self) -> None:
        """Some attempts. AssertionError if one is green that ought not to be."""
        target = "dev"
        for at in range(self.rng.randint(3, 7)):
            self.at = at
            attempt = len(self.dag_run.tries) + 1
            if self.rng.random() < 0.12:
                target = "prod" if target == "dev" else "dev"
            if attempt > 1 and not self.plot and self.rng.random() < 0.45:
                self.project.edit(self.rng)
            self._attempt(attempt, target)
            if self.plot == "reverted" and at < 2:
                self.project.rewrite()
            is_over = self.plot == "made anew" and at == 0
            if is_over or (self.is_made_anew and self.rng.random() < 0.2):
                self.dag_run = DagRun()
                self.story.append("the DAG run is deleted and made anew")
            self.now += timedelta(seconds=self.rng.randint(20, 600))

    def _attempt(self, attempt: int, target: str) -> None:
        began = self.now
        code: int | None = None
        # A worker that dies before the relay starts leaves no trace but Airflow's.
        if self.is_alone or self.rng.random() < self._starts():
            code = self._relay(attempt, target)
        else:
            self.story.append(f"attempt {attempt} never starts")
        self.now += timedelta(seconds=self.rng.randint(10, 300))
        self.dag_run.tries.append(Attempt(attempt, began, self.now))
        if code == 0:
            self.tally.green += 1
            self.tally.green_and_carried += self.has_carried
            self._check(attempt, target)

    def _starts(self) -> float:
        return 0.3 if self.plot == "made anew" and self.at == 1 else 0.88

    def _check(self, attempt: int, target: str) -> None:
        for node in self.project.in_order():
            if not (node.is_daily or (node.is_test and self._is_daily(node))):
                continue
            built = self.warehouse.get((target, node.name))
            assert built is not None, self._told(f"{node.name} was never built in {target}")
            assert built.by is self.dag_run, self._told(f"{node.name} is another DAG run's")
            content = self.project.content(node.name)
            assert built.content == content, self._told(f"{node.name} is of other code")

    def _is_daily(self, test: Node) -> bool:
        return any(self.project.nodes[p].is_daily for p in test.parents)

    def _told(self, what: str) -> str:
        return "\n".join([f"green, yet {what}", f"Airflow: {self.answers}", *self.story])

    def _relay(self, attempt: int, target: str) -> int | None:
        """One attempt; dbt's exit code, None if it was killed."""
        host = self.rng.randrange(self.hosts) if self.plot != "reverted" else self.at % self.hosts
        state = self.place / f"state-{host}"
        if not self.keeps_journal:
            self._pods += 1
            state = self.place / f"pod-{self._pods}"
        environ = {"PATH": "/bin", "HOME": str(self.place), "DBT_TARGET": target,
                   "AIRFLOW_CTX_TRY_NUMBER": str(attempt)}  # fmt: skip
        call = StandIn(
            self.project, self.warehouse, environ, self.place / f"target-{host}", self.dag_run,
            self.rng,
        )  # fmt: skip
        prepared = prepare(self.command, environ, is_terminal=False, cwd=self.place)
        info = RunInfo(
            command=self.command, started_at=self.now.isoformat(), target_dir=str(call.target_dir),
            task=TASK, attempt=attempt,
            airflow_url=None if self.answers == "no address" else URL,
            project_dir=os.path.realpath(self.place),
            environment=environment_digests(self.command, prepared, environ, self.place),
        )  # fmt: skip
        with Journal(state) as journal:
            self._others(journal, info)
            return self._run(journal, info, call)

    def _run(self, journal: Journal, info: RunInfo, call: StandIn) -> int | None:
        resumption = this_attempt.resumption_of(
            self.command,
            journal,
            info,
            lasting_airflow=SETTINGS if self.has_xcom else None,
            known_airflow=None if self.answers in UNASKED else SETTINGS,
            signals=self._ls(call),
        )
        self._count(info, resumption)
        run = journal.begin(info)
        put: list[Record] = []

        def publish(record: Record) -> None:
            run.put(record, 0.0)
            put.append(record)

        def publish_all(records: Sequence[Record]) -> None:
            for record in records:
                publish(record)

        started = RunRecord(
            state="running",
            command=shlex.join(self.command),
            started_at=info.started_at,
            attempt=info.attempt,
            environment=dict(info.environment or {}),
        )
        publish(started)
        publish_all(resumption.carried)
        relay = Pipeline(
            Console(io.BytesIO()), publish_all, recall=run.record, secrets=Secrets([]),
            target_dir=call.target_dir, attempt=info.attempt,
        )  # fmt: skip
        end = self.rng.choice(["well", "well", "well", "relay killed", "dbt killed"])
        lines = call.run(resumption.command, lambda _: self.rng.random() < self.flaky)
        last = self.rng.randint(0, 20)
        for at, line in enumerate(lines):
            if end != "well" and at == last:
                break
            relay.feed(line)
        else:
            end = "well"
        self.story.append(f"  {end}")
        if end != "relay killed":
            code = call.code if end == "well" else None
            if code == 0 and self.rng.random() < 0.05:
                code = 1  # a hook failed
            relay.end(Exit(code=code) if code is not None else Exit(signal=9))
            last_call = relay.run.invocations[-1].id if relay.run.invocations else None
            state = "finished" if code is not None else "died"
            ended = replace(started, state=state, exit_code=code, sequence=2)
            publish(replace(ended, invocation_id=last_call))
            self._deliver(put, is_whole=self.rng.random() < 0.9)
            return code
        self._deliver(put, is_whole=False)
        return None

    def _deliver(self, put: list[Record], is_whole: bool) -> None:
        most = 0 if self.plot == "reverted" and self.at == 1 else len(put)
        for record in put[: most if is_whole else self.rng.randint(0, most)]:
            self.dag_run.xcoms[record.key] = record

    def _others(self, journal: Journal, info: RunInfo) -> None:
        """Runs of others in the same journal, who had built a part of it, somewhere else."""
        kinds = {
            "another command": {"command": ("dbt", "build")},
            "run --renew": {"renews": True, "command": self.command},
            "another project": {"project_dir": "/else"},
            "another place": {"environment": {**(info.environment or {}), "files": "other"}},
            "an older relay": {"environment": None, "airflow_url": None},
        }
        if self.answers != "no address":
            kinds["another Airflow"] = {"airflow_url": "http://staging"}
        if self.answers == "tries":
            kinds["before it was made anew"] = {
                "started_at": (self.now - timedelta(days=9)).isoformat()
            }
        attempt, began_at = info.attempt or 1, info.started_at
        if self.dag_run.tries and self.rng.random() < 0.6:
            attempt, began_at = attempt - 1, self.dag_run.tries[-1].began_at.isoformat()
        for kind, other in kinds.items():
            if self.rng.random() < 0.08:
                self.story.append(f"  {kind}: an attempt {attempt}")
                known = replace(info, attempt=attempt, started_at=began_at)
                run = journal.begin(replace(known, **other))
                for record in self._part_of_it(attempt, kind):
                    run.put(record, 0.0)
                run.close()

        if self.has_xcom and attempt < (info.attempt or 1) and self.rng.random() < 0.15:
            self.story.append(f"  run --renew: attempt {attempt} in XCom")
            for record in self._part_of_it(attempt, "run --renew"):
                self.dag_run.xcoms[record.key] = replace(record, renewed=True)

    def _part_of_it(self, attempt: int, by: str) -> list[NodeRecord]:
        return [
            NodeRecord(
                unique_id=n.unique_id, status="success", outcome="success", attempt=attempt,
                checksum=n.checksum or None, invocation_id=by,
            )
            for n in self.project.nodes.values()
            if self.rng.random() < 0.6
        ]  # fmt: skip

    def _count(self, info: RunInfo, resumption: Any) -> None:
        remark = resumption.remark or ""
        self.story.append(f"attempt {info.attempt}: {shlex.join(resumption.command)}: {remark}")
        tally = self.tally
        tally.attempts += 1
        self.has_carried = bool(resumption.carried)
        tally.carried += self.has_carried
        tally.retried += "retry" in resumption.command
        tally.by_name += "selected by name" in remark
        tally.from_xcom += bool(resumption.carried) and not self.keeps_journal
        word = " ".join(remark.split(":")[-1].split()[:6])
        tally.remarks[word] = tally.remarks.get(word, 0) + 1

    def _ls(self, call: StandIn) -> Any:
        """Takes the place of the signals, for `run_ls` below."""

        def ls(argv: tuple[str, ...]) -> LsOutput:
            if self.rng.random() < 0.03:
                return LsOutput("", "it exited with code 2")
            return LsOutput(call.ls(argv))

        return ls

    def read_attempts(self, _: AirflowSettings) -> list[Attempt] | Retry | Hold:
        if self.answers == "silence":
            return Retry("no answer")
        now = Attempt(len(self.dag_run.tries) + 1, self.now, None)
        return [*self.dag_run.tries, now]

    def read_records(self, _: AirflowSettings) -> Mapping[str, Record]:
        return dict(self.dag_run.xcoms)


def run_ls(argv: tuple[str, ...], _: Any, ls: Any) -> LsOutput:
    return ls(argv)
