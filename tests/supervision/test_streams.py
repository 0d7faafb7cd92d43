"""Exit codes, and what flows between the relay, its child and its parent."""

from __future__ import annotations

import fcntl
import json
import os
import random
import selectors
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.command import RELAY
from support.running import RUN, Running, end_of, in_flight
from support.timing import PATIENCE, wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("code", [0, 1, 2, 3, 99, 255])
def test_exit_codes_pass_through(running: Running, code: int) -> None:
    relay = running.start(running.command(running.echo("--exit", str(code))))
    assert end_of(relay)[0] == code
    if code == 0:
        assert running.records() == [], "what says nothing and fails in nothing is no run of dbt"
        return
    run = running.last()
    assert (run["state"], run["exit_code"]) == ("finished", code)


def test_a_command_that_is_not_there(running: Running) -> None:
    code, out, err = end_of(running.start(running.command(["no-such-dbt", "build"])))
    assert (code, out) == (127, "")
    assert err.startswith("relay: cannot start 'no-such-dbt': not found.")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("#!/bin/sh\n", 0o644, "Permission denied"),
        ("#!/no/such/interpreter\n", 0o755, "interpreter that its first line names is missing"),
        ("echo no first line with an interpreter\n", 0o755, "Exec format error"),
    ],
)
def test_a_command_that_cannot_be_executed(
    running: Running, tmp_path: Path, text: str, mode: int, words: str
) -> None:
    script = tmp_path / "nightly.sh"
    script.write_text(text)
    script.chmod(mode)
    code, out, err = end_of(running.start(running.command([str(script)])))
    assert (code, out) == (126, "")
    assert err.startswith(f"relay: cannot start '{script}': ")
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_folder_is_no_command(running: Running, tmp_path: Path) -> None:
    code, _, err = end_of(running.start(running.command([str(tmp_path)])))
    assert code == 126
    assert "Permission denied" in err


def test_megabytes_on_both_pipes_at_once_stay_whole_and_apart(
    running: Running, tmp_path: Path
) -> None:
    chance = random.Random(1)
    alphabet = bytes(b for b in range(256) if b not in b"\n")
    texts = [
        b"".join(bytes(chance.choices(alphabet, k=chance.randrange(200))) + b"\n" for _ in range(n))
        for n in (40_000, 30_000)
    ]
    paths = [tmp_path / "out", tmp_path / "err"]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text)
    script = """
import os, sys, threading
def pour(path, fd):
    with open(path, "rb") as file:
        while chunk := file.read(5000):
            while chunk:
                chunk = chunk[os.write(fd, chunk):]
threads = [threading.Thread(target=pour, args=(sys.argv[fd], fd)) for fd in (1, 2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    child = [sys.executable, "-c", script, *map(str, paths)]
    relay = running.start(running.command(child))
    out, err = relay.communicate(timeout=PATIENCE)
    assert relay.returncode == 0
    assert err[: len(texts[1])] == texts[1]
    assert out[: len(texts[0])] == texts[0]
    for rest in (out[len(texts[0]) :], err[len(texts[1]) :]):
        assert all(line.startswith(b"relay: ") for line in rest.splitlines())


def test_nobody_holds_the_standard_input(running: Running) -> None:
    """In an Airflow task it is the supervisor's socket, which keeps the task running."""
    child = running.echo("--until", "SIGUSR1")
    relay = running.start(running.command(child), stdin=subprocess.PIPE)
    assert running.wait_for("stdin") == "/dev/null"
    running.wait_for("ready")
    assert relay.stdin is not None
    assert os.readlink(f"/proc/{relay.pid}/fd/0") == "/dev/null"
    pipe = relay.stdin.fileno()
    os.set_blocking(pipe, False)

    def is_let_go() -> bool:
        try:
            os.write(pipe, b"x")
        except BrokenPipeError:
            return True
        return False

    wait_until(is_let_go, "a broken pipe: somebody still holds the standard input")
    os.kill(int(running.wait_for("pid")), signal.SIGUSR1)
    relay.wait(PATIENCE)


@pytest.mark.parametrize(
    "closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- 2>&-", "<&- >&- 2>&-"]
)
def test_standard_streams_that_are_closed(running: Running, closed: str) -> None:
    """Their numbers must not go to the journal or a pipe, into which is printed then."""
    child = running.echo_of(in_flight("model.a.b"), "--exit", "1", "--last-words", "trouble")
    command = running.command(child)
    relay = running.start(["sh", "-c", f'exec "$@" {closed}', "sh", *command])
    code, out, err = end_of(relay)
    assert code == 1
    assert running.nodes()["model.a.b"]["outcome"] == "interrupted"
    assert running.last()["exit_code"] == 1
    assert ("Running with dbt" in out) is (" >&-" not in f" {closed}")
    assert ("trouble" in err) is ("2>&-" not in closed)
    assert "Traceback" not in err
    shown = subprocess.run(
        [*RELAY, "show", "--json"],
        env=running.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "model.a.b" in shown.stdout


@pytest.mark.parametrize("where", ["full", "no reader"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_streams_that_take_nothing_any_more(running: Running, where: str, stream: str) -> None:
    """What the relay has to say must not keep dbt from running, nor decide how it ends."""
    child = running.echo_of(in_flight("model.a.b"), "--exit", "1", "--last-words", "trouble")
    sink = f"jsonl:{running.records_path}"
    command = [*RUN, "--resume", "--try-number", "2", "--sink", sink, "--", *child]
    if where == "full":
        fd = os.open("/dev/full", os.O_WRONLY)
    else:
        read, fd = os.pipe()
        os.close(read)
    relay = running.start(command, **{stream: fd})
    os.close(fd)
    code, out, err = end_of(relay)
    assert code == 1
    assert running.nodes()["model.a.b"]["outcome"] == "interrupted"
    assert running.last()["exit_code"] == 1
    assert ("relay: " in err) is (stream == "stdout")
    assert ("Running with dbt" in out) is (stream == "stderr")
    assert "Traceback" not in err


def test_json_lines_to_an_output_that_is_closed(running: Running) -> None:
    command = [*RUN, "--sink", "jsonl:-", "--", *running.echo()]
    code, _, err = end_of(running.start(["sh", "-c", 'exec "$@" >&-', "sh", *command]))
    assert code == 78
    assert err == "relay: cannot write jsonl:-, because the standard output is closed\n"
    assert running.heard() == [], "dbt was not started"


@pytest.mark.parametrize("sink", ["file", "jsonl:-"])
def test_streams_that_do_not_block_lose_nothing(
    running: Running, tmp_path: Path, sink: str
) -> None:
    """A parent may have set its ends so, as programs with an event loop do."""
    texts = [b"".join(b"%b %d %b\n" % (n, i, b"x" * 90) for i in range(4000)) for n in (b"o", b"e")]
    script = """
import sys, threading
def pour(out, name):
    for number in range(4000): out.write(f"{name} {number} {'x' * 90}\\n")
    out.flush()
threads = [threading.Thread(target=pour, args=a) for a in ((sys.stdout, "o"), (sys.stderr, "e"))]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    begun = in_flight("model.a.b", "model.a.c")
    (tmp_path / "log").write_bytes(begun)
    child = ["sh", "-c", f'cat {tmp_path}/log; exec {sys.executable} -c "$0"', script]
    command = running.command(child) if sink == "file" else [*RUN, "--sink", sink, "--", *child]
    pipes = [os.pipe(), os.pipe()]
    for read, write in pipes:
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(write, False)
        assert os.get_blocking(read)
    relay = running.start(command, stdout=pipes[0][1], stderr=pipes[1][1])
    for _, write in pipes:
        os.close(write)
    got = [bytearray(), bytearray()]
    with selectors.DefaultSelector() as selector:
        for number, (read, _) in enumerate(pipes):
            selector.register(read, selectors.EVENT_READ, number)
        while selector.get_map():
            for key, _ in selector.select(30):
                chunk = os.read(key.fd, 3000)
                got[key.data] += chunk
                if not chunk:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    assert relay.wait(PATIENCE) == 0
    printed = bytes(got[0] if sink == "file" else got[1])
    lines = printed.splitlines(keepends=True)
    assert b"".join(text for text in lines if text.startswith(b"o ")) == texts[0]
    others = bytes(got[1]).splitlines(keepends=True)
    assert b"".join(text for text in others if text.startswith(b"e ")) == texts[1]
    assert lines[-1].startswith(b"relay: 2 records, 2 delivered")
    if sink != "file":
        records = [json.loads(text) for text in got[0].splitlines()]
        assert records[-1]["state"] == "finished"


def test_a_fifo_that_nobody_reads_does_not_stop_dbt(running: Running, tmp_path: Path) -> None:
    running.env["XDG_STATE_HOME"] = str(tmp_path / "state")  # other tests leave runs that wait
    os.mkfifo(running.records_path)
    child = running.echo_of(in_flight("model.a.b"), "--exit", "1")
    code, out, _ = end_of(running.start(running.command(child)))
    assert code == 1
    assert f"  nobody reads the FIFO {running.records_path}: " in out
    deliver = [*RELAY, "deliver", "--all"]
    with open(os.open(running.records_path, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        subprocess.run(deliver, env=running.env, check=True, capture_output=True)
        told = [json.loads(text) for text in reader.read().splitlines()]
    assert {record.get("unique_id") for record in told} == {"model.a.b", None}


def test_no_other_file_of_the_parent_is_held(running: Running) -> None:
    """A file descriptor that was left open for the relay is not passed on to dbt."""
    read, write = os.pipe()
    try:
        child = running.echo("--until", "SIGUSR1")
        relay = running.start(running.command(child), pass_fds=[write])
        running.wait_for("ready")
        pid = running.wait_for("pid")
        target = os.readlink(f"/proc/self/fd/{write}")
        held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert target not in held
        os.kill(int(pid), signal.SIGUSR1)
        relay.wait(PATIENCE)
    finally:
        os.close(read)
        os.close(write)
