"""A proxy that wants a login gets it, on the way to http:// and to https:// (CONNECT)."""

from __future__ import annotations

import base64
import http.client
import select
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from support.fake_airflow import TLS, FakeAirflow, tls_as
from support.http import Handler, serving
from support.records import node

from dbt_relay.sinks.airflow import proxy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Relay

    MakeRelay = Callable[..., Relay]

KEY = "model.shop.a"
RECORD = node(KEY)
USER, PASSWORD = "DOMAIN\\me", "p@ss:w/ö%"
SPELLED = "DOMAIN%5Cme:p%40ss%3Aw%2F%C3%B6%25"


class _Proxy(Handler):
    refused: list[str]

    def _may_pass(self) -> bool:
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Proxy-Authorization") == f"Basic {pair}":
            return True
        self.refused.append(self.path)
        self.answer(407)
        return False

    def serve(self) -> None:
        if not self._may_pass():
            return
        if self.command == "CONNECT":
            self._tunnel()
        else:
            self._pass_on()

    def _tunnel(self) -> None:
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
        to = urlsplit(self.path)
        body = self.content()
        there = http.client.HTTPConnection(to.hostname or "", to.port or 80)
        headers = {k: v for k, v in self.headers.items() if not k.startswith("Proxy-")}
        there.request(self.command, f"{to.path}?{to.query}".rstrip("?"), body, headers)
        answer = there.getresponse()
        content = answer.read()
        there.close()
        self.answer(answer.status, content, answer.headers.get("Content-Type", ""))


@pytest.fixture
def refused() -> list[str]:
    return []


@pytest.fixture
def proxy(refused: list[str]) -> Iterator[str]:
    """Its host and port; what it refuses is in `refused`."""
    with serving(type("_", (_Proxy,), {"refused": refused})) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(params=["http", "https"])
def airflow(request: pytest.FixtureRequest) -> Iterator[FakeAirflow]:
    with FakeAirflow(tls=tls_as("local") if request.param == "https" else None) as server:
        yield server


@pytest.mark.parametrize("place", ["option", "HTTP(S)_PROXY", "ALL_PROXY"])
def test_a_login_is_sent(
    airflow: FakeAirflow, proxy: str, refused: list[str], relay: MakeRelay, place: str
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
    airflow: FakeAirflow, proxy: str, refused: list[str], relay: MakeRelay, login: str
) -> None:
    made = relay(airflow.url, proxy=f"http://{login}{proxy}", ca_file=TLS / "local.pem")
    reason = made.send([RECORD]).waiting[KEY]
    assert reason.startswith(f"the proxy to Airflow at {airflow.url} wants a login: see --proxy")
    assert "DOMAIN" not in reason
    assert refused
    assert not airflow.requests
