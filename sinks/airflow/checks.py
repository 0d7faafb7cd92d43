"""Whether an Airflow can be delivered to, asked step by step; no XCom is left behind in it.

Airflow's audit log notes the two writes that it refuses.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from ...records.task import TaskInstance
from ..sink import Hold, Retry
from .api.answers import Answer, Content, read_answer, read_content
from .api.session import Session
from .api.settings import Login
from .api.token import expires_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .api.answers import Method
    from .api.client import Client
    from .api.settings import AirflowSettings

_MOST_SKEW: Final = 60
_SOON: Final = 3600
_NOWHERE: Final = "dbt-relay-doctor"
_UNSAID: Final = "see --airflow-url, and whether the API server is up and not overloaded"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what to do if it is not well."""

    state: Literal["ok", "warn", "FAIL"]
    what: str
    remedy: str | None = None


def failed(reason: str) -> Check:
    """A failure from a sentence such as `what is wrong: what to do`."""
    what, _, remedy = reason.partition(": ")
    return Check("FAIL", what, remedy or _UNSAID)


def check_airflow(to: AirflowSettings, clock: Callable[[], float] = time.time) -> Iterator[Check]:
    """What can be asked with the settings that are given, up to a failure that ends it all.

    An empty id, or a login without anything in it, is one that is not given.
    """
    session = Session(to)
    try:
        for step in (_server, _credentials):
            for check in step(session, to, clock):
                yield check
                if check.state == "FAIL":
                    return
        if to.login.is_given:
            yield from _work(session, to)
    finally:
        session.close()


def _server(session: Session, to: AirflowSettings, clock: Callable[[], float]) -> Iterator[Check]:
    client = session.client
    if isinstance(client, Hold):
        yield failed(client.reason)
        return
    started = clock()
    answer = client.ask("GET", "/api/v2/version")
    at = (started + clock()) / 2
    if not isinstance(answer, Answer):
        yield failed(answer.reason)
        return
    found = _read(answer, to)
    yield found if isinstance(found, Check) else _version(str(found.data.get("version")), to)
    yield _skew(answer.date, at)


def _version(version: str, to: AirflowSettings) -> Check:
    airflow = f"Airflow {version} at {to.url}"
    number = re.match(r"(\d+)\.(\d+)", version)
    if number is None:
        return Check("FAIL", f"what answers at {to.url} is no Airflow", "see --airflow-url")
    release = int(number[1]), int(number[2])
    if release < (3, 0):
        return Check("FAIL", f"{airflow} cannot take XComs over its API", "use 3.0 or newer")
    if release < (3, 2):
        what = f"{airflow} answers; it stores what comes over its API as JSON text"
        return Check("warn", what, "consumers have to json.loads what they pull (fixed in 3.2)")
    return Check("ok", f"{airflow} answers")


def _skew(date: str | None, at: float) -> Check:
    try:
        theirs = email.utils.parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return Check("warn", "the clock cannot be compared", "Airflow's answer has no date")
    # The header has whole seconds, rounded down.
    skew = at - theirs
    if -_MOST_SKEW <= skew <= _MOST_SKEW + 1:
        return Check("ok", "the clock agrees with Airflow's")
    way = "ahead of" if skew > 0 else "behind"
    return Check(
        "warn",
        f"the clock here is {abs(skew):.0f} s {way} Airflow's",
        "a token may be taken for expired, or be renewed too late: set both by NTP",
    )


def _credentials(
    session: Session, to: AirflowSettings, clock: Callable[[], float]
) -> Iterator[Check]:
    if not to.login.is_given:
        return
    answer = session.ask(lambda client, token: client.dags(token))
    if not isinstance(answer, Answer):
        yield failed(answer.reason)
        return
    found = _read(answer, to)
    is_known = answer.status == 403 and not answer.is_unauthenticated  # to read no DAGs is no harm
    if isinstance(found, Check) and not is_known:
        yield found
        return
    token = session.token
    left = expires_at(token) - clock() if isinstance(token, str) else 0.0
    accepted = "the credentials are accepted"
    if left == float("inf"):
        yield Check("ok", accepted)
        return
    accepted += f"; the token is good for {_duration(max(0.0, left))}"
    if left < _SOON and to.login.token:
        remedy = "nothing renews it: DBT_RELAY_AIRFLOW_TOKEN_COMMAND or a user name would"
        yield Check("warn", accepted, remedy)
    else:
        yield Check("ok", accepted)


def _work(session: Session, to: AirflowSettings) -> Iterator[Check]:
    """What a task needs: its DAG, the permission, its run and itself, as far as they are named."""
    dag = _dag(session, to) if to.task.dag_id else None
    is_there = dag is None or dag.state != "FAIL"
    if dag is not None and dag.state != "ok":
        yield dag
    yield _permission(
        session,
        to if to.task.dag_id and is_there else replace(to, task=replace(to.task, dag_id="")),
    )
    if to.task.dag_id and to.task.run_id and is_there:
        yield from _place(session, to)
    ids = {"DAG": to.task.dag_id, "run": to.task.run_id, "task": to.task.task_id}
    missing = [what for what, given in ids.items() if not given]
    if missing:
        what = f"no {' and no '.join(missing)} is named, so that was not looked at"
        remedy = "a task of Airflow names them itself; elsewhere give --dag-id, --run-id, --task-id"
        yield Check("warn", what, remedy)


def _dag(session: Session, to: AirflowSettings) -> Check:
    absent = f"DAG {to.task.dag_id!r}: see --dag-id and --airflow-url"
    found = _get(session, to, lambda client, token: client.dag(token), absent)
    return found if isinstance(found, Check) else Check("ok", f"DAG {to.task.dag_id!r} is there")


def _permission(session: Session, to: AirflowSettings) -> Check:
    """By asking for what cannot be done: Airflow looks at the permission before it finds out.

    Without a DAG one that Airflow has stands for it, whose role may be of that DAG alone.
    """
    dag_id = to.task.dag_id or _any_dag(session)
    token = session.token
    nowhere = replace(
        to,
        task=TaskInstance(
            dag_id or _NOWHERE,
            to.task.run_id or _NOWHERE,
            to.task.task_id or _NOWHERE,
            to.task.map_index,
        ),
        login=Login(token=token) if isinstance(token, str) else to.login,
    )
    trial_session = Session(nowhere)
    try:
        trouble = _trial(trial_session, nowhere)
    finally:
        trial_session.close()
    if trouble is not None:
        return trouble
    if to.task.dag_id:
        return Check("ok", f"XComs of DAG {to.task.dag_id!r} may be read, created and edited")
    tried = f"DAG {dag_id!r}" if dag_id else "a DAG that is not there, as Airflow shows none"
    return Check("ok", f"XComs may be read, created and edited (tried with {tried})")


def _trial(session: Session, to: AirflowSettings) -> Check | None:
    """What forbids to read, create and edit XComs."""
    key = f"dbt-relay-doctor-{uuid.uuid4().hex}"
    seen = session.ask(lambda client, token: client.xcom(key, token))
    edited = session.ask(lambda client, token: client.write("PATCH", key, {}, token))
    created = session.ask(lambda client, token: client.create_nothing(token))
    trials: tuple[tuple[Method, Answer | Retry | Hold], ...] = (
        ("PATCH", edited),
        ("POST", created),
        ("GET", seen),
    )
    for method, answer in trials:
        if not isinstance(answer, Answer):
            return failed(answer.reason)
        is_absent = answer.status == 404 and answer.detail not in ("", "Not Found")
        if is_absent or (method == "POST" and answer.status == 422):
            continue
        meaning = read_answer(method, answer, to)
        words = meaning.reason if isinstance(meaning, (Hold, Retry)) else ""
        return failed(words or f"Airflow at {to.url} answered {answer.status} to a trial {method}")
    return None


def _any_dag(session: Session) -> str:
    """A DAG that the user may read; empty if there is none."""
    answer = session.ask(lambda client, token: client.dags(token))
    if not isinstance(answer, Answer) or answer.status != 200:
        return ""
    try:
        return str(json.loads(answer.body)["dags"][0]["dag_id"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""


def _place(session: Session, to: AirflowSettings) -> Iterator[Check]:
    run = f"run {to.task.run_id!r} of DAG {to.task.dag_id!r}"
    absent = f"{run}: see --run-id"
    found = _get(session, to, lambda client, token: client.dag_run(token), absent)
    if isinstance(found, Check):
        yield found
        return
    yield Check("ok", f"{run} is {found.data.get('state')}")
    for task, option in {to.xcom_task: "--xcom-task-id", to.task.task_id: "--task-id"}.items():
        if not task:
            continue
        name = f"task {task!r}" + (
            f" with map index {to.task.map_index}" if to.task.map_index >= 0 else ""
        )
        absent = f"{name} in that run: see {option} and --map-index"
        found = _get(session, to, lambda c, token, t=task: c.task_instance(t, token), absent)
        if isinstance(found, Content):
            tries = f"at try {found.data.get('try_number')}, {found.data.get('state')}"
            found = Check("ok", f"{name} is {tries}")
        yield found


def _get(
    session: Session,
    to: AirflowSettings,
    request: Callable[[Client, str], Answer | Retry | Hold],
    absent: str,
) -> Content | Check:
    answer = session.ask(request)
    return _read(answer, to, absent) if isinstance(answer, Answer) else failed(answer.reason)


def _read(answer: Answer, to: AirflowSettings, absent: str | None = None) -> Content | Check:
    """The content of an answer, or the failure that it is; `absent` is what a 404 is about."""
    meaning = read_content(answer, to)
    if isinstance(meaning, Content):
        return meaning
    if absent and answer.status == 403:
        what = f"whether there is a {absent.partition(': ')[0]} was not told"
        return Check(
            "warn", what, "the user may not read that; records can be written all the same"
        )
    if absent and answer.status == 404 and answer.detail and "is mapped" not in answer.detail:
        return failed(f"Airflow has no {absent}")
    words = meaning.reason if isinstance(meaning, (Retry, Hold)) else ""
    return failed(words or f"Airflow at {to.url} answered {answer.status}")


def _duration(seconds: float) -> str:
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
