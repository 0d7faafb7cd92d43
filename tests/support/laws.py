"""How many random examples a law is tried with."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

USUAL: Final = 100
"""The examples of a law that names no number, between the two profiles of tests/conftest.py."""


def examples(number: int) -> settings:
    """As many examples as the profile makes of `number`, where it makes its own of USUAL."""
    return settings(max_examples=max(1, number * settings().max_examples // USUAL))
