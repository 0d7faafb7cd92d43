"""Any sequence of faults: in the end the server holds the newest record of each key."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from support import airflow_faults as fake
from support.fake_airflow import FakeAirflow
from support.journals import deliver

from dbt_relay.records.schema import NodeRecord, Record, RunRecord
from dbt_relay.sinks import Delivery, Figures

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Relay

PASSING = (
    fake.CLOSED,
    fake.RESET,
    fake.RESET_AFTER_COMMIT,
    fake.TRUNCATED,
    fake.EXPIRED,
    fake.INVALID_TOKEN,
    fake.DATABASE_LOCK,
    fake.CRASHED,
    fake.BAD_GATEWAY,
    fake.UNAVAILABLE,
    fake.answering(429, {}, Retry_After="0"),
    fake.answering(429, {}, Retry_After="Thu, 01 Jan 1970 00:00:00 GMT"),
    None,
)
SLOW = (fake.STALL, fake.STALL_AFTER_COMMIT, fake.DRIP)
HOLDING = (fake.LOGIN_PAGE, fake.REDIRECT, fake.FORBIDDEN)


def flushed(delivery: Delivery) -> Figures:
    """The figures at the end. Each flush tries once more what is held."""
    for _ in range(12):
        delivery.flush(5)
        if delivery.figures()[0].is_complete:
            break
    return delivery.figures()[0]


@pytest.mark.parametrize("seed", range(20))
def test_a_random_schedule_ends_with_the_truth(relay: Callable[..., Relay], seed: int) -> None:
    chance = random.Random(seed)
    faults = chance.choices(PASSING, k=25) + chance.choices(HOLDING, k=2)
    faults += [chance.choice(SLOW)]
    chance.shuffle(faults)
    truth: dict[str, Record] = {}
    sequences: dict[str, int] = {}
    with FakeAirflow(faults) as server:
        made = relay(server.url)
        for _ in range(40):
            key = f"model.shop.n{chance.randrange(15)}"
            sequences[key] = sequences.get(key, 0) + 1
            truth[key] = NodeRecord(
                unique_id=key, status="error", outcome="failure", sequence=sequences[key]
            )
            made.delivery.put(truth[key])
            if chance.random() < 0.3:
                made.delivery.flush(0.01)
        truth[RunRecord.key] = RunRecord(state="finished")
        made.delivery.put(truth[RunRecord.key])
        figures = flushed(made.delivery)
        assert figures.is_complete, figures
        assert server.xcoms[-1] == {key: record.to_json() for key, record in truth.items()}
        assert figures.delivered == figures.records == len(sequences)


def test_two_workers_never_write_one_key_at_once_and_end_with_the_truth(
    relay: Callable[..., Relay],
) -> None:
    chance = random.Random(7)
    truth: dict[str, Record] = {}
    with FakeAirflow(chance.choices(PASSING, k=30)) as server:
        made = relay(server.url)
        with deliver([made.sink], workers=4, jitter=lambda *_: 0.0) as delivery:
            for sequence in range(1, 60):
                key = f"model.shop.n{chance.randrange(6)}"
                truth[key] = NodeRecord(
                    unique_id=key, status="error", outcome="failure", sequence=sequence
                )
                delivery.put(truth[key])
            assert flushed(delivery).is_complete
        assert server.xcoms[-1] == {key: record.to_json() for key, record in truth.items()}
