from __future__ import annotations

from typing import TYPE_CHECKING

import journals
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What one process of pytest-xdist runs: a file, or all that shares the one Airflow."""
    for item in items:
        folder = item.path.parent.name
        group = folder if folder == "real_airflow" else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


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
