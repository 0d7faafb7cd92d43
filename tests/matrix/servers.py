"""A real PostgreSQL and a real redis, each on a socket in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.timing import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "airflow"

_DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian has PostgreSQL's programs, in a folder for each version."""
_ROOTS_DELEGATE = "nobody"
"""Runs PostgreSQL for root, whom it refuses."""
_SERVE = '"$@" & read -r _; kill -INT $!; wait $!'
"""Stops a server at the end of standard input, in whatever way the matrix ends."""


@dataclass(frozen=True)
class Postgres:
    """A running server, which trusts `USER`. `folder` has its socket."""

    folder: Path

    @property
    def place(self) -> str:
        """Where the database is, as an address of SQLAlchemy has it behind `://`."""
        return f"{USER}@/postgres?host={self.folder}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A new and empty PostgreSQL, which ends with the block."""
    programs = _postgres_programs()
    with _folder("postgres") as folder:
        user: int | None = None
        if os.geteuid() == 0:
            user = pwd.getpwnam(_ROOTS_DELEGATE).pw_uid
            os.chown(folder, user, -1)
        data = folder / "data"
        subprocess.run(
            [
                *(programs / "initdb", "--pgdata", data, "--username", USER, "--auth", "trust"),
                *("--encoding", "UTF8", "--no-locale", "--no-sync"),
            ],
            cwd=folder,
            user=user,
            stdout=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=True,
        )
        settings = ("--listen_addresses=", "--fsync=off", "--max_connections=200")
        command = [programs / "postgres", "-D", data, "-k", folder, *settings]
        with _serving(command, folder, "ready to accept connections", user):
            yield Postgres(folder)


@contextmanager
def redis() -> Iterator[str]:
    """The address of a new and empty redis, as Celery writes it. It ends with the block."""
    program = shutil.which("redis-server")
    assert program, "no redis-server: on Debian, apt-get install redis-server"
    with _folder("redis") as folder:
        socket = folder / "redis.sock"
        settings = ("--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder)
        with _serving([program, *settings], folder, "ready to accept connections"):
            yield f"redis+socket://{socket}"


def _postgres_programs() -> Path:
    """The folder with `initdb` and `postgres`. AssertionError that says what to install."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(_DEBIAN.glob("*/bin"))
    folders = [folder for folder in folders if (folder / "postgres").is_file()]
    assert folders, "no PostgreSQL: on Debian, apt-get install postgresql"
    return folders[-1]


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    # The path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _serving(
    command: list[str | Path], folder: Path, sign: str, user: int | None = None
) -> Iterator[None]:
    """Run a server until the block ends; the block begins once its log has the `sign`."""
    log = folder / "server.log"
    with log.open("wb") as output:
        shell = subprocess.Popen(
            ["sh", "-c", _SERVE, "sh", *command],
            cwd=folder,
            user=user,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def is_up() -> bool:
        text = log.read_text(errors="replace")
        assert "FATAL" not in text, text
        return sign in text.lower()

    try:
        wait_until(is_up, f"{command[0]}, whose log is {log}", pause=0.02)
        yield
    finally:
        shell.communicate(timeout=PATIENCE)
