"""The calls of dbt-relay that an operator makes: for its whole command, and for some nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provider import own_environ, printed

OPTIONS = {
    "none": {},
    "values": {"flush_timeout": 60, "state_dir": "/s p", "strict_delivery": True, "live": False},
    "a list": {"sink": ["airflow", "jsonl:r.jsonl"]},
    "its own": {"grace": 1, "note": True, "resume": False, "map_index": 7, "only": "other"},
}
SCRIPT = """
import json, sys
from types import SimpleNamespace
from dbt_relay.provider import DbtRelayOperator
from dbt_relay.provider import operator

class Relay:
    records, result = {}, None
    def __init__(self, **_):
        pass
    def run(self, words):
        self.words[:] = words
        return 0

operator.Relay = Relay
own = SimpleNamespace(xcom_push=None, try_number=1, map_index=3)
found = {}
for name, options in json.loads(sys.argv[1]).items():
    task = DbtRelayOperator(
        task_id="dbt", command="dbt build", select="{{ which }}", relay_options=options
    )
    again = task.call_for("orders", {"which": "+orders"})
    Relay.words = []
    task.select = "+orders"
    task.execute({"ti": own})
    found[name] = {"whole": Relay.words, "again": again.words}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Any:
    environ = own_environ(tmp_path_factory.mktemp("airflow"))
    return printed(["-c", SCRIPT, json.dumps(OPTIONS)], environ)


def parts(words: list[str]) -> tuple[list[str], list[str]]:
    """The options of `dbt-relay run`, and dbt's command."""
    start, end = words.index("run") + 1, words.index("--")
    return words[start:end], words[end + 1 :]


@pytest.mark.parametrize("name", OPTIONS)
def test_both_calls_have_the_same_command_and_the_relay_options(calls: Any, name: str) -> None:
    (whole, command), (again, of_nodes) = (parts(calls[name][c]) for c in ("whole", "again"))
    assert command == of_nodes == ["dbt", "build", "--select", "+orders"]
    of_the_task = {"--map-index=3", "--no-note", "--resume"}
    assert {w for w in whole if w not in of_the_task} - {"--only=other"} == {*again} - {
        "--only=orders"
    }
    assert "--only=orders" in again


def test_relay_options_become_options(calls: Any) -> None:
    assert {"--flush-timeout=60", "--state-dir=/s p", "--strict-delivery", "--no-live"} <= {
        *calls["values"]["again"]
    }
    assert calls["a list"]["whole"].count("--sink=airflow") == 1
    assert "--sink=jsonl:r.jsonl" in calls["a list"]["again"]


def test_relay_options_win_over_the_operator(calls: Any) -> None:
    whole, _ = parts(calls["its own"]["whole"])
    assert sorted(whole) == sorted(
        ["--grace=1", "--map-index=7", "--note", "--no-resume", "--only=other"]
    )
    again, _ = parts(calls["its own"]["again"])
    assert again[-1] == "--only=orders"
    assert "--grace=1" in again
