"""The state folder: for its owner's eyes only, and nothing in it is used that is not the journal's.

What lies there under one of the journal's names need not be the journal's: a link, another
program's database, a file of another user. Nothing of that is written to, renamed or deleted.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

FILE: Final = "journal.db"
CLAIMS: Final = "claims"
OPENING: Final = "opening"
TABLES: Final = frozenset({"run", "sink", "record", "delivery"})

_PARTS: Final = tuple(f"{FILE}{new}{part}" for new in ("", ".new") for part in ("", "-wal", "-shm"))
_NAMES: Final = re.compile(rf"{re.escape(FILE)}([-.].*)?|{CLAIMS}|{OPENING}", re.DOTALL)
_MAGIC: Final = b"SQLite format 3\0"
_OF_OTHERS: Final = 0o077
_SHARED: Final = stat.S_ISVTX | stat.S_IWOTH


class ForeignError(Exception):
    """Something that is not the journal's has its place."""


def prepare(state_dir: Path) -> str | None:
    """Make the folder, or make it private where it holds nothing else; what is there to say.

    Raises ForeignError, or OSError where there can be none.
    """
    _make(state_dir)
    folder = state_dir.stat()
    names = os.listdir(state_dir)
    _refuse_foreign_files(state_dir, folder.st_uid)
    for path in _files(state_dir, names):
        _tighten(path, 0o600)
    _tighten(state_dir / CLAIMS, 0o700)
    if folder.st_mode & _SHARED == _SHARED:  # as /tmp has it, which everybody needs
        return (
            f"the state folder {state_dir} is shared by all users: nobody else can read the "
            "journal in it, but set DBT_RELAY_STATE_DIR to a folder of your own"
        )
    if all(_NAMES.fullmatch(name) for name in names):
        _tighten(state_dir, 0o700)
    return None


def refuse_foreign_content(path: Path) -> None:
    """Raise ForeignError for a file that never was a journal.

    What cannot be read is a damaged journal if there are claims beside it, as every journal has
    them; without, it is somebody's own file.
    """
    try:
        found = _tables(path)
    except (sqlite3.OperationalError, OSError):  # locked, say: who opens it next hears of it
        return
    if found is None:
        if not path.with_name(CLAIMS).is_dir():
            what = "a folder" if path.is_dir() else "a file"
            raise ForeignError(f"{path.name} in it is {what} that no dbt-relay has made")
    elif found and not found & TABLES:
        raise ForeignError(f"{path.name} in it is the database of another program")


def create(path: Path) -> None:
    """An empty file that only its owner may read, whatever the umask, if there is none."""
    with contextlib.suppress(FileExistsError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(fd, 0o600)
        finally:
            os.close(fd)


def make_claims(state_dir: Path) -> None:
    """The folder of the claims, which says that there is a journal of ours."""
    _make_private(state_dir / CLAIMS)


def _make(state_dir: Path) -> None:
    if state_dir.is_dir():
        return
    for parent in reversed([p for p in state_dir.parents if not p.exists()]):
        with contextlib.suppress(FileExistsError):
            parent.mkdir(mode=0o755)
            parent.chmod(parent.stat().st_mode | stat.S_IRWXU)
    _make_private(state_dir)


def _make_private(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        path.chmod(0o700)


def _refuse_foreign_files(state_dir: Path, owner: int) -> None:
    """The owner of the folder may put there what they like, and can do anything to it anyway."""
    for name in (*_PARTS, CLAIMS, OPENING):
        try:
            found = (state_dir / name).lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode):
            raise ForeignError(f"{name} in it is a link to elsewhere")
        if found.st_uid not in (os.geteuid(), owner):
            raise ForeignError(f"{name} in it belongs to another user")
        is_folder = stat.S_ISDIR(found.st_mode)
        if name == CLAIMS and not is_folder:
            raise ForeignError(f"{name} in it is no folder")
        if not is_folder and not stat.S_ISREG(found.st_mode):
            raise ForeignError(f"{name} in it is no file")
        if name == OPENING and (is_folder or found.st_size):
            raise ForeignError(f"{name} in it is a file that no dbt-relay has made")


def _files(state_dir: Path, names: Collection[str]) -> Iterator[Path]:
    """The journal's files, of those that are no links."""
    for name in names:
        if name not in (CLAIMS, OPENING) and _NAMES.fullmatch(name):
            yield state_dir / name
    claims = state_dir / CLAIMS
    if claims.is_dir() and not claims.is_symlink():
        yield from claims.iterdir()


def _tighten(path: Path, most: int) -> None:
    """Take from others what they may do. What is another user's only root can."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        is_right = stat.S_ISDIR if most & stat.S_IXUSR else stat.S_ISREG
        if is_right(found.st_mode) and found.st_mode & _OF_OTHERS:
            path.chmod(most)


def _tables(path: Path) -> set[str] | None:
    """The tables of a SQLite file, none of one that is new; None if it is no such file."""
    if path.is_dir():
        return None
    if not path.exists() or path.stat().st_size == 0:
        return set()
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return None
    address = f"file:{quote(os.fsencode(path))}?mode=ro"
    if not path.with_name(f"{path.name}-wal").exists():
        address += "&immutable=1"  # or SQLite leaves files of its own beside another program's
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=0)) as db:
            rows = db.execute("select name from sqlite_master where type = 'table'").fetchall()
            return {name for (name,) in rows}
    except sqlite3.OperationalError:
        raise
    except (sqlite3.Error, UnicodeDecodeError):  # what SQLite says quotes what it found in the file
        return None
