"""Whatever has happened before, a resumed task that is green has built all that it selects.

1,000 random histories: attempts, clears, DAG runs that are deleted and made anew, a project that
people work on, other targets, kills at any line, hosts and pods, other runs in the same journal.
They go through the real code, from the journal to the records; dbt and Airflow are stand-ins.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.journal_disk import FAST

from .world import Tally, World, run_ls

if TYPE_CHECKING:
    from collections.abc import Iterator

HISTORIES = 1000
PARTS = 4


@pytest.fixture
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        yield Path(folder)


def live(seed: int, scratch: Path, patch: pytest.MonkeyPatch, tally: Tally) -> None:
    place = scratch / str(seed)
    place.mkdir()
    (place / "dbt_project.yml").write_text("name: shop\n")
    (place / "profiles.yml").write_text("shop: {target: \"{{ env_var('DBT_TARGET') }}\"}\n")
    world = World(random.Random(seed), place, tally)
    patch.setattr("dbt_relay.cli.resume.this_attempt.run_ls", run_ls)
    patch.setattr("dbt_relay.sinks.airflow.attempts.read_attempts", world.read_attempts)
    patch.setattr("dbt_relay.sinks.airflow.reading.read_records", world.read_records)
    try:
        world.live()
    except AssertionError as error:
        raise AssertionError(f"history {seed}: {error}") from None
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize("part", range(PARTS))
def test_green_means_that_all_that_is_selected_was_built(
    part: int, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = Tally()
    for seed in range(part, HISTORIES, PARTS):
        live(seed, scratch, monkeypatch, tally)
    share = HISTORIES / PARTS
    assert tally.attempts > 3 * share, tally
    assert tally.green > 0.5 * share, tally
    assert tally.green_and_carried > 0.12 * share, tally
    assert min(tally.retried, tally.by_name) > 0.02 * share, tally
    assert tally.from_xcom > 0.02 * share, tally
