"""`run --renew`: run nodes again for a task whose own run of dbt has ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..settings import AIRFLOW_SINKS, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..settings import RelaySettings

_WRITES: Final = frozenset({"running", "deferred", "restarting"})
"""States of a task that may still write records of its own."""


def renewing(settings: RelaySettings, task_id: str, environ: Mapping[str, str]) -> RelaySettings:
    """The settings for work on behalf of the task `task_id`, in its newest try.

    Airflow is asked for the try. Raises ConfigurationError if it does not answer, or if the task
    may still write records itself.
    """
    from ...sinks.airflow.reading import UnreadError, Watch  # noqa: PLC0415 - only for --renew

    place = replace(settings.place, task_id=task_id)
    access = replace(settings.airflow, place=place)
    if missing := access.missing(environ):
        raise ConfigurationError(f"--renew needs {' and '.join(missing)}")
    watch = Watch(access.settings(environ))
    try:
        state = watch.state()
    except UnreadError as error:
        raise ConfigurationError(f"--renew {task_id}: {error}") from error
    finally:
        watch.close()
    if state in _WRITES:
        raise ConfigurationError(
            f"--renew {task_id}: that task is {state}, and may still run these nodes itself: wait "
            "for its end (`dbt-relay wait --or-run` does)"
        )
    place = replace(place, attempt=watch.try_number())
    return replace(
        settings,
        airflow=replace(access, place=place),
        sinks=settings.sinks
        if AIRFLOW_SINKS.intersection(settings.sinks)
        else (*settings.sinks, settings.default_sink),
        renews=True,
        writes_note=False,  # the note is about a whole run
    )
