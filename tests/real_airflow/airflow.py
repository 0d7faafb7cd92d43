"""What the tests ask of a running Airflow: trigger, wait, read XComs, audit and task logs."""

from __future__ import annotations

import json
import re
import subprocess
import time
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from dbt_relay.records.xcom import xcom_value

from .api import Answer, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .server import Server

_READ = re.compile(r"(?m)^(\S+) .*request finished.* method=GET path=/execution(\S+)")
_CALL = re.compile(r"(?m)^.*request finished.* method=(\S+) path=/execution(\S+) .*status_code=2")
_MISSED = re.compile(r"(?m)^(\S+) .*XCom not found .* key=(\S+) .*\brun_id=(\S+)")
_BEGUN = re.compile(r"(?m)^trigger .* starting$")
_ENDED = "trigger completed"
NOW = "now"
DONE = frozenset({"success", "failed"})


class Write(NamedTuple):
    """One mutating XCom call, as Airflow's audit log has it."""

    event: str
    key: str
    user: str


class Airflow:
    """Talks to one Server. Run ids are ours, so that a trigger can be repeated safely."""

    def __init__(self, server: Server, project: Path, flaky_project: Path) -> None:
        self.server = server
        self.project = project
        self.flaky_project = flaky_project
        self.api = server.api

    def relay(self, *words: str, user: str = "user") -> subprocess.CompletedProcess[str]:
        """`dbt-relay WORDS` outside of any task, as a person types it who has this user's login."""
        login = {
            "DBT_RELAY_AIRFLOW_USERNAME": user,
            "DBT_RELAY_AIRFLOW_PASSWORD": self.server.passwords[user],
        }
        return subprocess.run(
            ["dbt-relay", *words],
            env={**self.server.environ, **login, "HOME": str(self.server.home)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    # Runs ----------------------------------------------------------------------------------

    def wait_for_dag(self, dag_id: str, within: float = 60.0) -> None:
        """Until the DAG processor has parsed `dag_id` and the scheduler may run it."""
        self._poll(
            lambda: self.api.call("GET", path_of("dags", dag_id)).status == 200,
            f"DAG {dag_id} to be parsed",
            within,
        )

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, object] | None = None,
        run_id: str | None = None,
        *,
        logical_date: str | None = NOW,
    ) -> str:
        """Start a DAG run, with a logical date as a scheduled run has one; its run id."""
        if logical_date == NOW:
            logical_date = datetime.now(timezone.utc).isoformat()
        run_id = run_id or f"test__{uuid.uuid4().hex[:12]}"
        body = {"dag_run_id": run_id, "logical_date": logical_date, "conf": dict(conf or {})}
        self._write("POST", path_of("dags", dag_id, "dagRuns"), body)
        return run_id

    def delete(self, dag_id: str, run_id: str) -> None:
        """As the button in the UI: a DAG run of the same id may follow."""
        self._write("DELETE", path_of("dags", dag_id, "dagRuns", run_id))

    def wait(self, dag_id: str, run_id: str, within: float = 120.0) -> str:
        """The DAG run's final state, `success` or `failed`."""
        path = path_of("dags", dag_id, "dagRuns", run_id)
        state = ""

        def ended() -> bool:
            nonlocal state
            state = self.api.call("GET", path).body["state"]
            return state in DONE

        self._poll(ended, f"run {run_id} of {dag_id} to end (task log below)", within)
        return state

    def run(self, dag_id: str, conf: Mapping[str, object] | None = None) -> tuple[str, str]:
        """Trigger and wait: the run id and the final state."""
        run_id = self.trigger(dag_id, conf)
        return run_id, self.wait(dag_id, run_id)

    # Task instances and XComs ------------------------------------------------------------------

    def ti(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        map_index: int = -1,
        attempt: int | None = None,
    ) -> dict[str, Any]:
        """A task instance, as it is or as one of its tries was."""
        parts = ["dags", dag_id, "dagRuns", run_id, "taskInstances", task_id]
        parts += [map_index] if map_index >= 0 else []
        parts += ["tries", attempt] if attempt is not None else []
        answer = self.api.call("GET", path_of(*parts))
        assert answer.status == 200, answer
        return answer.body

    def dag_run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        answer = self.api.call("GET", path_of("dags", dag_id, "dagRuns", run_id))
        assert answer.status == 200, answer
        return answer.body

    def tis(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of a DAG run."""
        path = path_of("dags", dag_id, "dagRuns", run_id, "taskInstances") + "?limit=100"
        answer = self.api.call("GET", path)
        assert answer.status == 200, answer
        return answer.body["task_instances"]

    def clear(self, dag_id: str, run_id: str, *task_ids: str, downstream: bool) -> set[str]:
        """As the button in the UI; the task ids that this clears."""
        body = {
            "dag_run_id": run_id,
            "task_ids": [*task_ids],
            "include_downstream": downstream,
            "only_failed": False,
            "dry_run": False,
        }
        answer = self.api.call("POST", path_of("dags", dag_id, "clearTaskInstances"), body)
        assert answer.status == 200, answer
        return {ti["task_id"] for ti in answer.body["task_instances"]}

    def wait_for_state(
        self, dag_id: str, run_id: str, task_id: str, state: str, within: float = 90.0
    ) -> None:
        self._poll(
            lambda: self.ti(dag_id, run_id, task_id)["state"] == state,
            f"{dag_id}.{task_id} to be {state}",
            within,
        )

    def mark_failed(self, dag_id: str, run_id: str, task_id: str) -> None:
        """As the button in the UI; Airflow ends the task at its next heartbeat."""
        path = path_of("dags", dag_id, "dagRuns", run_id, "taskInstances", task_id)
        self._write("PATCH", path, {"new_state": "failed"})

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str, map_index: int = -1) -> Any:
        """The value as its writer sent it; KeyError where there is none."""
        path = self._xcoms(dag_id, run_id, task_id, key) + f"?map_index={map_index}"
        answer = self.api.call("GET", path)
        if answer.status == 404:
            raise KeyError(key)
        assert answer.status == 200, answer
        value = answer.body["value"]
        # Of a command, this is a text also where it is JSON.
        return value if key == "return_value" else xcom_value(value)

    def xcom_keys(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> set[str]:
        path = self._xcoms(dag_id, run_id, task_id) + f"?limit=100&map_index={map_index}"
        answer = self.api.call("GET", path)
        assert answer.status == 200, answer
        entries = answer.body["xcom_entries"]
        assert answer.body["total_entries"] == len(entries), "more XComs than one page holds"
        return {entry["key"] for entry in entries}

    def xcoms(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1
    ) -> dict[str, dict[str, Any]]:
        """Every XCom of one task instance but `return_value` and links."""
        keys = self.xcom_keys(dag_id, run_id, task_id, map_index) - {"return_value"}
        keys = {key for key in keys if not key.startswith("_link_")}
        return {key: self.xcom(dag_id, run_id, task_id, key, map_index) for key in keys}

    def links(self, dag_id: str, run_id: str, task_id: str) -> dict[str, str | None]:
        """The buttons that lead from a task instance elsewhere, by name."""
        parts = ("dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, "links")
        answer = self.api.call("GET", path_of(*parts))
        assert answer.status == 200, answer
        return answer.body["extra_links"]

    def asset_events(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """The `extra` of the asset events of a DAG run, by the name of the asset."""
        query = f"?source_dag_id={dag_id}&source_run_id={run_id}&limit=100"
        answer = self.api.call("GET", path_of("assets", "events") + query)
        assert answer.status == 200, answer
        return {event["name"]: event["extra"] for event in answer.body["asset_events"]}

    @staticmethod
    def _xcoms(dag_id: str, run_id: str, task_id: str, *key: str) -> str:
        parts = ("dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, "xcomEntries", *key)
        return path_of(*parts)

    # Logs --------------------------------------------------------------------------------------

    def audit(self, dag_id: str, run_id: str) -> list[Write]:
        """The XCom writes that came over REST, oldest first, refused ones included."""
        entries: list[dict[str, Any]] = []
        query = f"?dag_id={dag_id}&run_id={quote(run_id, safe='')}&order_by=id&limit=100"
        while True:
            path = path_of("eventLogs") + f"{query}&offset={len(entries)}"
            answer = self.api.call("GET", path)
            assert answer.status == 200, answer
            entries += answer.body["event_logs"]
            if len(entries) >= answer.body["total_entries"]:
                break
        writes = [entry for entry in entries if entry["event"].endswith("_xcom_entry")]
        # An update's body has no key: there it is in the path, which the log keeps as `xcom_key`.
        extras = (json.loads(entry["extra"]) for entry in writes)
        keys = (extra.get("key") or extra.get("xcom_key") for extra in extras)
        return [Write(w["event"], key, w["owner"]) for w, key in zip(writes, keys, strict=True)]

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, attempt: int = 1, map_index: int = -1
    ) -> str:
        """What the task's log holds so far, one event a line; empty before the task began."""
        folder = self.server.task_logs / f"dag_id={dag_id}" / f"run_id={run_id}"
        folder /= f"task_id={task_id}"
        if map_index >= 0:
            folder /= f"map_index={map_index}"
        try:
            lines = (folder / f"attempt={attempt}.log").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(_event_of(line) for line in lines)

    def whole_log(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """All that the log of a task's newest try shows: of its worker, of its trigger, and the
        texts of exceptions.

        A triggerer writes the last lines of a trigger after the task has its state. It never writes
        them if it was ended meanwhile.
        """
        deadline = time.monotonic() + 20.0
        while True:
            log = self._whole_log(dag_id, run_id, task_id, map_index)
            if len(_BEGUN.findall(log)) <= log.count(_ENDED) or time.monotonic() > deadline:
                return log
            time.sleep(0.25)

    def _whole_log(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
        attempt = self.ti(dag_id, run_id, task_id, map_index)["try_number"]
        parts = ["dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, "logs", attempt]
        path = path_of(*parts) + f"?full_content=true&map_index={map_index}"
        answer = self.api.call("GET", path)
        assert answer.status == 200, answer
        return "\n".join(
            "\n".join([e["event"], *(d["exc_value"] for d in e.get("error_detail") or [])])
            for e in answer.body["content"]
        )

    def reads(self, run_id: str, key: str, since: str = "") -> list[str]:
        """When tasks of a run have asked for an XCom, and when their triggers did in vain.

        Triggers read within the triggerer, which logs only what is not there.
        """
        by_tasks = (
            at
            for at, path in _READ.findall(self.server.log("api-execution"))
            if f"/{run_id}/" in path and path.endswith(f"/{key}")
        )
        by_triggers = (
            at
            for at, missing, run in _MISSED.findall(self.server.log("triggerer"))
            if (missing, run) == (key, run_id)
        )
        return sorted(at for at in (*by_tasks, *by_triggers) if at > since)

    def calls(self, dag_id: str, run_id: str, task_id: str) -> list[str]:
        """The calls of a task's worker that the API server has answered, as `METHOD /path`."""
        own = (self.ti(dag_id, run_id, task_id)["id"], f"/{dag_id}/{run_id}/{task_id}")
        found = _CALL.findall(self.server.log("api-execution"))
        return [f"{method} {path}" for method, path in found if any(o in path for o in own)]

    def output(self, dag_id: str, run_id: str, task_id: str) -> str:
        """What a BashOperator's command itself printed, without its command line."""
        log = self.task_log(dag_id, run_id, task_id)
        _, start, output = log.partition("\nOutput:\n")
        output, end, _ = output.partition("\nCommand exited with return code")
        assert start, log
        assert end, log
        return output

    def wait_for_log(
        self, dag_id: str, run_id: str, task_id: str, text: str, within: float = 60.0
    ) -> None:
        self._poll(
            lambda: text in self.task_log(dag_id, run_id, task_id),
            f"{text!r} in the log of {dag_id}.{task_id}",
            within,
        )

    def report(self) -> str:
        """For a person whose test failed: the last task logs, then the processes' own logs."""
        paths = sorted(
            self.server.task_logs.rglob("attempt=*.log"), key=lambda p: p.stat().st_mtime
        )
        tails: list[str] = []
        for path in paths[-2:]:
            lines = path.read_text(errors="replace").splitlines()[-60:]
            tails.append("\n".join([f"--- {path}", *map(_event_of, lines)]))
        return "\n".join([*tails, self.server.log_tails(1500)])

    # Plumbing ----------------------------------------------------------------------------------

    def _write(self, method: str, path: str, body: object = None) -> None:
        """A call that must be accepted.

        SQLite answers 500 while another process holds its lock for 5 s: repeated then, and a 409
        says that the first had arrived after all.
        """
        answer: Answer | None = None
        for _ in range(4):
            answer = self.api.call(method, path, body)
            if answer.status != 500:
                break
        assert answer is not None
        assert answer.status in {200, 204, 409}, answer

    def _poll(self, ready: Any, what: str, within: float) -> None:
        deadline = time.monotonic() + within
        while not ready():
            if time.monotonic() > deadline:
                msg = f"waited {within:.0f} s for {what}"
                raise TimeoutError(msg)
            time.sleep(0.25)


def _event_of(line: str) -> str:
    """The text of one line of a task log, which Airflow 3 writes as JSON objects."""
    try:
        return str(json.loads(line)["event"])
    except (ValueError, KeyError, TypeError):
        return line
