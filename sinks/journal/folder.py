"""The state folder: only its owner can read it, and dbt-relay touches nothing foreign in it.

A file with one of the journal's names need not be the journal's: it may be a link, the database of
another program, or a file of another user. Such a file is not changed, renamed or deleted.
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
LOCKS: Final = "claims"
"""The folder with the locks of the runs. All versions of dbt-relay look for the locks there, so
its name stays."""
OPENING: Final = "opening"
"""The lock of the process that opens the journal."""
TABLES: Final = frozenset({"run", "sink", "record", "delivery"})

_FILES: Final = tuple(f"{FILE}{new}{part}" for new in ("", ".new") for part in ("", "-wal", "-shm"))
_NAMES: Final = re.compile(rf"{re.escape(FILE)}([-.].*)?|{LOCKS}|{OPENING}", re.DOTALL)
"""All names that the journal uses in its folder."""
_MAGIC: Final = b"SQLite format 3\0"
_FOR_OTHERS: Final = 0o077
"""The permissions of the group and of all other users."""
_SHARED: Final = stat.S_ISVTX | stat.S_IWOTH
"""The mode of a folder that all users need, such as /tmp."""


class ForeignError(Exception):
    """A file or folder that is not the journal's has one of the journal's names."""


def is_without_journal(state_dir: Path) -> bool:
    """Whether no relay has used the folder yet, or there is no such folder."""
    try:
        return not any(_NAMES.fullmatch(name) for name in os.listdir(state_dir))
    except FileNotFoundError:
        return True
    except OSError:  # whoever opens it says what is wrong
        return False


def prepare(state_dir: Path) -> str | None:
    """Create the state folder, or make it private if it holds the journal alone.

    The journal's own files become private in any case, since a warehouse's error texts are nobody
    else's business. Returns a warning for the user, or None. Raises ForeignError, or OSError if
    there can be no such folder.
    """
    _create_folder(state_dir)
    folder = state_dir.stat()
    names = os.listdir(state_dir)
    _refuse_foreign_files(state_dir, folder.st_uid)
    for path in _own_files(state_dir, names):
        _make_private(path, 0o600)
    _make_private(state_dir / LOCKS, 0o700)
    if folder.st_mode & _SHARED == _SHARED:
        return (
            f"the state folder {state_dir} is shared by all users: nobody else can read the "
            "journal in it, but set DBT_RELAY_STATE_DIR to a folder of your own"
        )
    if all(_NAMES.fullmatch(name) for name in names):
        _make_private(state_dir, 0o700)
    return None


def refuse_foreign_content(path: Path) -> None:
    """Raise ForeignError for a file that never was a journal.

    A file that is no database is a damaged journal if the folder of locks lies beside it, as it
    does beside every journal. Otherwise it belongs to somebody else.
    """
    try:
        found = _tables(path)
    except (sqlite3.OperationalError, OSError):  # a lock, say: the caller meets it on opening
        return
    if found is None:
        if not path.with_name(LOCKS).is_dir():
            what = "folder" if path.is_dir() else "file"
            raise ForeignError(f"dbt-relay did not make the {what} {path.name} in it")
    elif found and not found & TABLES:
        raise ForeignError(f"{path.name} in it is the database of another program")


def create(path: Path) -> None:
    """Create an empty file that only its owner can read, whatever the umask; keep an old file."""
    with contextlib.suppress(FileExistsError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(fd, 0o600)
        finally:
            os.close(fd)


def make_lock_folder(state_dir: Path) -> None:
    """Create the folder of locks. It also says that the journal beside it is dbt-relay's."""
    _create_private_folder(state_dir / LOCKS)


def _create_folder(state_dir: Path) -> None:
    if state_dir.is_dir():
        return
    for parent in reversed([p for p in state_dir.parents if not p.exists()]):
        with contextlib.suppress(FileExistsError):
            parent.mkdir(mode=0o755)
            parent.chmod(parent.stat().st_mode | stat.S_IRWXU)
    _create_private_folder(state_dir)


def _create_private_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        path.chmod(0o700)


def _refuse_foreign_files(state_dir: Path, owner: int) -> None:
    """Raise ForeignError for a file that is not the journal's.

    A file of the folder's owner is accepted: the owner can do anything in the folder anyway.
    """
    for name in (*_FILES, LOCKS, OPENING):
        try:
            found = (state_dir / name).lstat()
        except FileNotFoundError:
            continue
        _refuse_link_or_stranger(name, found, owner)
        is_folder = stat.S_ISDIR(found.st_mode)
        if name == LOCKS and not is_folder:
            raise ForeignError(f"{name} in it is not a folder")
        if not is_folder and not stat.S_ISREG(found.st_mode):
            raise ForeignError(f"{name} in it is not a regular file")
        if name == OPENING and (is_folder or found.st_size):
            what = "folder" if is_folder else "file"
            raise ForeignError(f"dbt-relay did not make the {what} {name} in it")


def refuse_foreign_file(path: Path) -> None:
    """Raise ForeignError if another file has the place of a file that the relay keeps here."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    _refuse_link_or_stranger(path.name, found, path.parent.stat().st_uid)
    if not stat.S_ISREG(found.st_mode):
        raise ForeignError(f"{path.name} in it is not a regular file")


def _refuse_link_or_stranger(name: str, found: os.stat_result, owner: int) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise ForeignError(f"{name} in it is a symbolic link")
    if found.st_uid not in (os.geteuid(), owner):
        raise ForeignError(f"{name} in it belongs to another user")


def _own_files(state_dir: Path, names: Collection[str]) -> Iterator[Path]:
    """The journal's files, including the locks."""
    for name in names:
        if name not in (LOCKS, OPENING) and _NAMES.fullmatch(name):
            yield state_dir / name
    locks = state_dir / LOCKS
    if locks.is_dir() and not locks.is_symlink():
        yield from locks.iterdir()


def _make_private(path: Path, mode: int) -> None:
    """Set the mode if other users have a permission. Only root can do it to another user's file."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        is_right_kind = stat.S_ISDIR if mode & stat.S_IXUSR else stat.S_ISREG
        if is_right_kind(found.st_mode) and found.st_mode & _FOR_OTHERS:
            path.chmod(mode)


def _tables(path: Path) -> set[str] | None:
    """The tables of a SQLite file; none if the file is new, None if it is not a SQLite file."""
    if path.is_dir():
        return None
    if not path.exists() or path.stat().st_size == 0:
        return set()
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return None
    address = f"file:{quote(os.fsencode(path))}?mode=ro"
    if not path.with_name(f"{path.name}-wal").exists():
        # Without this SQLite creates files beside the database, which may be another program's.
        address += "&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=0)) as db:
            rows = db.execute("select name from sqlite_master where type = 'table'").fetchall()
            return {name for (name,) in rows}
    except sqlite3.OperationalError:
        raise
    except (sqlite3.Error, UnicodeDecodeError):  # SQLite's message quotes bytes of the file
        return None
