"""Runs and jobs as OpenLineage names them: their ids, and the run that has started this one."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from ...records.values import is_object, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...records.task import TaskInstance


def dbt_run_id(invocation_id: str | None, started_at: str) -> str:
    """The run id of an invocation of dbt: its `invocation_id`, which is a UUID.

    A dbt that died before its first event has none; the start of the run then stands for it.
    """
    try:
        return str(uuid.UUID(invocation_id or ""))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"dbt-relay:{invocation_id or started_at}"))


def node_run_id(dbt_run: str, unique_id: str) -> str:
    """The run id of a node of this run of dbt, the same each time.

    Each attempt of a task has a run of dbt of its own.
    """
    return str(uuid.uuid5(uuid.UUID(dbt_run), unique_id))


@dataclass(frozen=True, slots=True)
class NamedRun:
    """A run and its job, as other programs know them."""

    namespace: str
    job: str
    run_id: str

    @classmethod
    def of(cls, text_: str | None) -> NamedRun | None:
        """The run in a text `NAMESPACE/JOB/RUN_ID`. A namespace may contain slashes."""
        namespace, job, run_id = ["", "", "", *(text_ or "").rsplit("/", 2)][-3:]
        return cls(namespace, job, run_id) if namespace and job and _is_uuid(run_id) else None


@dataclass(frozen=True, slots=True)
class Caller:
    """The run that has started dbt, and the `root` of the hierarchy above it."""

    run: NamedRun
    root: NamedRun

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, value: Any) -> Caller | None:
        """The caller that `to_json` wrote; None for None."""
        if not is_object(value):
            return None
        return cls(NamedRun(**value["run"]), NamedRun(**value["root"]))


def caller_of(
    environ: Mapping[str, str], task: TaskInstance | None, attempt: int | None
) -> Caller | None:
    """The run that has started this process: named by a variable, or the `task` of Airflow.

    `OPENLINEAGE_CONTEXT` and `OPENLINEAGE_PARENT_ID` are the conventions of OpenLineage's own
    integrations. None if nothing names a run. ValueError for a variable that names no run.
    """
    if context := environ.get("OPENLINEAGE_CONTEXT"):
        return _of_context(context)
    if parent := environ.get("OPENLINEAGE_PARENT_ID"):
        run = NamedRun.of(parent)
        if run is None:
            raise ValueError(f"OPENLINEAGE_PARENT_ID is {parent!r}, not NAMESPACE/JOB/RUN_ID")
        return Caller(run, NamedRun.of(environ.get("OPENLINEAGE_ROOT_PARENT_ID")) or run)
    run = _airflow_task(environ, task, attempt) if task is not None and attempt else None
    return Caller(run, run) if run is not None else None


def job_namespace(environ: Mapping[str, str]) -> str:
    """The namespace of dbt's jobs: Airflow's own if it is known, else the one of `dbt-ol`."""
    return _namespace(environ) or "dbt"


def _namespace(environ: Mapping[str, str]) -> str | None:
    """The namespace of Airflow's own events, as far as variables say it."""
    return environ.get("AIRFLOW__OPENLINEAGE__NAMESPACE") or environ.get("OPENLINEAGE_NAMESPACE")


def task_run_id(instant: datetime, name: str) -> str:
    """The run id that Airflow's provider gives a task: `generate_static_uuid` of the client.

    `instant` is the logical date. `name` is `NAMESPACE.DAG_ID.TASK_ID.TRY_NUMBER.MAP_INDEX`.
    """
    utc = instant.astimezone(timezone.utc)
    digest = int(sha1(utc.isoformat().encode() + name.encode()).hexdigest(), 16)  # noqa: S324
    number = (int(utc.timestamp() * 1000) & 0xFFFF_FFFF_FFFF) << 80 | digest >> 84
    number = number & ~(0xF000 << 64) | 7 << 76
    return str(uuid.UUID(int=number & ~(0xC000 << 48) | 0x8000 << 48))


def _airflow_task(environ: Mapping[str, str], task: TaskInstance, attempt: int) -> NamedRun | None:
    """The run of a task. Without a logical date, as in a manual run, its id is unknown."""
    try:
        instant = datetime.fromisoformat(
            environ.get("AIRFLOW_CTX_LOGICAL_DATE", "").replace("Z", "+00:00")
        )
    except ValueError:
        return None
    if instant.tzinfo is None:
        return None
    namespace = _namespace(environ) or "default"
    name = f"{namespace}.{task.dag_id}.{task.task_id}.{attempt}.{task.map_index}"
    return NamedRun(namespace, f"{task.dag_id}.{task.task_id}", task_run_id(instant, name))


def _of_context(context: str) -> Caller:
    try:
        parent = json.loads(context)["parent"]
        run = _of_object(parent)
        root = parent.get("root")
        return Caller(run, _of_object(root) if root else run)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("OPENLINEAGE_CONTEXT names no parent with run and job") from error


def _of_object(value: Any) -> NamedRun:
    namespace, job = text(value["job"]["namespace"]), text(value["job"]["name"])
    run_id = value["run"]["runId"]
    if namespace is None or job is None or not _is_uuid(run_id):
        raise ValueError
    return NamedRun(namespace, job, run_id)


def _is_uuid(value: Any) -> bool:
    try:
        uuid.UUID(value)
    except (ValueError, TypeError, AttributeError):
        return False
    return True
