"""What the live panel costs: a run of 2,200 nodes on a terminal, with the panel and without.

    python benchmarks/panel.py [ROUNDS]

The child is `cat` of the log of `parse.py` (dbt 1.11.16, DuckDB, 57 MB), so dbt's own cost is not
in it, and the relay is as busy as it can be. The journal is in a folder of its own. Each round runs
both in turn; figures are CPU seconds of the relay and of `cat` together, and elapsed seconds.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import pty
import resource
import shutil
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

PACKED = Path(__file__).parent / "big2000_debug.jsonl.gz"
SIZE = (40, 120)


def run(log: Path, option: str) -> tuple[float, float, int]:
    """CPU seconds, elapsed seconds, and the bytes that the terminal got."""
    command = [sys.executable, "-m", "dbt_relay", "run", option, "--", "cat", str(log)]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "DBT_RELAY"))}
    env = {**clean, "TERM": "xterm", "DBT_RELAY_STATE_DIR": str(log.parent / "state")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, env)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    told = 0
    try:
        while chunk := os.read(terminal, 65_536):
            told += len(chunk)
    except OSError:  # Linux, once the relay has ended
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    took = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, took, told


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    options = ("--no-progress", "--progress")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "dbt.jsonl"
        with gzip.open(PACKED) as packed, log.open("wb") as file:
            shutil.copyfileobj(packed, file)
        run(log, "--no-progress")  # so that each has an earlier run to compare itself with
        found = {option: list[tuple[float, float, int]]() for option in options}
        for _ in range(rounds):
            for option in options:
                found[option].append(run(log, option))
    for option, figures in found.items():
        cpu, took, told = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{option:<14} {cpu:5.2f} s CPU  {took:5.2f} s elapsed  {told / 1000:,.0f} kB shown")
    pairs = zip(found["--progress"], found["--no-progress"], strict=True)
    ratio = statistics.median(with_panel[0] / plain[0] for with_panel, plain in pairs)
    print(f"the panel costs {ratio:.2f} x the CPU of a run without it")


if __name__ == "__main__":
    main()
