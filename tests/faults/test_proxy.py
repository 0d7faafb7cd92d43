"""A proxy that wants a login gets it, on the way to http:// and to https:// (CONNECT)."""

from __future__ import annotations

import base64
import http.client
import select
import socket
import ssl
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from support.fake_airflow import FakeAirflow

from dbt_relay.records.schema import NodeRecord
from dbt_relay.sinks.airflow import proxy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Relay

    MakeRelay = Callable[..., Relay]

TLS = Path(__file__).parent / "tls"
KEY = "model.shop.a"
RECORD = NodeRecord(unique_id=KEY, status="success", outcome="success")
USER, PASSWORD = "DOMAIN\\me", "p@ss:w/ö%"
SPELLED = "DOMAIN%5Cme:p%40ss%3Aw%2F%C3%B6%25"


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    refused: list[str]

    def _may_pass(self) -> bool:
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Proxy-Authorization") == f"Basic {pair}":
            return True
        self.refused.append(self.path)
        self.send_response(407)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_CONNECT(self) -> None:
        if not self._may_pass():
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            ends = {self.connection: there, there: self.connection}
            while True:
                for end in select.select([*ends], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    ends[end].sendall(data)

    def _pass_on(self) -> None:
        if not self._may_pass():
            return
        to = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        there = http.client.HTTPConnection(to.hostname or "", to.port or 80)
        headers = {k: v for k, v in self.headers.items() if not k.startswith("Proxy-")}
        there.request(self.command, f"{to.path}?{to.query}".rstrip("?"), body, headers)
        answer = there.getresponse()
        content = answer.read()
        there.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_PATCH(self) -> None:
        self._pass_on()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with suppress(OSError):
            super().process_request_thread(request, client_address)


@pytest.fixture
def refused() -> list[str]:
    return []


@pytest.fixture
def proxy(refused: list[str]) -> Iterator[str]:
    """Its host and port; what it refuses is in `refused`."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Proxy,), {"refused": refused}))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["http", "https"])
def airflow(request: pytest.FixtureRequest) -> Iterator[FakeAirflow]:
    context = None
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "local.pem", TLS / "key.pem")
    with FakeAirflow(tls=context) as server:
        yield server


@pytest.mark.parametrize("place", ["option", "HTTP(S)_PROXY", "ALL_PROXY"])
def test_a_login_is_sent(
    relay: MakeRelay, proxy: str, refused: list[str], airflow: FakeAirflow, place: str
) -> None:
    address = f"http://{SPELLED}@{proxy}"
    environ = {"all_proxy": address} if place == "ALL_PROXY" else {}
    if place == "HTTP(S)_PROXY":
        environ = dict.fromkeys(("http_proxy", "https_proxy"), address)
    chosen = proxy_of(airflow.url, address if place == "option" else None, environ)
    made = relay(airflow.url, proxy=chosen, ca_file=TLS / "local.pem")
    assert made.send([RECORD]).is_complete
    assert airflow.xcoms[-1].keys() == {KEY}
    assert refused == []


@pytest.mark.parametrize("login", ["", f"{SPELLED}x@", "DOMAIN%5Cme@"])
def test_a_wrong_login_is_told_without_it(
    relay: MakeRelay, proxy: str, refused: list[str], airflow: FakeAirflow, login: str
) -> None:
    made = relay(airflow.url, proxy=f"http://{login}{proxy}", ca_file=TLS / "local.pem")
    reason = made.send([RECORD]).waiting[KEY]
    assert reason.startswith(f"the proxy to Airflow at {airflow.url} wants a login: see --proxy")
    assert "DOMAIN" not in reason
    assert refused
    assert not airflow.requests
