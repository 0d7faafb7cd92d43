"""What the operator keeps in Airflow's state store, against a store in memory."""

from __future__ import annotations

from typing import Any

import pytest

from provider import own_environ, printed

SCRIPT = """
import json, logging, random, string
from dbt_relay.provider.record_store import RecordStore

class Store(dict):
    def set(self, key, value):
        self.sets = getattr(self, "sets", 0) + 1
        self[key] = value

class Full(Store):
    def set(self, key, value):
        raise RuntimeError("the store is full")

log, now = logging.getLogger("test"), [0.0]
text = lambda: "".join(random.choices(string.ascii_letters, k=500))
store = Store()
first = RecordStore(store, 1, log, lambda: now[0])
written = [(f"model.p.m{n % 300}", {"n": n, "text": text()}) for n in range(400)]
for key, value in written:
    now[0] += 1.0
    first.add(key, value)
before_the_end = RecordStore(store, 2, log).earlier()
first.save()
first.save()
second = RecordStore(store, 2, log, lambda: now[0])
told = second.earlier()
sets = store.sets
unstarted = RecordStore(store, 3, log).earlier() == told
second.add("a", {"n": "of attempt 2"})
second.save()
full = RecordStore(Full(), 1, log)
full.add("a", {})
full.save()
print(json.dumps({
    "before the end": len(before_the_end),
    "told": [value["n"] for value in told],
    "longest": max(len(v) for v in store.values() if isinstance(v, str)),
    "sets": sets,
    "unstarted": unstarted,
    "second": RecordStore(store, 3, log).earlier(),
    "none": RecordStore(Store(), 1, log).earlier(),
}))
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return printed(["-c", SCRIPT], own_environ(tmp_path_factory.mktemp("airflow")))


def test_a_later_attempt_gets_every_record_in_order(kept: dict[str, Any]) -> None:
    assert kept["told"] == list(range(400))
    assert kept["before the end"] >= 390, "a killed worker leaves all but the last ten seconds"


def test_values_stay_small_and_few(kept: dict[str, Any]) -> None:
    assert kept["longest"] < 65_535
    assert kept["sets"] <= 2 * 41


def test_only_the_newest_attempt_that_has_kept_something_counts(kept: dict[str, Any]) -> None:
    assert kept["unstarted"] is True
    assert kept["second"] == [{"n": "of attempt 2"}]
    assert kept["none"] == []
