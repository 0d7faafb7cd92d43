"""Records as XComs of an Airflow task: one XCom for each record, which is the record's JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...records.schema import RunRecord
from ..sink import Delivered, Verdict
from .note import TaskNote
from .payload import key_of, xcom_value
from .staleness import refuse_older
from .writer import XComWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...records.schema import Record
    from .api.settings import AirflowSettings


class AirflowSink:
    """Sends the records to the XComs of one task.

    `warn` is told once what a person should know about this Airflow. `note` writes the note of the
    task that runs dbt.
    """

    name = "airflow"
    most_workers = 16

    def __init__(self, settings: AirflowSettings, warn: Callable[[str], object] = print) -> None:
        self.address = {**settings.address, "wire": "relay"}
        self.writer = XComWriter(settings, warn)
        self.note = TaskNote(self.writer, settings)
        self._to = settings
        lies_elsewhere = settings.xcom_task != settings.task.task_id
        own = replace(settings, xcom_task_id=None) if lies_elsewhere else None
        self._writer_at_dbt_task = XComWriter(own) if own is not None else None
        """Writes the run's record to the task that runs dbt, too, if the XComs lie elsewhere.
        Airflow deletes it there at the next try: so it tells a waiting task which try is at work.
        """

    def send(self, record: Record) -> Verdict:
        if isinstance(record, RunRecord):
            if self._to.renews:
                return Delivered()
            if self._writer_at_dbt_task is not None:
                verdict = self._write(self._writer_at_dbt_task, record)
                if not isinstance(verdict, Delivered):
                    return verdict
        return self._write(self.writer, record)

    def close(self) -> None:
        self.writer.close()
        if self._writer_at_dbt_task is not None:
            self._writer_at_dbt_task.close()

    def _write(self, writer: XComWriter, record: Record) -> Verdict:
        key = key_of(record, self._to.key_prefix)
        value = xcom_value(record.to_json(), self._to.max_message_bytes)
        return writer.write(record, key, value, lambda there: refuse_older(record, there))
