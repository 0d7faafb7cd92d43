"""JSON lines: each is written at once, and is whole whatever the disk does."""

from __future__ import annotations

import errno
import io
import json
import os
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.journals import node as record

from dbt_relay.records.schema import RunRecord
from dbt_relay.records.values import encode
from dbt_relay.sinks import Delivered, Hold, JsonlSink, Retry

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO


class Disk(io.RawIOBase):
    """Takes up to `room` bytes, and then is full."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = bytes(data)[: min(self.room, 7)]
        self.room -= len(taken)
        self.content += taken
        return len(taken)


def test_each_record_is_one_line_at_once(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text('{"old": 1}\n')
    sink = JsonlSink(path)
    for key in ("model.a", "model.b"):
        assert sink.send(record(key, message="two\nlines")) == Delivered()
        assert path.read_bytes().endswith(b"\n")
        assert json.loads(path.read_text().splitlines()[-1])["unique_id"] == key
    sink.send(RunRecord(state="finished"))
    sink.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("schema") for line in lines] == [
        None,
        "dbt-relay/node@1",
        "dbt-relay/node@1",
        "dbt-relay/run@1",
    ]


def test_a_stream_that_was_passed_in_is_not_closed() -> None:
    stream = io.BytesIO()
    sink = JsonlSink(stream)
    sink.send(record("a"))
    sink.close()
    assert json.loads(stream.getvalue()) == record("a").to_json()


@pytest.mark.parametrize("room", range(0, 200, 9))
def test_every_line_is_whole_after_a_full_disk(room: int) -> None:
    disk = Disk(room)
    sink = JsonlSink(cast("BinaryIO", disk))
    verdicts = []
    for key in "ab":
        while True:
            verdicts.append(sink.send(record(key)))
            if verdicts[-1] == Delivered():
                break
            disk.room = 1000
    lines = [json.loads(line) for line in disk.content.splitlines()]
    assert disk.content.endswith(b"\n")
    assert list(dict.fromkeys(line["unique_id"] for line in lines)) == ["a", "b"]
    failed = [v for v in verdicts if v != Delivered()]
    assert failed == [
        Retry("cannot write the JSON line: [Errno 28] No space left on device") for _ in failed
    ]
    whole = len(encode(record("a").to_json())) + 1
    assert bool(failed) == (room < 2 * whole)


def test_a_real_full_device(tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.symlink_to("/dev/full")
    sink = JsonlSink(path)
    assert isinstance(sink.send(record("a")), Retry)
    sink.close()


def test_a_pipe_without_a_reader() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as stream:
        sink = JsonlSink(cast("BinaryIO", stream))
        assert isinstance(sink.send(record("a")), Hold)
    assert isinstance(sink.send(record("a")), Hold), "a closed file is a hold, too"


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ('{"old": 1}\n', '{"old": 1}\n'), ('{"cut of', '{"cut of\n'), ("\n", "\n")],
)
def test_a_line_that_was_cut_off_does_not_join_the_next(
    tmp_path: Path, before: str, after: str
) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(before)
    sink = JsonlSink(path)
    assert sink.send(record("model.a")) == Delivered()
    sink.close()
    assert path.read_text() == after + encode(record("model.a").to_json()).decode() + "\n"


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        JsonlSink(tmp_path / "missing" / "records.jsonl")


@pytest.mark.parametrize(
    "message", ["é😀", "a\ud800b", "\0", "x" * 100_000, '{"a": "\\ud800"}'], ids=range(5)
)
def test_any_text_comes_back(message: str) -> None:
    line = encode(record("a", message=message).to_json())
    assert b"\n" not in line
    assert json.loads(line)["message"] == message


def test_any_number_comes_back() -> None:
    response = {"big": 2**70, "nan": float("nan"), "list": [float("inf"), 1.5]}
    line = encode(record("a", adapter_response=response).to_json())

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    found = json.loads(line, parse_constant=refuse)
    assert found["adapter_response"] == {"big": 2**70, "nan": None, "list": [None, 1.5]}


class TestFifo:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        os.mkfifo(tmp_path / "fifo")
        return tmp_path / "fifo"

    def test_without_a_reader_records_wait_for_one(self, path: Path) -> None:
        sink = JsonlSink(path)
        verdict = sink.send(record("a"))
        assert isinstance(verdict, Hold)
        assert f"nobody reads the FIFO {path}" in verdict.reason
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
            assert sink.send(record("a")) == Delivered()
            assert sink.send(record("b")) == Delivered()
            sink.close()
            assert [json.loads(text)["unique_id"] for text in reader] == ["a", "b"]

    def test_another_reader_can_follow_the_first(self, path: Path) -> None:
        sink = JsonlSink(path)
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb"):
            assert sink.send(record("a")) == Delivered()
        assert isinstance(sink.send(record("b")), Hold)
        assert isinstance(sink.send(record("b")), Hold)
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
            assert sink.send(record("b")) == Delivered()
            sink.close()
            assert [json.loads(text)["unique_id"] for text in reader] == ["b"]

    def test_a_slow_reader(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dbt_relay.sinks.jsonl._SLOW_READER_MS", 0)
        sink = JsonlSink(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        sent, got = 0, b""
        while sent < 50:
            verdict = sink.send(record(f"{sent}", message="x" * 10_000))
            if isinstance(verdict, Retry):
                got += os.read(reader, 25_000)
            else:
                assert verdict == Delivered()
                sent += 1
        sink.close()
        while chunk := os.read(reader, 1 << 20):
            got += chunk
        os.close(reader)
        told = dict.fromkeys(json.loads(text)["unique_id"] for text in got.splitlines())
        assert list(told) == [str(n) for n in range(50)]

    def test_a_fifo_without_write_permission(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(PermissionError):
            JsonlSink(path)
