"""Stands in for dbt: `player.py SCORE TRUTH` writes the lines of the score, each after its pause.

The truth file says how far it came, whatever became of it: `begin N` is there before a line was
written, `wrote N` after it, `end` after all of them. Nothing but the standard library is imported,
as it is to be up at once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main(score: str, truth: str) -> int:
    file = os.open(truth, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, f"pid {os.getpid()}\n".encode())
    played = json.loads(Path(score).read_text())
    for number, (pause, line) in enumerate(played["lines"]):
        time.sleep(pause)
        os.write(file, f"begin {number}\n".encode())
        os.write(1, line.encode())  # whole or not at all: a pipe takes up to 4096 bytes at once
        os.write(file, f"wrote {number}\n".encode())
    os.write(file, b"end\n")
    return int(played["exit_code"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
