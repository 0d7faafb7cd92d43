"""A real redis, on a socket in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from support.timing import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVE = '"$@" & read -r _; kill $!; wait $!'
"""Stops the server at the end of standard input, in whatever way the matrix ends."""


@contextmanager
def serving() -> Iterator[str]:
    """The address of a new and empty redis, as Celery writes it. It ends with the block."""
    program = shutil.which("redis-server")
    assert program, "no redis-server: on Debian, apt-get install redis-server"
    # The path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
    socket, log = folder / "redis.sock", folder / "server.log"
    settings = ("--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder)
    with log.open("wb") as output:
        shell = subprocess.Popen(
            ["sh", "-c", _SERVE, "sh", program, *settings],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        ready = "ready to accept connections"
        wait_until(lambda: ready in log.read_text(), f"redis, whose log is {log}", pause=0.02)
        yield f"redis+socket://{socket}"
    finally:
        shell.communicate(timeout=PATIENCE)
        shutil.rmtree(folder)
