"""Relays that share a state folder: the death of one is no other's trouble, and nothing of it is
lost."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.journals import info, node
from support.scripts import let_go, line_of, outputs, race, start

from dbt_relay.sinks import Delivery, Journal, JsonlSink
from dbt_relay.sinks.journal import history

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

RELAY = """
import sys
from pathlib import Path
from support.journals import node
from dbt_relay.sinks import Delivery, Journal, JsonlSink, RunInfo

folder, out, me, records = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
sink = JsonlSink(out)
notes = []
started = "2026-01-02T03:04:05.000006Z"
with Journal(folder, notes.append) as journal:
    info = RunInfo(command=("dbt", me), started_at=started, sinks={sink.name: sink.address})
    with Delivery(journal.begin(info), [sink]) as delivery:
        for number in range(records):
            delivery.put(node(f"{me}.{number}", message="x" * 500))
            if number % 10 == 0:
                print(number, flush=True)
                sys.stdin.readline()
        delivery.flush(30)
        assert delivery.figures()[0].is_complete
    assert journal.trouble is None and notes == [], notes
print("done")
"""
DELIVER = """
import sys
from pathlib import Path
from dbt_relay.sinks import Delivery, Journal, JsonlSink
from dbt_relay.sinks.journal import history

print("ready", flush=True)
sys.stdin.readline()
with Journal(Path(sys.argv[1])) as journal:
    adopted = 0
    for past in reversed(history.runs(journal)):
        run = journal.adopt(past.number) if past.is_waiting else None
        if run is None:
            continue
        adopted += 1
        (name, address), = run.info.sinks.items()
        with Delivery(run, [JsonlSink(Path(address["path"]), name)]) as delivery:
            delivery.flush(30)
        run.close()
print(adopted)
"""


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def keys(out: Path) -> Counter[str]:
    lines = out.read_bytes().splitlines() if out.exists() else []
    return Counter(json.loads(line)["unique_id"] for line in lines)


@pytest.mark.parametrize("rounds", [1, 7])
def test_one_of_two_is_killed(tmp_path: Path, rounds: int) -> None:
    folder, outs = tmp_path / "state", [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    survivor, victim = (
        start(RELAY, folder, out, name, 200) for out, name in zip(outs, "ab", strict=True)
    )
    try:
        for _ in range(rounds):
            for process in (survivor, victim):
                line_of(process)
                let_go(process)
        committed = int(line_of(victim)) + 1
        with Journal(folder, pytest.fail) as journal:
            assert {past.state for past in history.runs(journal)} == {"running"}
            assert [journal.adopt(past.number) for past in history.runs(journal)] == [None, None]
        kill(victim)

        with Journal(folder, pytest.fail) as journal:
            dead, alive = sorted(history.runs(journal), key=lambda past: past.has_owner)
            assert (dead.info.command[1], dead.state) == ("b", "died")
            assert (alive.info.command[1], alive.state) == ("a", "running")
            assert journal.adopt(alive.number) is None
            run = journal.adopt(dead.number)
            assert run is not None, "the dead hold on to nothing"
            assert run.lost == 0
            there = history.records(journal, run.number)
            assert there.keys() == {f"b.{number}" for number in range(committed)}
            (name,) = run.info.sinks
            with Delivery(run, [JsonlSink(outs[1], name)]) as delivery:
                delivery.flush(30)
                assert delivery.figures()[0].is_complete
            run.close()
        assert {*keys(outs[1])} == {*there}
        assert keys(outs[1]).total() <= committed + 1, "twice only what was on its way"

        for _ in range(20 - rounds):
            line_of(survivor)
            let_go(survivor)
        assert outputs([survivor]) == ["done\n"]
    finally:
        for process in (survivor, victim):
            kill(process)
    assert keys(outs[0]) == Counter(f"a.{number}" for number in range(200)), "nothing twice"


def test_a_deliver_beside_a_live_run_leaves_it_alone(tmp_path: Path) -> None:
    folder, out = tmp_path / "state", tmp_path / "a.jsonl"
    relay, beside = start(RELAY, folder, out, "a", 30), start(DELIVER, folder)
    try:
        assert line_of(relay) == "0"
        line_of(beside)
        let_go(beside)
        assert outputs([beside]) == ["0\n"]
        for _ in range(3):
            let_go(relay)
            line_of(relay)
        outputs([relay])
    finally:
        kill(relay)
        kill(beside)
    assert keys(out) == Counter(f"a.{number}" for number in range(30))


def test_two_delivers_at_once_send_each_record_once(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with Journal(folder, pytest.fail) as journal:
        for name in "abcdef":
            out = JsonlSink(tmp_path / f"{name}.jsonl")
            out.close()
            run = journal.begin(info((out.name,)))
            for number in range(100):
                run.put(node(f"{name}.{number}"), 0)
            run.close()
        # What was on the disk when a relay lived is where the next one finds its sink.
        for name in "abcdef":
            path = str(tmp_path / f"{name}.jsonl")
            journal.database.execute(
                "update sink set address = ? where name = ?",
                (json.dumps({"path": path}), f"jsonl:{path}"),
            )
    race([start(DELIVER, folder) for _ in range(2)])
    for name in "abcdef":
        assert keys(tmp_path / f"{name}.jsonl") == Counter(f"{name}.{n}" for n in range(100))
