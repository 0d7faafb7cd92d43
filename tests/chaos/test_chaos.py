"""The first seeds of `make chaos`."""

from __future__ import annotations

import pytest
from chaos.trial import Trial

SEEDS = 20


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_lost_whatever_is_killed(seed: int) -> None:
    Trial(seed).run()
