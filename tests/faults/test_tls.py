"""TLS as people meet it: what each mistake is called, and that a good certificate works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.fake_airflow import TLS, FakeAirflow, tls_as
from support.http import Handler, serving
from support.records import node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Relay

    MakeRelay = Callable[..., Relay]

KEY = "model.shop.a"
RECORD = node(KEY)


@pytest.fixture(params=["local"])
def secure(request: pytest.FixtureRequest) -> Iterator[FakeAirflow]:
    """A fake Airflow that speaks TLS, with the certificate that the parameter names."""
    with FakeAirflow(tls=tls_as(request.param)) as server:
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


def test_a_ca_file_without_certificates(
    server: FakeAirflow, relay: MakeRelay, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    url = server.url.replace("http:", "https:")
    reason = relay(url, ca_file=wrong).send([RECORD]).waiting[KEY]
    assert reason == f"{wrong} holds no certificates that can be read: see --ca-file"


class _Proxy(Handler):
    seen: list[str]

    def serve(self) -> None:
        self.seen.append(self.path)
        self.answer(407)


def test_a_proxy_that_wants_a_login(relay: MakeRelay) -> None:
    seen: list[str] = []
    with serving(type("_", (_Proxy,), {"seen": seen})) as port:
        url = f"http://someone:the-proxys-password@127.0.0.1:{port}"
        made = relay("https://airflow.invalid", proxy=url)
        reason = made.send([RECORD]).waiting[KEY]
    assert set(seen) == {"airflow.invalid:443"}
    assert reason.startswith("the proxy to Airflow at https://airflow.invalid wants a login: see")
    assert "password" not in reason


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://no..host"])
def test_an_address_that_cannot_be_called(relay: MakeRelay, url: str) -> None:
    reason = relay(url).send([RECORD]).waiting[KEY]
    assert reason == f"Airflow at {url} cannot be called: see DBT_RELAY_AIRFLOW_URL"
