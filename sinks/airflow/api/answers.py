"""What each answer of Airflow means: done, try another way, later, a person must act, never."""

from __future__ import annotations

import email.utils
import json
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from ....records.display import in_one_line
from ....records.values import JsonObject, is_array, is_object
from ...sink import Delivered, Hold, Rejected, Retry, Verdict

if TYPE_CHECKING:
    from .settings import AirflowSettings

Write = Literal["POST", "PATCH"]
Method = Literal["GET"] | Write

VALUE_LIMIT: Final = 4 * 1024 * 1024
"""Bytes that are read of a value. No record of ours is as large."""

ROLE: Final = "the role Op (USER is enough for the simple auth manager)"
"""The usual role of a user who may do all that the relay asks for."""
_SHOWN: Final = 200
_SUCCESS: Final = {"GET": 200, "POST": 201, "PATCH": 200}
_WRONG_PATH: Final = (
    "this is not Airflow's API. Set DBT_RELAY_AIRFLOW_URL to the address that the browser shows, "
    "with its https:// or http://, or check whether a proxy is in between"
)
_NO_DAG: Final = re.compile(r"(the )?dag (with|id)\b", re.IGNORECASE)
_NO_RUN: Final = re.compile(r"(the )?dag ?run\b", re.IGNORECASE)
_NO_INSTANCE: Final = re.compile(r"(the )?(mapped )?task ?instance\b", re.IGNORECASE)
_TOO_OLD: Final = "or Airflow is older than 3.0 and cannot take XComs over its API"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, with the body up to a limit. `date` is the time on the server's clock."""

    status: int
    body: bytes = b""
    content_type: str = ""
    retry_after: str | None = None
    date: str | None = None

    @property
    def content(self) -> Any:
        """The body as JSON; None if it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def detail(self) -> str:
        """Airflow's own words in one line. They never repeat a value that was sent."""
        try:
            detail: Any = json.loads(self.body)["detail"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return ""
        if is_array(detail):
            words = [d.get("msg") if is_object(d) else d for d in detail]
            detail = "; ".join(str(word) for word in words if word)
        elif is_object(detail):
            detail = detail.get("message") or detail.get("reason") or ""
        return " ".join(in_one_line(str(detail or "")).split())[:_SHOWN]

    @property
    def names_missing_id(self) -> bool:
        """Whether this is Airflow's own 404, about an id. A wrong path gives another 404."""
        return self.status == 404 and self.detail not in ("", "Not Found")

    @property
    def asks_for_map_index(self) -> bool:
        """Whether Airflow says that the task is mapped, and the request has no map index."""
        return self.status == 404 and "is mapped" in self.detail

    @property
    def is_json(self) -> bool:
        """Whether Airflow itself may have answered; a proxy answers with pages."""
        return "json" in self.content_type.lower()

    @property
    def is_unauthenticated(self) -> bool:
        """Whether Airflow does not, or no longer, accept the token."""
        return self.status == 401 or (self.status == 403 and "Invalid JWT token" in self.detail)


@dataclass(frozen=True, slots=True)
class Exists:
    """409: an XCom with this key exists."""


@dataclass(frozen=True, slots=True)
class Missing:
    """404 to a GET or PATCH: no XCom has this key."""


@dataclass(frozen=True, slots=True)
class Content:
    """The JSON object that a GET brought."""

    data: JsonObject


def read_content(answer: Answer, to: AirflowSettings) -> Content | Missing | Retry | Hold:
    """What the answer to a GET means."""
    meaning = read_answer("GET", answer, to)
    match meaning:
        case Delivered():
            if len(answer.body) >= VALUE_LIMIT:
                return Content({})
            try:
                data: Any = json.loads(answer.body)
            except (ValueError, RecursionError):
                return Retry(f"Airflow at {to.url} broke off in the middle of its answer")
            return Content(data if is_object(data) else {})
        case Exists() | Rejected():  # only a write can be answered so
            return Retry(_trouble(answer, to))
        case _:
            return meaning


def read_answer(method: Method, answer: Answer, to: AirflowSettings) -> Verdict | Exists | Missing:
    """What an answer means. The only successes are 201 to a POST, and 200 to a PATCH or GET."""
    meaning = _meaning(method, answer, to)
    return as_seen(meaning, answer, to) if isinstance(meaning, Hold) else meaning


def as_seen(hold: Hold, answer: Answer, to: AirflowSettings) -> Hold:
    """The same Hold with the answer in it, and with whether Airflow itself answered."""
    what = f"{answer.status} {answer.detail}".rstrip()
    if not answer.is_json:
        what += " and a page instead of JSON"
    return replace(hold, seen=f"Airflow at {to.url} answered {what}", may_pass=not answer.is_json)


def _meaning(method: Method, answer: Answer, to: AirflowSettings) -> Verdict | Exists | Missing:
    status, detail = answer.status, answer.detail
    where = f"Airflow at {to.url}"
    if status == _SUCCESS[method] and answer.is_json:
        return Delivered()
    if 200 <= status < 400:
        what = "redirected" if status >= 300 else f"answered {status} with a page instead of JSON"
        return Hold(f"{where} {what}: {_WRONG_PATH}")
    if answer.is_unauthenticated:
        return Hold(
            f"{where} does not accept the token ({detail or f'HTTP {status}'}): "
            "set a new token in DBT_RELAY_AIRFLOW_TOKEN, …_TOKEN_FILE or …_TOKEN_COMMAND"
        )
    if status == 403:
        what, may, of_dag = (
            ("reading XComs, runs or tasks", "read XComs, DAG runs and task instances", "read")
            if method == "GET"
            else ("writing XComs", "create and edit XComs", "edit")
        )
        return Hold(
            f"{where} forbids {what} ({detail or 'HTTP 403'}): give the user {ROLE}, or a "
            f"role that can {may}, and {of_dag} this DAG"
        )
    if status == 404:
        return _not_found(method, answer, to)
    if status == 405:
        return Hold(f"{where} does not allow this request: {_WRONG_PATH}, {_TOO_OLD}")
    if status == 409:
        return Exists() if method == "POST" else Retry(detail or "HTTP 409")
    if status in (408, 425, 429) or status >= 500:
        return Retry(_trouble(answer, to), _seconds(answer.retry_after))
    if status == 407:
        return refused_by_proxy(to)
    if method == "GET":
        return Hold(f"{where} answered {f'{status} {detail}'.rstrip()} to a GET: {_WRONG_PATH}")
    if status == 413:
        return Rejected(
            f"{where}, or a proxy, refused the record as too large: see --max-message-bytes"
        )
    if not detail and status != 422:
        # A proxy answers so, and a web server to http:// on its https:// port. The address is
        # wrong, not this record.
        return Hold(
            f"{to.url} answered {status}, but the answer did not come from Airflow: {_WRONG_PATH}"
        )
    return Rejected(
        f"{where} refused the value: {detail or 'HTTP 422'}. --sink jsonl:PATH keeps it"
    )


def refused_by_proxy(to: AirflowSettings) -> Hold:
    """The meaning of 407, which a proxy answers in Airflow's place."""
    return Hold(f"the proxy to Airflow at {to.url} wants a login: see --proxy and HTTPS_PROXY")


def _not_found(method: Method, answer: Answer, to: AirflowSettings) -> Hold | Missing:
    detail, task = answer.detail, to.task
    where = f"Airflow at {to.url}"
    if detail.startswith(("The XCom with key", "XCom entry with key")):
        return Missing()
    if answer.asks_for_map_index:
        return Hold(f"{where}: {detail}. Pass --map-index '{{{{ ti.map_index }}}}'")
    if detail.startswith("Task"):
        return Hold(
            f"{where} has no task {to.xcom_task!r} in DAG {task.dag_id!r}: see --xcom-task-id"
        )
    if _NO_RUN.match(detail):
        return Hold(f"{where} has no run {task.run_id!r} of DAG {task.dag_id!r}: see --run-id")
    if _NO_DAG.match(detail):
        return Hold(f"{where} has no DAG {task.dag_id!r}: see --dag-id and --airflow-url")
    if _NO_INSTANCE.match(detail):
        return Hold(
            f"{where} has no such task in run {task.run_id!r} of DAG {task.dag_id!r} ({detail}): "
            "see --dag-id, --run-id and --task-id"
        )
    if method == "PATCH" and "not found" not in detail.lower():
        return Hold(f"{where} does not know this address: {_WRONG_PATH}")
    return Hold(f"{where} answered {f'404 {detail}'.rstrip()}: {_WRONG_PATH}, {_TOO_OLD}")


def _trouble(answer: Answer, to: AirflowSettings) -> str:
    if answer.status == 500 and "text/plain" in answer.content_type.lower():
        # Airflow 3 breaks its own foreign key if the task instance does not exist.
        return (
            f"Airflow at {to.url} answered 500, as it does if task {to.xcom_task!r} has no map "
            f"index {to.task.map_index}; a mapped task needs --map-index '{{{{ ti.map_index }}}}'"
        )
    return f"Airflow at {to.url} answered {answer.status} {answer.detail}".rstrip()


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds. It is a number or a date; None if it is neither."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        at = email.utils.parsedate_to_datetime(retry_after).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, at - time.time())
