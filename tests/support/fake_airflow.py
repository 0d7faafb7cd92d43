"""A small Airflow on loopback: the XCom API as 3.3 answers it, and faults on demand."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from support.airflow_faults import CRASH, UNANSWERED, Answer, Fault, detail, refusal
from support.http import Handler, QuietServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from support.airflow_faults import Way

PASSWORDS = {"op": "op-password", "viewer": "viewer-password"}
TLS = Path(__file__).parent / "tls"
"""Certificates that nobody signed: `local.pem` for 127.0.0.1, `elsewhere.pem` for another host."""


def tls_as(name: str) -> ssl.SSLContext:
    """For `FakeAirflow(tls=…)`: TLS with the certificate of that name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / f"{name}.pem", TLS / "key.pem")
    return context


@dataclass(frozen=True)
class Request:
    """One request as the server saw it; `status` 0 is an answer that never came."""

    method: str
    path: str
    key: str | None = None
    token: str | None = None
    status: int = 0
    has_written: bool = False


class FakeAirflow:
    """Use as a context manager. It has one DAG run with the tasks `dbt` and `results`.

    `xcoms` are the values of `dbt`, by map index and key; a retry clears them, but not the values
    of `results`. `try_number`, `states` and `notes` are of `dbt` too: each answer takes the next
    state, and keeps the last one; notes go by map index. `tries` are number, start and end of each
    try. `others` are more tasks of the DAG.

    Each request takes the next fault: a write from `faults`, a read below the DAG run from
    `read_faults`, any other, such as a login, from `other_faults`. A stall or a drip lasts
    `patience` seconds.
    """

    def __init__(
        self,
        faults: Iterable[Fault | None] = (),
        *,
        read_faults: Iterable[Fault | None] = (),
        patience: float = 30.0,
        port: int = 0,
        version: str = "3.3.2",
        map_indexes: Iterable[int] = (-1,),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.version = version
        self.version_answer: Answer | None = None
        self.dags_answer = Answer(200, {"dags": [{"dag_id": "shop"}]})
        self.date: str | None = None
        self.faults = deque(faults)
        self.read_faults = deque(read_faults)
        self.other_faults: deque[Fault | None] = deque()
        self.patience = patience
        self.requests: list[Request] = []
        self.tasks: dict[str, dict[int, dict[str, Any]]] = {
            task: {index: {} for index in map_indexes} for task in ("dbt", "results")
        }
        self.xcoms = self.tasks["dbt"]
        self.others: list[str] = []
        self.notes: dict[int, str] = {}
        self.try_number = 1
        self.tries: list[tuple[int, str | None, str | None]] | None = None
        self.states: deque[str | None] = deque(["running"])
        self.valid: dict[str, str] = {"op-0": "op", "viewer-0": "viewer"}
        self.expired: set[str] = set()
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.connections: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.airflow = self
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The variables that a relay needs to deliver here, but for the task."""
        return {
            "DBT_RELAY_AIRFLOW_URL": self.url,
            "DBT_RELAY_AIRFLOW_USERNAME": "op",
            "DBT_RELAY_AIRFLOW_PASSWORD": PASSWORDS["op"],
        }

    def __enter__(self) -> FakeAirflow:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends every connection and thread."""
        self.stopping.set()
        self._server.shutdown()
        with self.lock:
            for connection in self.connections:
                with suppress(OSError):  # the client was faster
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def retry(self) -> None:
        """Begin the next try of `dbt`: Airflow deletes what the last one left."""
        with self.lock:
            self.try_number += 1
            for values in self.xcoms.values():
                values.clear()

    def expire_tokens(self) -> None:
        with self.lock:
            self.expired |= self.valid.keys()
            self.valid.clear()

    def log(self, request: Request) -> None:
        """Keep a request before it is answered; called with the lock held."""
        self.requests.append(request)

    def writes(self) -> dict[str, list[str]]:
        """The methods of the requests for each key, in order."""
        with self.lock:
            found: dict[str, list[str]] = {}
            for request in self.requests:
                if request.key is not None:
                    found.setdefault(request.key, []).append(request.method)
            return found

    def commits(self) -> Counter[str]:
        """How often each key was written."""
        with self.lock:
            return Counter(r.key for r in self.requests if r.key is not None and r.has_written)


class _Server(QuietServer):
    daemon_threads = False
    airflow: FakeAirflow


class _Handler(Handler):
    wbufsize = -1
    server: _Server
    is_doomed = False

    def setup(self) -> None:
        super().setup()
        self.airflow = self.server.airflow
        with self.airflow.lock:
            self.airflow.connections.add(self.connection)
            if self.airflow.stopping.is_set():
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        with self.airflow.lock:
            self.airflow.connections.discard(self.connection)
        try:
            super().finish()
        finally:
            self.rfile.close()  # skipped where the client was gone before it had the whole answer

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.airflow.date or super().date_time_string(timestamp)

    def serve(self) -> None:
        body = self.content()
        request = Request(self.command, self.path)
        if self.is_doomed:
            self._reset(request)
        elif self.command == "GET" and "/dagRuns" in self.path:
            self._plainly(self.airflow.read_faults, self._read, request)
        elif self.command == "GET" or "/xcomEntries" not in self.path:
            self._plainly(self.airflow.other_faults, lambda: self._plain(body), request)
        else:
            self._write(request, body)

    def _plainly(
        self, faults: deque[Fault | None], answer_it: Callable[[], Answer], request: Request
    ) -> None:
        with self.airflow.lock:
            fault = faults.popleft() if faults else None
        answer = answer_it() if fault is None or fault.commits else fault.answer
        with self.airflow.lock:
            self.airflow.log(replace(request, status=_seen(answer, fault)))
        self._give(answer, fault)

    def _read(self) -> Answer:
        """A DAG run, a task instance, its XComs or one of them."""
        airflow = self.airflow
        path, _, query = self.path.partition("?")
        options = dict(parse_qsl(query))
        if airflow.version.startswith("3.0."):
            options.pop("map_index_filter", None)
        parts = [unquote(part) for part in path.removeprefix("/api/v2/dags/").split("/")]
        with airflow.lock:
            refusal = self._unauthorized() or self._absent(*[*parts, *[""] * 4][0:5:2])
            if refusal is not None:
                is_instance = "taskInstances" in parts and "xcomEntries" not in parts
                is_run = parts[1:2] == ["dagRuns"] and not is_instance and len(parts) <= 3
                if refusal.status == 404 and (is_instance or is_run):
                    return _absent_below(*parts[0:5:2])
                return refusal
            if len(parts) <= 3:
                return Answer(200, {"state": "running"})
            task, place = parts[4], airflow.tasks[parts[4]]
            if parts[-1] == "tries":
                return self._tries(task, int(parts[5]) if len(parts) > 6 else -1)
            if "xcomEntries" not in parts:
                index = int(parts[5]) if len(parts) > 5 else -1
                if index not in place:
                    if index >= 0:
                        return _absent_below(*parts[0:5:2])
                    return Answer(404, detail("Task instance is mapped, add the map_index value"))
                state = airflow.states.popleft() if len(airflow.states) > 1 else airflow.states[0]
                known = {"state": state, "try_number": airflow.try_number, "map_index": index}
                return Answer(200, {"task_id": task, "note": airflow.notes.get(index), **known})
            if len(parts) > 6:
                values, key = place.get(int(options.get("map_index", -1)), {}), parts[6]
                if key not in values:
                    return Answer(404, detail(f"XCom entry with key: `{key}` not found"))
                return Answer(200, {"key": key, "value": values[key]})
            found = [
                {"key": key, "map_index": index}
                for index, values in place.items()
                for key in sorted(values)
                if index == int(options.get("map_index_filter", index))
            ]
            at = int(options.get("offset", 0))
            page = found[at : at + min(100, int(options.get("limit", 50)))]
            return Answer(200, {"xcom_entries": page, "total_entries": len(found)})

    def _tries(self, task: str, index: int) -> Answer:
        airflow = self.airflow
        if airflow.tries is None:
            return Answer(404, {"error": "API route not found"})
        if index not in airflow.tasks[task]:
            known = f"task_id: `{task}` and map_index: `{index}` was not found"
            return Answer(404, detail(f"The Task Instance with dag_id: `shop`, {known}"))
        found = [
            {"try_number": number, "start_date": start, "end_date": end, "map_index": index}
            for number, start, end in airflow.tries
        ]
        return Answer(200, {"task_instances": found, "total_entries": len(found)})

    def _plain(self, body: bytes) -> Answer:
        airflow = self.airflow
        if self.path == "/api/v2/version":
            known = {"version": airflow.version, "git_version": None}
            return airflow.version_answer or Answer(200, known)
        if self.command == "PATCH":
            return self._write_note(json.loads(body))
        if self.path.partition("?")[0] == "/api/v2/dags":
            with airflow.lock:
                return self._unauthorized() or airflow.dags_answer
        if self.path.startswith("/api/v2/dags/"):
            dag, _, below = self.path.removeprefix("/api/v2/dags/").partition("/")
            every = [{"task_id": task} for task in (*airflow.tasks, *airflow.others)]
            found = {"": {"dag_id": unquote(dag)}, "tasks": {"tasks": every}}
            with airflow.lock:
                return (
                    self._unauthorized()
                    or self._absent(unquote(dag), "", "")
                    or Answer(200, found[below])
                )
        if self.path != "/auth/token" or self.command != "POST":
            return Answer(404, {"error": "API route not found"})
        login = json.loads(body)
        user = login["username"]
        if PASSWORDS.get(user) != login["password"]:
            return Answer(401, detail("Invalid credentials"))
        with airflow.lock:
            token = f"{user}-{len(airflow.valid) + len(airflow.expired)}"
            airflow.valid[token] = user
        return Answer(201, {"access_token": token})

    def _write_note(self, content: dict[str, Any]) -> Answer:
        """A task instance changed: its note and nothing else."""
        airflow = self.airflow
        path, _, query = self.path.partition("?")
        *_, dag, _, run, _, task, index = (unquote(part) for part in path.split("/"))
        with airflow.lock:
            refused = self._unauthorized()
            if refused is not None:
                return refused
            if airflow.valid[self._token()] == "viewer":
                return Answer(403, detail("Forbidden"))
            if query != "update_mask=note" or len(content["note"]) > 1000:
                return Answer(422, detail([{"msg": "String should have at most 1000 characters"}]))
            refused = self._absent(dag, run, task)
            if refused is None and int(index) not in airflow.xcoms:
                refused = Answer(404, detail([f"The Task Instance with map_index: `{index}`"]))
            if refused is None:
                airflow.notes[int(index)] = content["note"]
        return refused or Answer(200, {"task_instances": [{"task_id": task}], "total_entries": 1})

    def _write(self, request: Request, body: bytes) -> None:
        airflow = self.airflow
        _, _, key = self.path.partition("/xcomEntries/")
        content = json.loads(body)
        request = replace(request, key=content.get("key", unquote(key)), token=self._token())
        with airflow.lock:
            fault = airflow.faults.popleft() if airflow.faults else None
            answer, has_written = fault.answer if fault else Answer(500), False
            if fault is None or fault.commits:
                answer = self._refusal(request, content) or self._commit(request, content)
                has_written = answer.status in (200, 201)
            status = _seen(answer, fault)
            airflow.log(replace(request, has_written=has_written, status=status))
        self._give(answer, fault)

    def _refusal(self, request: Request, content: dict[str, Any]) -> Answer | None:
        """Why the request is refused before anything is written, in Airflow's order."""
        refused = self._unauthorized()
        if refused is not None:
            return refused
        if self.airflow.valid[request.token or ""] == "viewer":
            return Answer(403, detail("Forbidden"))
        if "value" not in content:
            return Answer(422, detail([{"loc": ["body", "value"], "msg": "Field required"}]))
        words = refusal(content.get("value"))
        if words is not None:
            error = {"loc": ["body", "value"], "msg": words, "input": content.get("value")}
            return Answer(422, detail([error]))
        return self._absent(*(unquote(p) for p in self.path.split("/")[4:9:2]))

    def _token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _unauthorized(self) -> Answer | None:
        token = self._token()
        if not token:
            return Answer(401, detail("Not authenticated"))
        if token in self.airflow.expired:
            return Answer(401, detail("Token Expired"))
        if token not in self.airflow.valid:
            return Answer(403, detail("Invalid JWT token"))
        return None

    def _absent(self, dag: str, run: str, task: str) -> Answer | None:
        if dag != "shop":
            return Answer(404, detail(f"The Dag with ID: `{dag}` was not found"))
        if run and run != "run+1":
            return Answer(404, detail(f"Dag Run with ID: `{run}` not found for dag: `{dag}`"))
        if task and task not in self.airflow.tasks:
            return Answer(404, detail(f"Task with ID: `{task}` not found in dag: `{dag}`"))
        return None

    def _commit(self, request: Request, content: dict[str, Any]) -> Answer:
        task = unquote(self.path.split("/")[8])
        values = self.airflow.tasks[task].get(content["map_index"])
        key = request.key or ""
        is_known = values is not None and key in values
        about = f"The XCom with key: `{key}` with mentioned task instance"
        if request.method == "PATCH" and not is_known:
            return Answer(404, detail(f"{about} doesn't exist."))
        if values is None:
            return CRASH
        if request.method == "POST" and is_known:
            return Answer(409, detail(f"{about} already exists."))
        values[key] = content["value"]
        return Answer(201 if request.method == "POST" else 200, {"key": key, **content})

    def _give(self, answer: Answer, fault: Fault | None) -> None:
        """Answer, in the way of the fault."""
        way = fault.way if fault else "answer"
        if way == "reset":
            self._reset(None)
        elif way in UNANSWERED:
            if way == "stall":
                self.airflow.stopping.wait(self.airflow.patience)
            self.close_connection = True
        else:
            self._send(answer, way)

    def _send(self, answer: Answer, way: Way) -> None:
        is_text = isinstance(answer.body, str)
        body = (answer.body if is_text else json.dumps(answer.body)).encode()
        kind = "application/json"
        if is_text:
            kind = "text/html" if body.startswith(b"<") else "text/plain"
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(10**9 if way == "drip" else len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if way != "answer" else body)
        self.wfile.flush()
        give_up_at = time.monotonic() + self.airflow.patience
        while way == "drip" and time.monotonic() < give_up_at:
            if self.airflow.stopping.wait(0.02):
                break
            self.wfile.write(b" ")
            self.wfile.flush()
        self.close_connection = way != "answer"
        self.is_doomed = answer.then_reset

    def _reset(self, request: Request | None) -> None:
        if request is not None:
            with self.airflow.lock:
                self.airflow.log(request)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


def _absent_below(dag: str, run: str, task: str | None = None) -> Answer:
    """The words of Airflow 3.0 to 3.3, which do not say which of the ids is missing."""
    if task is None:
        known = f"The DagRun with dag_id: `{dag}` and run_id: `{run}` was not found"
    else:
        place = f"dag_id: `{dag}`, run_id: `{run}` and task_id: `{task}`"
        known = f"The Task Instance with {place} was not found"
    return Answer(404, detail(known))


def _seen(answer: Answer, fault: Fault | None) -> int:
    """The status that the client sees; 0 if it gets no answer."""
    return 0 if fault is not None and fault.way in UNANSWERED else answer.status
