"""`run --renew`: run nodes again for a task whose own run of dbt has ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ...sinks.channel import Channel
from ..settings import AIRFLOW_SINKS, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..settings import AirflowAccess, RelaySettings, RunSettings

_WRITES: Final = frozenset({"running", "deferred", "restarting"})
"""States of a task that may still write records of its own."""


def renewing(settings: RunSettings, environ: Mapping[str, str]) -> RunSettings:
    """The settings for work on behalf of the task that `--renew` names, if it names one.

    Airflow is asked for the newest try of that task. Raises ConfigurationError if it does not
    answer, or if the task may still write records itself.
    """
    if not settings.renewed_task_id:
        return settings
    relay = _on_behalf_of(settings.renewed_task_id, settings.relay, environ)
    return replace(settings, relay=relay, resumes=False)  # to resume is about a whole run


def _on_behalf_of(
    task_id: str, settings: RelaySettings, environ: Mapping[str, str]
) -> RelaySettings:
    place = replace(settings.place, task_id=task_id)
    access = replace(settings.airflow, place=place)
    state, attempt = _state_and_try(access, task_id, environ)
    if state in _WRITES:
        raise ConfigurationError(
            f"--renew {task_id}: that task is {state}, and may still run these nodes itself: wait "
            "for its end (`dbt-relay wait --or-run` does)"
        )
    place = replace(place, attempt=attempt)
    return replace(
        settings,
        airflow=replace(access, place=place),
        sinks=settings.sinks
        if AIRFLOW_SINKS.intersection(settings.sinks)
        else (*settings.sinks, settings.default_sink),
        renews=True,
        writes_note=False,  # the note is about a whole run
    )


def _state_and_try(
    access: AirflowAccess, task_id: str, environ: Mapping[str, str]
) -> tuple[str | None, int | None]:
    """Airflow's state and try of the task, from the operator or over the REST API."""
    from ...sinks.airflow.reading import UnreadError, Watch  # noqa: PLC0415 - only for --renew

    channel = Channel.of(environ)
    if channel is not None:
        told = channel.task()
        if told is None:
            raise ConfigurationError(f"--renew {task_id}: the operator does not answer")
        return told
    if missing := access.missing(environ):
        raise ConfigurationError(f"--renew needs {' and '.join(missing)}")
    watch = Watch(access.settings(environ))
    try:
        return watch.state(), watch.try_number()
    except UnreadError as error:
        raise ConfigurationError(f"--renew {task_id}: {error}") from error
    finally:
        watch.close()
