from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from support import journals
from support.command import Typed, typed_here
from support.laws import USUAL
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer


# No law depends on how fast the machine is. `ci` tries the same examples each time, so that a
# change fails for its own sake; `dev` tries others, and Hypothesis keeps those that fail.
settings.register_profile(
    "dev",
    max_examples=USUAL // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "ci", settings.get_profile("dev"), max_examples=USUAL * 2, derandomize=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first: the rest fits beside it."""
    items.sort(key=lambda item: item.path.parent.name != "real_airflow")


_WITH_ONE_SERVER = ("real_airflow", "real_postgres")


class _Scheduling(LoadScopeScheduling):
    """One process of pytest-xdist runs a file, or all that shares one server."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.partition("::")[0])
        return path.parent.name if path.parent.name in _WITH_ONE_SERVER else str(path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every relay that a test starts keeps its journal here, and not at its user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def journals_closed() -> Iterator[None]:
    yield
    while journals.OPEN:
        journals.OPEN.pop().close()


@pytest.fixture
def typed(capfd: pytest.CaptureFixture[str]) -> Typed:
    """Runs `dbt-relay WORDS` in the process of the test; see `support.command.typed_here`."""
    return typed_here(capfd)
