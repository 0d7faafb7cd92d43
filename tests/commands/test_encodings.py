"""What is printed where the terminal has not every character."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.command import RELAY
from support.environment import clean_environment
from support.fake_airflow import FakeAirflow
from support.logs import BEGIN, line
from support.records import node
from support.timing import PATIENCE

from dbt_relay.records.xcom import xcom_key

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("日本語", "Ümsätze", "a\ud800b", "smile 🙂", "line\u2028sep")
MESSAGE = "Database Error\n  column “größe” 不存在"
PLACES: dict[str, dict[str, str]] = {
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "utf-8": {"PYTHONIOENCODING": "utf-8:strict"},
    "LANG=C": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


def dbt_log() -> bytes:
    events = [BEGIN]
    for number, name in enumerate(NAMES):
        info = {"unique_id": f"model.shop.{name}", "node_name": name, "resource_type": "model"}
        result = {"status": "error" if number % 2 else "success", "message": MESSAGE}
        events.append(line("NodeStart", {"node_info": info}))
        events.append(line("NodeFinished", {"node_info": info, "run_result": result}))
    return b"".join(events)


def relay(place: str, *command: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    clean = clean_environment("PYTHONIOENCODING", "PYTHONUTF8", "LC_")
    return subprocess.run(
        [*RELAY, *command],
        env={**clean, **PLACES[place], **env},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("place", PLACES)
def test_a_run_is_shown(place: str, tmp_path: Path) -> None:
    log = tmp_path / "dbt.log"
    log.write_bytes(dbt_log())
    state = {"DBT_RELAY_STATE_DIR": str(tmp_path / "state")}
    replayed = relay(place, "replay", "--sink", f"jsonl:{tmp_path}/o.jsonl", str(log), **state)
    assert replayed.returncode == 0, replayed.stderr
    for command in (["show"], ["runs"]):
        done = relay(place, *command, **state)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    shown = relay(place, "show", **state).stdout
    assert shown.count(b"model.shop.") >= len(NAMES)
    if place in ("latin-1", "cp1252"):
        assert rb"\u65e5\u672c\u8a9e" in shown
        assert "Ümsätze".encode(place) in shown
    else:  # click takes an ASCII terminal for one of UTF-8 that nobody has set up
        assert "日本語".encode() in shown


@pytest.mark.parametrize("place", PLACES)
def test_who_waits_ends_as_the_node_did(place: str) -> None:
    with FakeAirflow() as server:
        server.states[0] = "running"
        at = ("--dag-id", "shop", "--run-id", "run+1", "--task-id", "dbt", "--poll", "0.1")
        for name, status, code in (("日本語", "success", 0), ("größe", "error", 1)):
            unique_id = f"model.shop.{name}"
            record = node(unique_id, status, name=name, attempt=1, message=MESSAGE)
            server.xcoms[-1][xcom_key(unique_id)] = record.to_json()
            done = relay(place, "wait", *at, unique_id, **server.env)
            assert done.returncode == code, done.stderr
            assert b"Traceback" not in done.stderr
        undecodable = relay(place, "wait", *at, os.fsdecode(b"orders.\xe9"), **server.env)
        assert undecodable.returncode == 64
        assert b"is not a unique_id" in undecodable.stderr
