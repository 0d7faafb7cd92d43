"""What has another place in each Airflow since 3.0, from the place where this Airflow has it.

The package apache-airflow-providers-common-compat knows these places too, but no release of it that
Airflow 3.0 came with does.
"""

from __future__ import annotations

import re
from typing import Any, Final

from airflow import __version__

try:  # Airflow 3.1
    from airflow.sdk import BaseHook
except ImportError:
    from airflow.hooks.base import BaseHook  # type: ignore[no-redef]
try:  # Airflow 3.2
    from airflow.sdk import configuration
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
except ImportError:
    from airflow import configuration
    from airflow.exceptions import (
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )

__all__ = [
    "CAN_START_FROM_TRIGGER",
    "STARTS_PODS",
    "AirflowFailException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "BaseHook",
    "conf",
]

conf: Final[Any] = configuration.conf  # type: ignore[attr-defined] - the modules make it
_MINOR: Final = tuple(int(number) for number in re.findall(r"\d+", __version__)[:2])
CAN_START_FROM_TRIGGER: Final = _MINOR >= (3, 3)
"""Whether a task may begin in the triggerer. Earlier versions know the option and ignore it."""
STARTS_PODS: Final = "Kubernetes" in conf.get("core", "executor", fallback="")
"""Whether each task has a pod of its own, which takes seconds to start."""
