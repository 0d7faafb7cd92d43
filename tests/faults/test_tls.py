"""TLS as people meet it: what each mistake is called, and that a good certificate works."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.fake_airflow import FakeAirflow

from dbt_relay.records.schema import NodeRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Relay

    MakeRelay = Callable[..., Relay]

TLS = Path(__file__).parent / "tls"
KEY = "model.shop.a"
RECORD = NodeRecord(unique_id=KEY, status="success", outcome="success")


@pytest.fixture(params=["local"])
def secure(request: pytest.FixtureRequest) -> Iterator[FakeAirflow]:
    """A fake Airflow that speaks TLS, with the certificate that the parameter names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / f"{request.param}.pem", TLS / "key.pem")
    with FakeAirflow(tls=context) as server:
        yield server


def test_a_certificate_that_is_known(secure: FakeAirflow, relay: MakeRelay) -> None:
    made = relay(secure.url, ca_file=TLS / "local.pem")
    assert made.send([RECORD]).is_complete
    assert secure.writes() == {KEY: ["POST"]}


def test_a_certificate_that_is_not_known(secure: FakeAirflow, relay: MakeRelay) -> None:
    reason = relay(secure.url).send([RECORD]).waiting[KEY]
    assert "not trusted here (self-signed certificate)" in reason
    assert "--ca-file" in reason
    assert not secure.requests


@pytest.mark.parametrize("secure", ["elsewhere"], indirect=True)
def test_a_certificate_for_another_host(secure: FakeAirflow, relay: MakeRelay) -> None:
    reason = relay(secure.url, ca_file=TLS / "elsewhere.pem").send([RECORD]).waiting[KEY]
    assert "mismatch" in reason
    assert "--airflow-url" in reason
    assert not secure.requests


def test_a_ca_file_without_certificates(relay: MakeRelay, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    with FakeAirflow() as server:
        url = server.url.replace("http:", "https:")
        reason = relay(url, ca_file=wrong).send([RECORD]).waiting[KEY]
    assert reason == f"{wrong} holds no certificates that can be read: see --ca-file"


class _Proxy(BaseHTTPRequestHandler):
    seen: list[str]

    def do_CONNECT(self) -> None:
        self.seen.append(self.path)
        self.send_response(407)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_proxy_that_wants_a_login(relay: MakeRelay) -> None:
    seen: list[str] = []
    handler = type("Handler", (_Proxy,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.02,))
        thread.start()
        try:
            url = f"http://someone:the-proxys-password@127.0.0.1:{proxy.server_address[1]}"
            made = relay("https://airflow.invalid", proxy=url)
            reason = made.send([RECORD]).waiting[KEY]
        finally:
            proxy.shutdown()
            thread.join()
    assert set(seen) == {"airflow.invalid:443"}
    assert reason.startswith("the proxy to Airflow at https://airflow.invalid wants a login: see")
    assert "password" not in reason


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://no..host"])
def test_an_address_that_cannot_be_called(relay: MakeRelay, url: str) -> None:
    reason = relay(url).send([RECORD]).waiting[KEY]
    assert reason == f"Airflow at {url} cannot be called: see DBT_RELAY_AIRFLOW_URL"
