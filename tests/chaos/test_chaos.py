"""The short form of `make chaos`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chaos.__main__ import told
from chaos.trial import Trial

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(90)
@pytest.mark.parametrize("seed", range(20))
def test_what_the_server_holds_is_the_truth(tmp_path: Path, seed: int) -> None:
    report = Trial(seed, tmp_path).run()
    assert not report.wrong, told(report)
