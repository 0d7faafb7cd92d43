"""Delivery to a scripted Airflow on loopback, with time-outs short enough for tests."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from support.fake_airflow import PASSWORDS, FakeAirflow
from support.journals import deliver
from support.settings import airflow_at
from support.timing import wait_until

from dbt_relay.sinks import Figures
from dbt_relay.sinks.airflow import Login
from dbt_relay.sinks.airflow.sink import AirflowSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from dbt_relay.records.schema import Record

LOGIN = Login(username="op", password=PASSWORDS["op"])


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait_until(lambda: set(threading.enumerate()) <= before, "the end of each thread")


@pytest.fixture
def server() -> Iterator[FakeAirflow]:
    with FakeAirflow() as running:
        yield running


class Relay:
    """A delivery to one Airflow, as `dbt-relay run` sets it up but for waits that are short."""

    def __init__(self, url: str, login: Login = LOGIN, **settings: Any) -> None:
        self.warnings: list[str] = []
        self.pauses: list[float] = []
        self.sink = AirflowSink(airflow_at(url, login=login, **settings), self.warnings.append)
        self.delivery = deliver([self.sink], jitter=self._jitter)

    def _jitter(self, low: float, high: float) -> float:
        self.pauses.append(high)
        return 0.01

    def send(self, records: Iterable[Record], timeout: float = 5.0) -> Figures:
        """Put the records, wait until nothing more comes to pass, say what became of them.

        Each record is tried once, however short the time-out is for the machine.
        """
        for record in records:
            self.delivery.put(record)
        self.delivery.flush(timeout)
        self.wait_until_tried()
        return self.delivery.figures()[0]

    def settle(self, server: FakeAirflow, *records: Record) -> None:
        """Send, and hold what the server has against the truth."""
        figures = self.send(records)
        truth = {record.key: record.to_json() for record in records}
        assert server.xcoms[-1] == truth
        assert figures.is_complete
        assert figures.delivered == len(truth)
        self.assert_nothing_leaks(figures, server)

    def wait_until_tried(self) -> None:
        """Wait until every record has been tried at least once."""
        wait_until(lambda: "not sent yet" not in self.delivery.figures()[0].waiting.values())

    def assert_nothing_leaks(self, figures: Figures, server: FakeAirflow) -> None:
        """No message, token or password in what is said."""
        secrets = ["select", "SELECT", "Bearer", *PASSWORDS.values()]
        secrets += [*server.valid, *server.expired]
        for reason in [*figures.waiting.values(), *figures.rejected.values(), *self.warnings]:
            assert not [secret for secret in secrets if secret in reason], reason


@pytest.fixture
def relay() -> Iterator[Callable[..., Relay]]:
    """Makes relays, and closes them at the end.

    A test with TLS asks for its server first, so that the server ends last: Python (3.11) leaves
    the socket of a TLS connection that is reset before its first byte to the garbage collector.
    """
    relays: list[Relay] = []

    def make(url: str, login: Login = LOGIN, **settings: Any) -> Relay:
        relays.append(Relay(url, login, **settings))
        return relays[-1]

    yield make
    for made in relays:
        made.delivery.close()
        made.sink.close()
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("relay-")]
    wait_until(lambda: not any(worker.is_alive() for worker in workers), "the end of the workers")
