"""Requests to Airflow's stable REST API.

This imports urllib3, so the thread that delivers imports this module when it has its first record.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import urllib3.exceptions as http

from ...sink import Hold, Retry
from .answers import VALUE_LIMIT, Answer, as_seen, refused_by_proxy
from .no_answer import why_no_answer
from .transport import connection_pool

if TYPE_CHECKING:
    from .answers import Write
    from .settings import AirflowSettings

_BODY_LIMIT: Final = 64 * 1024
PAGE: Final = 100
"""XComs in one page of a list: Airflow's own limit, unless its operator raised it."""


class Client:
    """Speaks to one Airflow, one request at a time in each thread. It neither retries nor follows
    redirects."""

    def __init__(self, settings: AirflowSettings) -> None:
        self._to = settings
        self._pool = connection_pool(settings)
        self._timeout = (settings.connect_timeout, settings.read_timeout)

    def write(self, method: Write, key: str, value: Any, token: str) -> Answer | Retry | Hold:
        """POST or PATCH one XCom. Where no answer comes, the verdict says why."""
        content: dict[str, Any] = {"value": value, "map_index": self._to.task.map_index}
        path = self._entries()
        if method == "POST":
            content["key"] = key
        else:
            path = (*path, key)
        return self.ask(method, self._path(*path), token=token, body=json.dumps(content))

    def xcom(self, key: str, token: str) -> Answer | Retry | Hold:
        """One XCom with its value."""
        return self._get(token, *self._entries(), key, map_index=self._to.task.map_index)

    def xcoms(self, offset: int, token: str) -> Answer | Retry | Hold:
        """A page of XComs; no list of Airflow has their values."""
        query = {"limit": PAGE, "offset": offset, "map_index_filter": self._to.task.map_index}
        return self._get(token, *self._entries(), **query)

    def task_instance(self, task_id: str, token: str) -> Answer | Retry | Hold:
        """The state of a task in this DAG run, at its newest try."""
        return self._get(token, *self._instance(task_id))

    def attempts(self, token: str) -> Answer | Retry | Hold:
        """When each try of the task that runs dbt began and ended (Airflow 2.10 and newer)."""
        return self._get(token, *self._instance(self._to.task.task_id), "tries")

    def write_note(self, note: str, token: str) -> Answer | Retry | Hold:
        """Replace the note of the task that runs dbt, and no other field of the task.

        Without a map index Airflow 3.3 would write the note of every instance of a mapped task.
        """
        task = self._to.task
        path = self._path("taskInstances", task.task_id, str(task.map_index))
        body = json.dumps({"note": note})
        return self.ask("PATCH", path + "?update_mask=note", token=token, body=body)

    def unmapped_instance(self, task_id: str, token: str) -> Answer | Retry | Hold:
        """The one instance of a task that is not mapped, or not expanded yet."""
        return self._get(token, "taskInstances", task_id)

    def look(self, path: str, token: str) -> Answer | Retry | Hold:
        """The answer for a path below `/api/v2/`."""
        return self.ask("GET", f"/api/v2/{path}", token=token)

    def dag_run(self, token: str) -> Answer | Retry | Hold:
        return self._get(token)

    def dag(self, token: str) -> Answer | Retry | Hold:
        return self.ask("GET", f"/api/v2/dags/{quote(self._to.task.dag_id, safe='')}", token=token)

    def dags(self, token: str) -> Answer | Retry | Hold:
        """A list with one DAG at most. Every user may ask for it."""
        return self.ask("GET", "/api/v2/dags?limit=1", token=token)

    def create_nothing(self, token: str) -> Answer | Retry | Hold:
        """A POST without key and value. Airflow answers 422 if the user may write XComs."""
        return self.ask("POST", self._path(*self._entries()), token=token, body="{}")

    def log_in(self, username: str, password: str) -> str | Retry | Hold:
        """A token for a user name and password."""
        body = json.dumps({"username": username, "password": password})
        answer = self.ask("POST", "/auth/token", body=body)
        if not isinstance(answer, Answer):
            return answer
        if answer.status == 407:
            return refused_by_proxy(self._to)
        if answer.status in (400, 401, 403):
            refused = Hold(
                f"Airflow at {self._to.url} does not accept this user name and password "
                f"({answer.detail or answer.status}): see DBT_RELAY_AIRFLOW_USERNAME and _PASSWORD"
            )
            return as_seen(refused, answer, self._to)
        try:
            return str(json.loads(answer.body)["access_token"])
        except (ValueError, TypeError, KeyError):
            reason = f"Airflow at {self._to.url} gave no token: it answered {answer.status}"
            if answer.status >= 500 or answer.status == 429:
                return Retry(reason)
            refused = Hold(
                f"{reason} to /auth/token. Check DBT_RELAY_AIRFLOW_URL, or give a token instead: "
                "not every Airflow exchanges passwords"
            )
            return as_seen(refused, answer, self._to)

    def version(self) -> str | None:
        """Airflow's version; None if Airflow does not tell it."""
        answer = self.ask("GET", "/api/v2/version")
        try:
            return str(json.loads(answer.body)["version"]) if isinstance(answer, Answer) else None
        except (ValueError, TypeError, KeyError):
            return None

    def close(self) -> None:
        """Drop the connections."""
        self._pool.clear()

    def ask(
        self, method: str, path: str, *, token: str | None = None, body: str | None = None
    ) -> Answer | Retry | Hold:
        """The answer to any request; `path` is quoted."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            response = self._pool.request(
                method,
                self._to.url + path,
                body=body,
                headers=headers,
                timeout=http_timeout(self._timeout),
                preload_content=False,
            )
            return self._answer(response, VALUE_LIMIT if method == "GET" else _BODY_LIMIT)
        except http.HTTPError as error:
            return why_no_answer(error, self._to)

    def _path(self, *parts: str) -> str:
        """A path below the DAG run, quoted: run ids hold `+` and `:`."""
        below = ("dags", self._to.task.dag_id, "dagRuns", self._to.task.run_id, *parts)
        return "/api/v2/" + "/".join(quote(part, safe="") for part in below)

    def _entries(self) -> tuple[str, ...]:
        return "taskInstances", self._to.xcom_task, "xcomEntries"

    def _instance(self, task_id: str) -> tuple[str, ...]:
        index = self._to.task.map_index
        return "taskInstances", task_id, *((str(index),) if index >= 0 else ())

    def _get(self, token: str, *parts: str, **query: int) -> Answer | Retry | Hold:
        question = f"?{urlencode(query)}" if query else ""
        return self.ask("GET", self._path(*parts) + question, token=token)

    def _answer(self, response: Any, limit: int = _BODY_LIMIT) -> Answer:
        """The answer, with as much of its body as `limit` and the time-out allow.

        A connection with an unread rest is closed: the rest would be taken for the next answer.
        """
        headers = response.headers
        body = bytearray()
        give_up_at = time.monotonic() + self._to.answer_timeout
        try:
            while len(body) < limit and time.monotonic() < give_up_at:
                chunk = response.read1(_BODY_LIMIT)
                if not chunk:
                    break
                body += chunk
            else:
                response.close()
        except http.HTTPError:
            response.close()
        response.release_conn()
        if response.status >= 500:
            # uvicorn resets the connection at the next request (Airflow 3.3).
            self.close()
        return Answer(
            response.status,
            bytes(body),
            headers.get("Content-Type", ""),
            headers.get("Retry-After"),
            headers.get("Date"),
        )


def http_timeout(timeouts: tuple[float, float]) -> Any:
    """A connect and a read timeout in urllib3's own form."""
    from urllib3 import Timeout  # noqa: PLC0415 - beside the exceptions, the only name needed

    return Timeout(connect=timeouts[0], read=timeouts[1])
