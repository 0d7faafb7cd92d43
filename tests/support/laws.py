"""How many random examples a law is tried with: all of them, or a fifth in `make unit`.

No law depends on how fast the machine is, and what Hypothesis finds is not kept between runs.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

FULL, QUICK = 100, 20

settings.register_profile(
    "full",
    max_examples=FULL,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
settings.register_profile("quick", settings.get_profile("full"), max_examples=QUICK)
settings.load_profile("full")


def examples(number: int) -> settings:
    """So many examples, and a fifth of them under the profile `quick`."""
    return settings(max_examples=max(1, number * settings().max_examples // FULL))
