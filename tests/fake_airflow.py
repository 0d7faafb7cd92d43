"""A small Airflow on loopback: the XCom API as 3.3 answers it, and faults on demand."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from airflow_faults import CRASH, Answer, Fault, detail, refusal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

PASSWORDS = {"op": "op-password", "viewer": "viewer-password"}


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
    """Use as a context manager. `xcoms` holds what was committed, by key, for each map index."""

    def __init__(
        self,
        faults: Iterable[Fault | None] = (),
        *,
        port: int = 0,
        version: str = "3.3.2",
        map_indexes: Iterable[int] = (-1,),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.version = version
        self.faults = deque(faults)
        self.requests: list[Request] = []
        self.xcoms: dict[int, dict[str, Any]] = {index: {} for index in map_indexes}
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

    def expire_tokens(self) -> None:
        with self.lock:
            self.expired |= self.valid.keys()
            self.valid.clear()

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


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    airflow: FakeAirflow

    def handle_error(self, *_: object) -> None:
        """A client that goes away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
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

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path)
        if self.is_doomed:
            self._reset(request)
        elif "/xcomEntries" not in self.path:
            answer = self._plain(body)
            self._record(replace(request, status=answer.status))
            self._send(answer)
        else:
            self._write(request, body)

    def _plain(self, body: bytes) -> Answer:
        airflow = self.airflow
        if self.path == "/api/v2/version":
            return Answer(200, {"version": airflow.version, "git_version": None})
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

    def _write(self, request: Request, body: bytes) -> None:
        airflow = self.airflow
        _, _, key = self.path.partition("/xcomEntries/")
        content = json.loads(body)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        request = replace(request, key=content.get("key", unquote(key)), token=token)
        with airflow.lock:
            fault = airflow.faults.popleft() if airflow.faults else None
            answer, has_written = fault.answer if fault else Answer(500), False
            if fault is None or fault.commits:
                answer = self._refusal(request, content) or self._commit(request, content)
                has_written = answer.status in (200, 201)
            is_answered = fault is None or fault.way not in ("reset", "stall")
            request = replace(request, has_written=has_written)
            airflow.requests.append(replace(request, status=answer.status * is_answered))
        way = fault.way if fault else "answer"
        if way == "answer":
            self._send(answer)
        elif way == "reset":
            self._reset(None)
        elif way == "stall":
            airflow.stopping.wait(30)
            self.close_connection = True
        else:
            self._send(answer, way)

    def _refusal(self, request: Request, content: dict[str, Any]) -> Answer | None:
        """Why the request is refused before anything is written, in Airflow's order."""
        user = self.airflow.valid.get(request.token or "")
        if not request.token:
            return Answer(401, detail("Not authenticated"))
        if request.token in self.airflow.expired:
            return Answer(401, detail("Token Expired"))
        if user is None:
            return Answer(403, detail("Invalid JWT token"))
        if user == "viewer":
            return Answer(403, detail("Forbidden"))
        words = refusal(content.get("value"))
        if words is not None:
            error = {"loc": ["body", "value"], "msg": words, "input": content.get("value")}
            return Answer(422, detail([error]))
        _, dag, _, run, _, task = (unquote(p) for p in self.path.split("/")[3:9])
        if dag != "shop":
            return Answer(404, detail(f"The Dag with ID: `{dag}` was not found"))
        if run != "run+1":
            return Answer(404, detail(f"Dag Run with ID: `{run}` not found for dag: `{dag}`"))
        if task != "dbt":
            return Answer(404, detail(f"Task with ID: `{task}` not found in dag: `{dag}`"))
        return None

    def _commit(self, request: Request, content: dict[str, Any]) -> Answer:
        values = self.airflow.xcoms.get(content["map_index"])
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

    def _record(self, request: Request) -> None:
        with self.airflow.lock:
            self.airflow.requests.append(request)

    def _send(self, answer: Answer, way: Literal["answer", "drip", "truncate"] = "answer") -> None:
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
        while way == "drip" and not self.airflow.stopping.wait(0.02):
            self.wfile.write(b" ")
            self.wfile.flush()
        self.close_connection = way != "answer"
        self.is_doomed = answer.then_reset

    def _reset(self, request: Request | None) -> None:
        if request is not None:
            self._record(request)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
