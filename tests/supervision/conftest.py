from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from support.running import Running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A relay to be started, of which nothing may be left after the test.

    Not under `nohup`, even where the tests are.
    """
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    running = Running(tmp_path)
    yield running
    left = running.close()
    signal.signal(signal.SIGHUP, inherited)
    assert not left, f"processes left behind: {left}"
