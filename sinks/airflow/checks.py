"""Whether the relay can deliver to an Airflow: checks step by step, which leave no XCom behind.

Airflow's audit log shows two writes that Airflow refused.
"""

from __future__ import annotations

import email.utils
import re
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from ...records.task import TaskInstance
from ...records.values import is_array, is_object, text
from ..sink import Hold, Retry
from .api.answers import Answer, Content, Missing, read_answer, read_content
from .api.session import Session
from .api.settings import Login
from .api.token import expires_at
from .writer import DECODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .api.answers import Method
    from .api.session import Request
    from .api.settings import AirflowSettings

_MOST_SKEW: Final = 60
_SOON: Final = 3600
_NO_SUCH_ID: Final = "dbt-relay-doctor"
_DEFAULT_REMEDY: Final = "see --airflow-url, and whether the API server is up and not overloaded"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check, and what to do about it."""

    state: Literal["ok", "warn", "FAIL"]
    what: str
    remedy: str | None = None


def failed(reason: str) -> Check:
    """A failed check from a sentence such as `what is wrong: what to do`."""
    what, _, remedy = reason.partition(": ")
    return Check("FAIL", what, remedy or _DEFAULT_REMEDY)


def check_airflow(to: AirflowSettings, clock: Callable[[], float] = time.time) -> Iterator[Check]:
    """Every check that the given settings allow, up to a failure that makes the rest useless.

    An empty id is not given, and neither is an empty login.
    """
    session = Session(to)
    try:
        for step in (_server, _credentials):
            for check in step(session, to, clock):
                yield check
                if check.state == "FAIL":
                    return
        if to.login.is_given:
            yield from _task(session, to)
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
    found = _content(answer, to)
    yield found if isinstance(found, Check) else _version(str(found.data.get("version")), to)
    yield _skew(answer.date, at)


def _version(version: str, to: AirflowSettings) -> Check:
    airflow = f"Airflow {version} at {to.url}"
    number = re.match(r"(\d+)\.(\d+)", version)
    if number is None:
        return Check("FAIL", f"the server at {to.url} is not Airflow", "see --airflow-url")
    release = int(number[1]), int(number[2])
    if release < (3, 0):
        return Check("FAIL", f"{airflow} cannot take XComs over its API", "use 3.0 or newer")
    if release < (3, 2):
        what = f"{airflow} answers; it returns a record that came over its API as JSON text"
        return Check("warn", what, DECODE)
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
        "a token may look expired too early, or be renewed too late: set both clocks by NTP",
    )


def _credentials(
    session: Session, to: AirflowSettings, clock: Callable[[], float]
) -> Iterator[Check]:
    if not to.login.is_given:
        return
    found = _dags(session)
    if isinstance(found, Check):
        yield found
        return
    token = session.token
    left = expires_at(token) - clock() if isinstance(token, str) else 0.0
    accepted = "the credentials are accepted"
    if left == float("inf"):
        yield Check("ok", accepted)
        return
    accepted += f"; the token is valid for {_duration(max(0.0, left))}"
    if left < _SOON and to.login.token:
        remedy = "dbt-relay cannot renew it: use DBT_RELAY_AIRFLOW_TOKEN_COMMAND or a user name"
        yield Check("warn", accepted, remedy)
    else:
        yield Check("ok", accepted)


def _task(session: Session, to: AirflowSettings) -> Iterator[Check]:
    """What a task needs: its DAG, the permission, its run and itself, as far as they are named."""
    task = to.task
    dag = _dag(session, task) if task.dag_id else None
    is_there = dag is None or dag.state != "FAIL"
    if dag is not None and dag.state != "ok":
        yield dag
    yield _permission(session, to, task.dag_id if is_there else "")
    if task.dag_id and task.run_id and is_there:
        yield from _run_and_tasks(session, to)
    ids = {"DAG": task.dag_id, "run": task.run_id, "task": task.task_id}
    missing = [what for what, given in ids.items() if not given]
    if missing:
        what = f"{' and '.join(missing)}: not set, so not checked"
        remedy = "Airflow sets them in a task; elsewhere give --dag-id, --run-id and --task-id"
        yield Check("warn", what, remedy)


def _dag(session: Session, task: TaskInstance) -> Check:
    absent = f"DAG {task.dag_id!r}: see --dag-id and --airflow-url"
    found = _get(session, lambda client, token: client.dag(token), absent)
    return found if isinstance(found, Check) else Check("ok", f"DAG {task.dag_id!r} is there")


def _permission(session: Session, to: AirflowSettings, dag_id: str) -> Check:
    """Whether the user may write XComs of a DAG.

    Asks for what cannot be done: Airflow checks the permission before it finds that out. If no DAG
    is given, any DAG stands for it, as the user's role may be for that DAG alone.
    """
    stand_in = dag_id or _any_dag(session)
    token = session.token
    task = to.task
    impossible = replace(
        to,
        task=TaskInstance(
            stand_in or _NO_SUCH_ID,
            task.run_id or _NO_SUCH_ID,
            task.task_id or _NO_SUCH_ID,
            task.map_index,
        ),
        login=Login(token=token) if isinstance(token, str) else to.login,
    )
    of_requests = Session(impossible)
    try:
        refusal = _refusal(of_requests, impossible)
    finally:
        of_requests.close()
    if refusal is not None:
        return refusal
    if dag_id:
        return Check("ok", f"XComs of DAG {dag_id!r} may be read, created and edited")
    tried = f"DAG {stand_in!r}" if stand_in else "a made-up DAG, because this user sees no DAG"
    return Check("ok", f"XComs may be read, created and edited (tried with {tried})")


def _refusal(session: Session, to: AirflowSettings) -> Check | None:
    """Why the user may not read, create and edit XComs; None if all is allowed."""
    key = f"dbt-relay-doctor-{uuid.uuid4().hex}"
    seen = session.ask(lambda client, token: client.xcom(key, token))
    edited = session.ask(lambda client, token: client.write("PATCH", key, {}, token))
    created = session.ask(lambda client, token: client.create_nothing(token))
    answers: tuple[tuple[Method, Answer | Retry | Hold], ...] = (
        ("PATCH", edited),
        ("POST", created),
        ("GET", seen),
    )
    for method, answer in answers:
        if not isinstance(answer, Answer):
            return failed(answer.reason)
        if answer.names_missing_id or (method == "POST" and answer.status == 422):
            continue
        meaning = read_answer(method, answer, to)
        words = meaning.reason if isinstance(meaning, (Hold, Retry)) else ""
        return failed(words or f"Airflow at {to.url} answered {answer.status} to a trial {method}")
    return None


def _dags(session: Session) -> Content | Check:
    """A list with one DAG at most. A user who may read no DAGs gets an empty list."""

    def understand(answer: Answer, to: AirflowSettings) -> Content | Check:
        is_forbidden = answer.status == 403 and not answer.is_unauthenticated
        return Content({}) if is_forbidden else _content(answer, to)

    return _read(session, lambda client, token: client.dags(token), understand)


def _any_dag(session: Session) -> str:
    """A DAG that the user may read; empty if there is none."""
    found = _dags(session)
    listed: Any = found.data.get("dags") if isinstance(found, Content) else None
    first: Any = listed[0] if is_array(listed) and listed else None
    return text(first.get("dag_id")) or "" if is_object(first) else ""


def _run_and_tasks(session: Session, to: AirflowSettings) -> Iterator[Check]:
    task = to.task
    run = f"run {task.run_id!r} of DAG {task.dag_id!r}"
    found = _get(session, lambda client, token: client.dag_run(token), f"{run}: see --run-id")
    if isinstance(found, Check):
        yield found
        return
    yield Check("ok", f"{run} is {found.data.get('state')}")
    for task_id, option in {to.xcom_task: "--xcom-task-id", task.task_id: "--task-id"}.items():
        if not task_id:
            continue
        index = f" with map index {task.map_index}" if task.map_index >= 0 else ""
        name = f"task {task_id!r}{index}"
        absent = f"{name} in that run: see {option} and --map-index"
        found = _get(session, lambda c, token, t=task_id: c.task_instance(t, token), absent)
        if isinstance(found, Content):
            attempt = f"at try {found.data.get('try_number')}, {found.data.get('state')}"
            found = Check("ok", f"{name} is {attempt}")
        yield found


def _get(session: Session, request: Request, absent: str) -> Content | Check:
    """The content that a GET brings; `absent` says what a 404 is about, and what to do."""

    def understand(answer: Answer, to: AirflowSettings) -> Content | Check:
        if answer.status == 403:
            what = f"could not check {absent.partition(': ')[0]}"
            remedy = (
                "the user has no permission to read it. Records can still be written, but "
                "--resume runs every node"
            )
            return Check("warn", what, remedy)
        if answer.status == 404 and answer.detail and not answer.asks_for_map_index:
            return failed(f"Airflow has no {absent}")
        return _content(answer, to)

    return _read(session, request, understand)


def _read(
    session: Session,
    request: Request,
    understand: Callable[[Answer, AirflowSettings], Content | Check],
) -> Content | Check:
    found = session.read(request, understand)
    return failed(found.reason) if isinstance(found, (Retry, Hold)) else found


def _content(answer: Answer, to: AirflowSettings) -> Content | Check:
    """The content of an answer, or the failed check that the answer is."""
    meaning = read_content(answer, to)
    match meaning:
        case Content():
            return meaning
        case Retry() | Hold():
            return failed(meaning.reason)
        case Missing():
            return failed(f"Airflow at {to.url} answered {answer.status}")


def _duration(seconds: float) -> str:
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
