"""Nodes run again for a task whose own run of dbt has ended: as which try their records count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...sinks.airflow import UnreadError, Watch
from .destination import ConfigurationError, airflow_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_WRITES: Final = frozenset({"running", "deferred", "restarting"})


def renewing(options: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The options with the place and the try of the task that `--renew` names, if it names one.

    Airflow is asked for the try. Raises ConfigurationError where it does not tell, or where that
    task still writes records of its own.
    """
    task = options["renew"]
    if not task:
        return dict(options)
    of_task = {**options, "task_id": task}
    settings, missing = airflow_of(of_task, environ)
    if settings is None or missing:
        raise ConfigurationError(f"--renew needs {' and '.join(missing)}")
    watch = Watch(settings)
    try:
        state = watch.state()
    except UnreadError as error:
        raise ConfigurationError(f"--renew {task}: {error}") from error
    finally:
        watch.close()
    if state in _WRITES:
        raise ConfigurationError(
            f"--renew {task}: that task is {state}, and may still run these nodes itself: wait for "
            "its end (`dbt-relay wait --or-run` does)"
        )
    sinks = options["sinks"] if "airflow" in options["sinks"] else (*options["sinks"], "airflow")
    of_task |= {"try_number": watch.try_number(), "sinks": sinks}
    return {**of_task, "resume": False, "note": False}  # both are about a whole run
