"""A child that writes down each signal it gets, in the manner of dumb-init's print_signals.py.

Everything it has to tell goes, a line at a time, to the file JOURNAL: first `pid N`, `stdin PATH`
and how SIGINT was inherited, then `ready`, then a line per signal.

The C-level handler writes a byte per delivery, so two of a kind in quick succession count as two.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

HEARD = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
LONGEST_S = 120.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("journal")
    parser.add_argument("--say", type=Path, help="write this dbt log to stdout first, as one's own")
    parser.add_argument("--exit", type=int, default=0, help="the exit code")
    parser.add_argument("--until", help="the signal to end on; without it, ends when it is ready")
    parser.add_argument("--linger", type=float, default=0.0, help="seconds to listen after that")
    parser.add_argument("--last-words", default="", help="to say on both pipes before the end")
    parser.add_argument("--until-file", type=Path, help="end when this file exists")
    parser.add_argument("--close-output", action="store_true", help="close stdout and stderr")
    parser.add_argument("--heir", action="store_true", help="leave a process that holds the pipes")
    options = parser.parse_args()

    def note(line: str) -> None:
        # One write to a file opened for appending is not torn by another process's.
        file = os.open(options.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, f"{line}\n".encode())
        os.close(file)

    inherited = signal.getsignal(signal.SIGINT)
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    for name in HEARD:
        signal.signal(signal.Signals[name], lambda *_: None)

    note(f"pid {os.getpid()}")
    note(f"stdin {os.readlink('/proc/self/fd/0')}")
    note(f"inherited {'ignored' if inherited is signal.SIG_IGN else 'default'}")
    if options.say:
        own_pid = f'"pid": {os.getpid()},'.encode()
        sys.stdout.buffer.write(options.say.read_bytes().replace(b'"pid": 1,', own_pid))
        sys.stdout.flush()
    if options.heir:
        heir = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONGEST_S})"])
        note(f"heir {heir.pid}")
        os._exit(options.exit)
    if options.close_output:
        os.close(1)
        os.close(2)
    note("ready")

    waits = bool(options.until or options.until_file)
    deadline = time.monotonic() + (LONGEST_S if waits else options.linger)
    while (left := deadline - time.monotonic()) > 0:
        if options.until_file and options.until_file.exists():
            break
        if not select.select([read], [], [], min(left, 0.02 if options.until_file else left))[0]:
            continue
        for signum in os.read(read, 64):
            name = signal.Signals(signum).name
            note(name)
            if name == options.until:
                deadline = time.monotonic() + options.linger
    if options.last_words:
        try:
            for fd in (1, 2):
                os.write(fd, options.last_words.encode() + b"\n")
        except OSError as error:
            note(f"unheard {error.strerror}")
    note("end")
    os._exit(options.exit)


main()
