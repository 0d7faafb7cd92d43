"""`dbt-relay replay` of whatever people give it: how it is packed, and what is no log at all."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shlex
import subprocess
import sys
import threading
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from click.testing import CliRunner
from support.environment import forget_settings
from support.logs import fold, log

from dbt_relay.cli.main import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.command import Shell

KEY = "1.11.16/build_fail_info"
LOG = log(KEY)
TEXT_LOG = b"""

============================== 12:00:00.123456 | 11d3a8ab-4d1c-4b9e-9a4e-3f6a1f0b2c3d ==============
\x1b[0m12:00:00.123456 [info ] [MainThread]: Running with dbt=1.11.16
\x1b[0m12:00:00.223456 [debug] [MainThread]: running dbt with arguments {'quiet': 'False'}
"""
V2_TEXT = b"""dbt-fusion 2.0.0-preview.196
   Loading profiles.yml
 Succeeded [  0.05s] model main.a (view)

==================== Execution Summary =====================
Finished 'run' successfully for target 'dev' [607ms]
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str
    records: dict[str, dict[str, Any]]


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    forget_settings(monkeypatch)
    path = tmp_path / "records.jsonl"

    def run(source: str | Path = "-", stdin: bytes = b"") -> Done:
        path.unlink(missing_ok=True)
        arguments = ["replay", "--sink", f"jsonl:{path}", str(source)]
        done = CliRunner().invoke(cli, arguments, input=stdin, standalone_mode=False)
        assert done.exception is None, done.exception
        lines = path.read_bytes().splitlines() if path.exists() else []
        records = [json.loads(line) for line in lines]
        nodes = {r["unique_id"]: r for r in records if "unique_id" in r}
        return Done(done.return_value, done.stdout, done.stderr, nodes)

    return run


@pytest.fixture
def expected(replay: Callable[..., Done], tmp_path: Path) -> Done:
    (tmp_path / "plain.log").write_bytes(LOG)
    done = replay(tmp_path / "plain.log")
    assert len(done.records) > 20
    return done


def entry(line: str) -> dict[str, Any]:
    """A line as Google's Cloud Logging keeps it: as an object where it is JSON."""
    is_json = line.startswith("{")
    payload = {"jsonPayload": json.loads(line)} if is_json else {"textPayload": line}
    return {"insertId": "1", **payload, "resource": {"labels": {}, "type": "k8s_container"}}


LINES = LOG.decode().splitlines()
ENTRIES = [entry(line) for line in LINES]
AS_TEXT = [{"textPayload": line, "labels": {"a": '["{'}} for line in LINES]
HALF = LOG.index(b"\n", len(LOG) // 2) + 1
FORMS: dict[str, bytes] = {
    "plain": LOG,
    "gzip": gzip.compress(LOG),
    "gzip in parts": gzip.compress(LOG[:HALF]) + gzip.compress(LOG[HALF:]),
    "gzip, padded": gzip.compress(LOG) + b"\0" * 5000,
    "xz": lzma.compress(LOG),
    "bzip2": bz2.compress(LOG[:HALF]) + bz2.compress(LOG[HALF:]),
    "UTF-8 with a mark": b"\xef\xbb\xbf" + LOG,
    "UTF-16 little-endian": b"\xff\xfe" + LOG.decode().encode("utf-16-le"),
    "UTF-16 big-endian": b"\xfe\xff" + LOG.decode().encode("utf-16-be"),
    "UTF-16 without a mark": LOG.decode().encode("utf-16-le"),
    "UTF-32": LOG.decode().encode("utf-32"),
    "gcloud": json.dumps(ENTRIES, indent=2).encode(),
    "gcloud, its lines as text": json.dumps(AS_TEXT, indent=2).encode(),
    "gcloud, several lists": b"".join(json.dumps([e], indent=4).encode() for e in ENTRIES),
    "gcloud, in one line, gzip": gzip.compress(json.dumps(ENTRIES).encode()),
    "jq": b"\n".join(json.dumps(e, indent=2).encode() for e in ENTRIES),
    "UTF-16 of Windows, gzip": gzip.compress(LOG.decode().replace("\n", "\r\n").encode("utf-16")),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["file", "standard input", "FIFO", "pipe by its name"])
def test_however_it_comes(
    replay: Callable[..., Done], expected: Done, tmp_path: Path, form: str, way: str
) -> None:
    data = FORMS[form]
    if way == "file":
        (tmp_path / "it").write_bytes(data)
        done = replay(tmp_path / "it")
    elif way == "standard input":
        done = replay("-", data)
    else:
        read, write = os.pipe()
        if way == "FIFO":
            os.mkfifo(tmp_path / "it")
            source: Any = tmp_path / "it"
        else:
            source = f"/dev/fd/{read}"

        def pour() -> None:
            out = os.open(source, os.O_WRONLY) if way == "FIFO" else write
            with open(out, "wb", buffering=0) as file:
                file.writelines(data[at : at + 1000] for at in range(0, len(data), 1000))

        writer = threading.Thread(target=pour)
        writer.start()
        done = replay(source)
        writer.join()
        os.close(read)
        if way == "FIFO":
            os.close(write)
    assert (done.code, done.err) == (0, "")
    assert done.records == expected.records
    assert done.out == expected.out


PACKED = gzip.compress(LOG)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "its gzip data is damaged"),
        (PACKED[:-4] + b"\1\0\0\0", "its gzip data is damaged"),
        (PACKED[:-3], "its gzip data breaks off"),
        (PACKED + b"garbage", "other data follows its gzip data"),
        (PACKED + b"\x1f", "its gzip data breaks off"),
        (PACKED + PACKED[:2], "its gzip data breaks off"),
        (lzma.compress(LOG)[:-12], "its xz data breaks off"),
        (bz2.compress(LOG) + b"BZ", "its bzip2 data breaks off"),
    ],
)
def test_a_damaged_end_costs_no_record(
    replay: Callable[..., Done], expected: Done, tmp_path: Path, data: bytes, words: str
) -> None:
    path = tmp_path / "it.gz"
    path.write_bytes(data)
    for name, done in ((path, replay(path)), ("standard input", replay("-", data))):
        assert done.code == 0
        assert done.records == expected.records
        (said,) = done.err.splitlines()
        assert said.startswith(f"relay: {name} cannot be read to its end: {words}")


def test_what_stands_before_damage_is_read(replay: Callable[..., Done], expected: Done) -> None:
    at = len(PACKED) * 9 // 10
    done = replay("-", PACKED[:at] + b"\xff" * 50 + PACKED[at:])
    assert done.code == 0
    assert "cannot be read to its end: its gzip data is damaged" in done.err
    assert len(done.records) > len(expected.records) // 2
    assert set(done.records) <= set(expected.records)


def test_damage_from_the_start_on(replay: Callable[..., Done]) -> None:
    done = replay("-", PACKED[:12] + b"\xff" * 50)
    assert (done.code, done.out, done.records) == (65, "", {})
    assert "its gzip data is damaged" in done.err


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("dbt.log", LOG)
    return out.getvalue()


RESULTS = {"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json"}}
MANIFEST = {"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json"}}
RECORD = {"schema": "dbt-relay/node@1", "unique_id": "a"}
NO_LOGS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(range(256)) * 9, ("zstd -dc", "dbt-relay replay -")),
    "lz4": (b"\x04\x22\x4d\x18" + bytes(range(256)) * 9, ("lz4 -dc", "dbt-relay replay -")),
    "zip": (zipped(), ("zip archive", "unzip -p")),
    "run_results.json": (json.dumps(RESULTS).encode(), ("run_results.json", "--target-path")),
    "sorted": (json.dumps({"args": {"a": 1}, **RESULTS}, indent=1).encode(), ("run_results.json",)),
    "manifest.json": (json.dumps(MANIFEST).encode() * 9, ("dbt's manifest.json",)),
    "text log": (TEXT_LOG * 2000, ("log as text", "--log-format-file json", "--log-format json")),
    "printed": (b"12:00:00  Running with dbt=1.9\n12:00:00  \n", ("log as text", "dbt-relay run")),
    "printed by v2": (V2_TEXT, ("log as text", "--log-format json")),
    "v2 without its head": (V2_TEXT[40:], ("log as text",)),
    "compose": (b"dbt-1  | 12:00:00  Running with dbt=1.9.0\n", ("log as text",)),
    "empty": (b"", ("empty",)),
    "empty gzip": (gzip.compress(b""), ("empty",)),
    "blank": (b"\n\n", ("empty",)),
    "binary": (bytes(range(256)) * 500, ("not text", "--log-format json")),
    "records": (json.dumps(RECORD).encode() + b"\n", ("records of dbt-relay",)),
    "a page": (b"<!DOCTYPE html><html>", ("web page", "--log-format json")),
    "database": (b"SQLite format 3\0" + bytes(4000), ("database", "dbt-relay show")),
    "other JSON": (b'{"level": "info", "event": "x"}\n' * 9, ("--log-format json",)),
    "other text": (b"hello\n" * 50_000, ("--log-format json",)),
    "a text log packed": (gzip.compress(TEXT_LOG), ("log as text",)),
    "no newline": (b"x" * 3_000_000, ("--log-format json",)),
}


@pytest.mark.parametrize("kind", NO_LOGS)
@pytest.mark.parametrize("source", ["file", "-"])
def test_what_is_no_log_is_not_poured_out(
    replay: Callable[..., Done], tmp_path: Path, kind: str, source: str
) -> None:
    data, words = NO_LOGS[kind]
    (tmp_path / "it").write_bytes(data)
    done = replay(tmp_path / "it") if source == "file" else replay("-", data)
    assert (done.code, done.out, done.records) == (65, "", {})
    name = tmp_path / "it" if source == "file" else "standard input"
    *before, said = done.err.splitlines()
    assert said.startswith(f"relay: there is no event of dbt's log in {name}: ")
    for word in words:
        assert word in said
    for line in before:
        assert line.startswith("relay: no event of dbt's log in standard input yet")


@pytest.mark.parametrize("source", ["file", "-"])
def test_a_log_that_begins_as_text_and_goes_on_as_json(
    replay: Callable[..., Done], expected: Done, tmp_path: Path, source: str
) -> None:
    (tmp_path / "dbt.log").write_bytes(TEXT_LOG * 500 + LOG)
    done = replay(tmp_path / "dbt.log") if source == "file" else replay("-", TEXT_LOG * 500 + LOG)
    assert (done.code, done.records) == (0, expected.records)
    assert done.out == TEXT_LOG.decode() * 500 + expected.out


def test_of_much_text_before_the_log_the_newest_is_shown(replay: Callable[..., Done]) -> None:
    done = replay("-", b"old\n" * 1000 + b"new" * 300 + b"\n" + b"y" * 99 + b"\n" + LOG)
    assert done.out.startswith("old\n")
    done = replay("-", (b"old" * 33 + b"\n") * 20_000 + b"newest\n" + LOG)
    first, *rest = done.out.splitlines()
    assert first.startswith("relay: not shown here: ")
    assert first.endswith(" bytes of text before dbt's log")
    assert "newest" in rest
    assert len(rest) < 12_000


@pytest.mark.parametrize("way", ["<(cat it)", "/dev/stdin < it", "- < it", "< it"])
def test_what_a_shell_hands_over(expected: Done, tmp_path: Path, way: str) -> None:
    (tmp_path / "it").write_bytes(LOG)
    done = subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -m dbt_relay replay {way}"],
        cwd=tmp_path,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    head = "relay: "
    printed = [line for line in done.stdout.decode().splitlines() if not line.startswith(head)]
    assert printed == [line for line in expected.out.splitlines() if not line.startswith(head)]


def test_a_folder(replay: Callable[..., Done], tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["replay", str(tmp_path)])
    assert done.exit_code != 0
    assert "is a directory" in done.output


def test_a_process_reads_its_standard_input(shell: Shell) -> None:
    done = shell("replay", "--sink", "jsonl:-", "-", stdin=LOG)
    assert done.returncode == 0
    records = [json.loads(text) for text in done.stdout.split("\n") if "unique_id" in text]
    assert {record["unique_id"] for record in records} == fold(LOG).final.keys()
    assert "Done. PASS=" in done.stderr
