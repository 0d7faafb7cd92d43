"""Which features this Airflow has."""

from __future__ import annotations

import re
from typing import Final

from airflow import __version__
from airflow.providers.common.compat.sdk import conf

_MINOR: Final = tuple(int(number) for number in re.findall(r"\d+", __version__)[:2])
CAN_START_FROM_TRIGGER: Final = _MINOR >= (3, 3)
"""Whether a task may begin in the triggerer. Earlier versions know the option and ignore it."""
STARTS_PODS: Final = "Kubernetes" in conf.get("core", "executor", fallback="")
"""Whether each task has a pod of its own, which takes seconds to start."""
