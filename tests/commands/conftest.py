from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.command import Shell

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)
