from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.projects import Project, put_run

from dbt_relay.cli.reports.picture import picture
from dbt_relay.sinks import Journal
from dbt_relay.sinks.journal import history

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dbt_relay.cli.reports.picture import Picture
    from dbt_relay.records.schema import NodeRecord


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[..., Picture]:
    """Puts runs into a journal, one list of records a run, and draws the last one."""

    def draw(*runs: list[NodeRecord], project: Project | None = None) -> Picture:
        if project is not None:
            project.write_manifest(tmp_path / "target")
        numbers = [put_run(tmp_path, records, tmp_path / "target") for records in runs]
        with Journal(tmp_path) as journal:
            return picture(journal, history.past_run(journal, numbers[-1]))

    return draw
