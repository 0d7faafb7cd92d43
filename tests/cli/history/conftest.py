from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.ledgers import fill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder of a project that ran twelve times."""
    fill(tmp_path / "state", 12)
    return tmp_path / "state"
