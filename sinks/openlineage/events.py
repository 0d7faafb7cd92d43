"""The run events that one record becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attr
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState, set_producer
from openlineage.client.facet_v2 import (
    JobFacet,
    RunFacet,
    error_message_run,
    external_query_run,
    job_type_job,
    parent_run,
    processing_engine_run,
    sql_job,
    tags_run,
)

from ... import __version__
from ...records.dbt_version import is_v2
from ...records.values import is_array, is_object, text
from .datasets import Datasets, known_to
from .runs import Caller, NamedRun, dbt_run_id, node_run_id

if TYPE_CHECKING:
    from ...records.schema import NodeRecord, RunRecord
    from ...records.values import JsonObject
    from ..artifacts import Artifacts
    from .setting import Setting

PRODUCER: Final = f"https://github.com/dbt-relay/dbt-relay/tree/v{__version__}"
set_producer(PRODUCER)
_DBT_FACETS: Final = (
    "https://github.com/OpenLineage/OpenLineage/tree/main/integration/common/openlineage/schema/"
)
_STATES: Final = {
    "success": RunState.COMPLETE,
    "warning": RunState.COMPLETE,
    "failure": RunState.FAIL,
    "interrupted": RunState.ABORT,
}
"""A skipped node ran nothing, so it has no run."""


@attr.define
class DbtVersionRunFacet(RunFacet):
    """`dbt_version`, as OpenLineage's own integration for dbt sends it."""

    version: str

    @staticmethod
    def _get_schema() -> str:
        return f"{_DBT_FACETS}dbt-version-run-facet.json"


@attr.define
class DbtRunRunFacet(RunFacet):
    """`dbt_run`, as OpenLineage's own integration for dbt sends it."""

    invocation_id: str
    project_name: str | None = None
    dbt_runtime: str | None = None

    @staticmethod
    def _get_schema() -> str:
        return f"{_DBT_FACETS}dbt-run-run-facet.json"


@attr.define
class DbtNodeJobFacet(JobFacet):
    """`dbt_node`, as OpenLineage's own integration for dbt sends it."""

    unique_id: str
    original_file_path: str | None = None
    database: str | None = None
    schema: str | None = None
    alias: str | None = None

    @staticmethod
    def _get_schema() -> str:
        return f"{_DBT_FACETS}dbt-node-job-facet.json"


class Events:
    """Makes the events of one run of the relay. The same record makes the same events.

    `started_at` is when the run started, in the form of records.
    """

    def __init__(self, setting: Setting, artifacts: Artifacts, started_at: str) -> None:
        self._setting = setting
        self._artifacts = artifacts
        self._started_at = started_at
        self._datasets = Datasets(setting, artifacts)

    def knows(self, record: NodeRecord) -> bool:
        """Whether dbt's manifest of this invocation is there, and has the node."""
        return self._artifacts.node(record.invocation_id, record.unique_id) is not None

    def of_node(self, record: NodeRecord) -> list[RunEvent]:
        """Start and end of a node. Empty for a node that was skipped, or has no time at all."""
        state = _STATES.get(record.outcome)
        began_at = record.started_at or record.finished_at or record.invocation_started_at
        if state is None or began_at is None:
            return []
        node = self._artifacts.node(record.invocation_id, record.unique_id)
        job = Job(
            namespace=self._setting.namespace,
            name=record.unique_id,
            facets=self._job_facets(record, node),
        )
        return [
            self._event(record, node, job, RunState.START, began_at),
            self._event(record, node, job, state, record.finished_at or began_at),
        ]

    def start_of_run(self, invocation_id: str | None, version: str | None) -> RunEvent:
        """The start of an invocation of dbt, which is the parent of its nodes."""
        return self._run_event(invocation_id, RunState.START, self._started_at, version)

    def end_of_run(
        self,
        invocation_id: str | None,
        record: RunRecord,
        *,
        has_failed: bool,
    ) -> RunEvent:
        """The end of an invocation of dbt; `record` is the record of the whole run."""
        state = (
            RunState.ABORT
            if record.state == "died"
            else RunState.FAIL
            if has_failed
            else RunState.COMPLETE
        )
        return self._run_event(
            invocation_id,
            state,
            record.finished_at or self._started_at,
            record.dbt_version,
            (record.failure or "a node failed") if has_failed else None,
        )

    def _run_event(
        self,
        invocation_id: str | None,
        state: RunState,
        at: str,
        version: str | None,
        message: str | None = None,
    ) -> RunEvent:
        facets = self._engine_facets(invocation_id, version)
        caller = self._setting.caller
        if caller is not None:
            facets["parent"] = _parent(caller.run, caller.root)
        if message is not None:
            facets["errorMessage"] = _error(message, "python")
        return RunEvent(
            eventType=state,
            eventTime=at,
            run=Run(runId=dbt_run_id(invocation_id, self._started_at), facets=facets),
            job=Job(
                namespace=self._setting.namespace,
                name=self._setting.job,
                facets={"jobType": _job_type("JOB")},
            ),
            inputs=[],
            outputs=[],
            producer=PRODUCER,
        )

    def _event(
        self, record: NodeRecord, node: JsonObject | None, job: Job, state: RunState, at: str
    ) -> RunEvent:
        has_result = state is not RunState.START
        facets = self._engine_facets(record.invocation_id, record.dbt_version)
        dbt_run = dbt_run_id(record.invocation_id, self._started_at)
        facets["parent"] = self._parent(dbt_run)
        if has_result and state is not RunState.COMPLETE:
            facets["errorMessage"] = _error(record.explanation or record.status, "sql")
        if (query := _query_id(record)) is not None and self._setting.datasets is not None:
            facets["externalQuery"] = external_query_run.ExternalQueryRunFacet(
                externalQueryId=query, source=self._setting.datasets
            )
        if tags := _tags(node):
            facets["tags"] = tags
        datasets = self._datasets
        return RunEvent(
            eventType=state,
            eventTime=at,
            run=Run(runId=node_run_id(dbt_run, record.unique_id), facets=facets),
            job=job,
            inputs=datasets.inputs(record, node, has_result=has_result) if node else [],
            outputs=datasets.outputs(record, node, has_result=has_result),
            producer=PRODUCER,
        )

    def _parent(self, dbt_run: str) -> parent_run.ParentRunFacet:
        own = NamedRun(self._setting.namespace, self._setting.job, dbt_run)
        caller = self._setting.caller or Caller(own, own)
        return _parent(own, caller.root)

    def _job_facets(self, record: NodeRecord, node: JsonObject | None) -> dict[str, JobFacet]:
        about = node or {}
        kind = record.resource_type or record.unique_id.partition(".")[0]
        facets: dict[str, JobFacet] = {
            "jobType": _job_type(kind.upper()),
            "dbt_node": DbtNodeJobFacet(
                unique_id=record.unique_id,
                original_file_path=text(about.get("original_file_path")) or record.path,
                database=text(about.get("database")),
                schema=text(about.get("schema")),
                alias=text(about.get("alias")),
            ),
        }
        sql = self._artifacts.sql(record, node) if node is not None else None
        if sql is not None:
            facets["sql"] = _sql(sql, self._setting.adapter)
        return facets

    def _engine_facets(self, invocation_id: str | None, version: str | None) -> dict[str, RunFacet]:
        facets: dict[str, RunFacet] = {}
        if version is not None:
            facets["dbt_version"] = DbtVersionRunFacet(version=version)
            facets["processing_engine"] = processing_engine_run.ProcessingEngineRunFacet(
                name="dbt", version=version, openlineageAdapterVersion=__version__
            )
        if invocation_id is not None:
            facets["dbt_run"] = DbtRunRunFacet(
                invocation_id=invocation_id,
                project_name=self._setting.project,
                dbt_runtime="fusion" if is_v2(version) else "core",
            )
        return facets


def _parent(run: NamedRun, root: NamedRun) -> parent_run.ParentRunFacet:
    return parent_run.ParentRunFacet(
        run=parent_run.Run(runId=run.run_id),
        job=parent_run.Job(namespace=run.namespace, name=run.job),
        root=parent_run.Root(
            run=parent_run.RootRun(runId=root.run_id),
            job=parent_run.RootJob(namespace=root.namespace, name=root.job),
        ),
    )


def _job_type(kind: str) -> job_type_job.JobTypeJobFacet:
    return job_type_job.JobTypeJobFacet(processingType="BATCH", integration="DBT", jobType=kind)


def _error(message: str, language: str) -> error_message_run.ErrorMessageRunFacet:
    return error_message_run.ErrorMessageRunFacet(message=message, programmingLanguage=language)


def _sql(query: str, dialect: str | None) -> sql_job.SQLJobFacet:
    return sql_job.SQLJobFacet(query=query, **known_to(sql_job.SQLJobFacet, dialect=dialect))


def _query_id(record: NodeRecord) -> str | None:
    """The warehouse's id of the query; BigQuery's with its project and location."""
    told = record.adapter_response or {}
    job = text(told.get("job_id"))
    if job is not None:
        project, location = text(told.get("project_id")), text(told.get("location"))
        return f"{project}:{location}.{job}" if project and location else job
    found = text(told.get("query_id"))
    # Databricks says `N/A` where it has none.
    return None if found is None or found.lower() == "n/a" else found


def _tags(node: JsonObject | None) -> tags_run.TagsRunFacet | None:
    tags: Any = node.get("tags") if is_object(node) else None
    if not is_array(tags):
        return None
    fields = [
        tags_run.TagsRunFacetFields(key=tag, value="true", source="DBT")
        for tag in tags
        if isinstance(tag, str) and tag
    ]
    return tags_run.TagsRunFacet(tags=fields) if fields else None
