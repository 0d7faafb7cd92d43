"""The state folder is private, and dbt-relay changes nothing foreign in it."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.journal_disk import FAST, drain
from support.journals import info, node

from dbt_relay.sinks import Journal, JsonlSink
from dbt_relay.sinks.journal import history
from dbt_relay.sinks.journal.lock import RunLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of a file")


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        yield Path(folder) / "state"


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def use(folder: Path) -> tuple[list[str], bool]:
    """Put records into a journal: the warnings, and whether the journal is in a file."""
    warnings: list[str] = []
    with Journal(folder, warnings.append) as journal:
        run = journal.begin(info())
        for number in range(3):
            run.put(node(f"n{number}"), 0)
        assert drain(run) == ["n0", "n1", "n2"]
        if journal.file is not None:
            check_modes(folder)
        return warnings, journal.file is not None


def check_modes(folder: Path) -> None:
    """Only the owner can read the journal's files."""
    for path in folder.rglob("*"):
        if path.name.startswith("journal.db") or path.parent.name == "claims":
            assert stat.S_IMODE(path.lstat().st_mode) == 0o600, path
        elif path.name == "claims":
            assert stat.S_IMODE(path.lstat().st_mode) == 0o700


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


UMASKS = [0o000, 0o002, 0o022, 0o027, 0o077, 0o277, 0o777]


class TestPermissions:
    @pytest.mark.parametrize("umask", UMASKS, indirect=True, ids=oct)
    def test_whatever_the_umask(self, folder: Path, umask: int) -> None:
        state = folder / "deeper" / "down"
        assert use(state) == ([], True)
        assert mode(state) == 0o700
        assert not mode(folder) & 0o022, "others could replace the state folder"
        assert use(state) == ([], True)

    @pytest.mark.parametrize("given", [0o755, 0o777, 0o770, 0o2775, 0o700])
    def test_a_folder_that_was_there_before(self, folder: Path, given: int) -> None:
        folder.mkdir()
        folder.chmod(given)
        assert use(folder) == ([], True)
        assert mode(folder) & 0o777 == 0o700

    @pytest.mark.parametrize("umask", [0o000, 0o022], indirect=True, ids=oct)
    def test_files_that_an_older_version_left(self, folder: Path, umask: int) -> None:
        assert use(folder) == ([], True)
        for name in ("journal.db.damaged-20990101T000000", "opening", "claims/0123"):
            (folder / name).touch()
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)
        assert use(folder) == ([], True)
        assert mode(folder) == 0o700
        assert mode(folder / "journal.db.damaged-20990101T000000") == 0o600

    @pytest.mark.parametrize("umask", [0o000], indirect=True, ids=oct)
    def test_a_folder_with_other_files_keeps_its_mode(self, folder: Path, umask: int) -> None:
        """It may be a dbt project. Only the journal's own files become private."""
        folder.mkdir(mode=0o755)
        (folder / "dbt_project.yml").touch()
        (folder / "dbt_project.yml").chmod(0o644)
        assert use(folder) == ([], True)
        assert mode(folder) == 0o755
        assert mode(folder / "dbt_project.yml") == 0o644

    def test_a_folder_that_all_users_share_causes_a_warning(self, folder: Path) -> None:
        folder.mkdir()
        folder.chmod(0o1777)
        (warning,), is_kept = use(folder)
        assert "is shared by all users" in warning
        assert "DBT_RELAY_STATE_DIR" in warning
        assert is_kept
        assert folder.stat().st_mode & 0o1777 == 0o1777

    @as_root
    @pytest.mark.parametrize("given", [0o777, 0o755])
    def test_a_folder_of_another_user(self, folder: Path, given: int) -> None:
        folder.mkdir()
        folder.chmod(given)
        os.chown(folder, NOBODY, -1)
        assert use(folder) == ([], True)
        assert mode(folder) == 0o700

    @as_root
    def test_a_folder_whose_mode_cannot_be_changed(self, folder: Path) -> None:
        """A Kubernetes volume, say: root owns it, and everybody can write to it."""
        folder.parent.chmod(0o711)
        folder.mkdir()
        folder.chmod(0o777)
        code = (
            "import os, sys; from pathlib import Path; from dbt_relay.sinks import Journal\n"
            f"os.setgid({NOBODY}); os.setuid({NOBODY}); os.umask(0)\n"
            "with Journal(Path(sys.argv[1])) as j: print(j.trouble)\n"
        )
        command = [sys.executable, "-c", code, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        assert done.stdout == "None\n"
        assert mode(folder) == 0o777
        check_modes(folder)

    @pytest.mark.parametrize("umask", [0o000], indirect=True, ids=oct)
    def test_relays_that_create_it_at_the_same_time(self, folder: Path, umask: int) -> None:
        code = (
            "import sys; from pathlib import Path; from dbt_relay.sinks import Journal\n"
            "sys.stdin.readline()\n"
            "with Journal(Path(sys.argv[1])) as j: print(j.trouble)"
        )
        relays = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        assert [r.communicate("go\n", timeout=30)[0] for r in relays] == ["None\n"] * 4
        check_modes(folder)
        assert mode(folder) == 0o700

    @pytest.mark.parametrize("umask", UMASKS[:5], indirect=True, ids=oct)
    def test_json_lines_follow_the_umask(self, folder: Path, umask: int) -> None:
        folder.mkdir(mode=0o700)
        sink = JsonlSink(folder / "records.jsonl")
        sink.send(node("a"))
        sink.close()
        assert mode(folder / "records.jsonl") == 0o666 & ~umask
        (folder / "records.jsonl").chmod(0o640)
        JsonlSink(folder / "records.jsonl").close()
        assert mode(folder / "records.jsonl") == 0o640, "the mode of an existing file stays"


def database(path: Path, wal: bool = False) -> None:
    db = sqlite3.connect(path)
    if wal:
        db.execute("pragma journal_mode = wal")
    db.execute("create table mine (id)")
    db.execute("insert into mine values (1)")
    db.commit()
    db.close()


def snapshot(folder: Path) -> dict[str, Any]:
    """Each path with its link target, content and inode. Links are not followed."""
    return {
        str(path.relative_to(folder)): (
            (path.readlink() if path.is_symlink() else None),
            path.read_bytes() if path.is_file() else None,
            path.lstat().st_ino,
        )
        for path in sorted(folder.rglob("*"))
    }


CONTENTS = {
    "empty line": b"\n",
    "short text": b"dear diary\n",
    "text": b"dear diary\n" * 999,
    "zeros": bytes(8192),
    "binary": bytes(range(256)) * 40,
    "short binary": b"\xff\x00",
    "half a header": b"SQLite form",
    "header alone": b"SQLite format 3\0" + bytes(84),
}


class TestForeign:
    @staticmethod
    def untouched(folder: Path, words: str) -> None:
        before = snapshot(folder.parent)
        for _ in range(2):
            (warning,), is_kept = use(folder)
            assert not is_kept
            assert words in warning
            assert "Move that away, or set DBT_RELAY_STATE_DIR" in warning
        after = snapshot(folder.parent)
        assert before == after

    @pytest.mark.parametrize("what", CONTENTS)
    def test_a_file_in_its_place(self, folder: Path, what: str) -> None:
        folder.mkdir()
        (folder / "journal.db").write_bytes(CONTENTS[what])
        self.untouched(folder, "dbt-relay did not make the file journal.db in it")

    @pytest.mark.parametrize("wal", [False, True])
    @pytest.mark.parametrize("has_locks", [False, True])
    def test_another_programs_database(self, folder: Path, wal: bool, has_locks: bool) -> None:
        folder.mkdir()
        database(folder / "journal.db", wal)
        if has_locks:
            (folder / "claims").mkdir()
        self.untouched(folder, "journal.db in it is the database of another program")

    def test_a_folder_in_its_place(self, folder: Path) -> None:
        (folder / "journal.db").mkdir(parents=True)
        (folder / "journal.db" / "mine").write_text("mine")
        self.untouched(folder, "dbt-relay did not make the folder journal.db in it")

    @pytest.mark.parametrize(
        "name",
        ["journal.db", "journal.db-wal", "journal.db-shm", "journal.db.new", "claims", "opening"],
    )
    @pytest.mark.parametrize("to", ["text", "nothing", "empty", "folder", "journal"])
    @pytest.mark.parametrize("has_journal", [False, True])
    def test_a_link_in_place_of(self, folder: Path, name: str, to: str, has_journal: bool) -> None:
        if has_journal:
            use(folder)
            (folder / name).rename(folder / "old") if (folder / name).exists() else None
        folder.mkdir(exist_ok=True)
        target = folder.parent / "precious"
        if to == "text":
            target.write_text("precious")
        elif to == "empty":
            target.touch()
        elif to == "folder":
            target.mkdir()
        elif to == "journal":
            use(folder.parent / "other")
            target = folder.parent / "other" / ("claims" if name == "claims" else "journal.db")
        (folder / name).symlink_to(target)
        self.untouched(folder, f"{name} in it is a symbolic link")

    @pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "opening", "claims"])
    def test_a_pipe_in_its_place(self, folder: Path, name: str) -> None:
        folder.mkdir()
        os.mkfifo(folder / name)
        self.untouched(folder, f"{name} in it is not a ")

    def test_a_socket(self, folder: Path) -> None:
        folder.mkdir()
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(folder / "journal.db"))
            self.untouched(folder, "journal.db in it is not a regular file")

    def test_a_file_in_place_of_the_lock(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "opening").write_text("notes on an opening")
        self.untouched(folder, "dbt-relay did not make the file opening in it")

    @as_root
    @pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "claims", "opening"])
    def test_a_file_of_another_user(self, folder: Path, name: str) -> None:
        use(folder)
        if not (folder / name).exists():
            (folder / name).touch()
        os.chown(folder / name, NOBODY, NOBODY)
        self.untouched(folder, f"{name} in it belongs to another user")

    def test_the_folder_is_used_once_the_foreign_file_is_gone(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "journal.db").write_text("dear diary")
        assert not use(folder)[1]
        (folder / "journal.db").rename(folder / "diary")
        assert use(folder) == ([], True)


class TestDamaged:
    """A damaged journal, with the folder of locks beside it, is set aside unchanged."""

    @pytest.mark.parametrize("what", CONTENTS)
    @pytest.mark.parametrize("has_log", [False, True])
    def test_a_file_in_its_place(self, folder: Path, what: str, has_log: bool) -> None:
        with Journal(folder, pytest.fail) as journal:
            run = journal.begin(info())
            for number in range(5):
                run.put(node(f"n{number}"), 0)
            log = (folder / "journal.db-wal").read_bytes()
        (folder / "journal.db").write_bytes(CONTENTS[what])
        if has_log:
            (folder / "journal.db-wal").write_bytes(log)
        warnings, is_kept = use(folder)
        assert is_kept
        if has_log and len(CONTENTS[what]) >= 512:
            assert warnings == [], "the log has every page, and SQLite uses the log"
            return
        assert "is set aside as journal.db.damaged-" in warnings[0]
        (aside,) = [p for p in folder.glob("*.damaged-*") if not p.name.endswith(("-wal", "-shm"))]
        assert aside.read_bytes()[: len(CONTENTS[what])] == CONTENTS[what]
        assert not list(folder.glob("*salvage*"))
        if has_log and len(CONTENTS[what]) < 512:
            with Journal(folder, pytest.fail) as journal:
                assert len(history.runs(journal)) == 2, "the log had every page"

    def test_a_kill_while_the_journal_is_first_created(self, folder: Path) -> None:
        folder.mkdir()
        db = sqlite3.connect(folder / "journal.db")
        db.execute("pragma journal_mode = wal")
        db.close()
        assert (folder / "journal.db").stat().st_size > 0
        assert use(folder) == ([], True)


def foreign_files(path: Path) -> list[Callable[[], object]]:
    return [
        lambda: path.symlink_to(path.parent / "target"),
        lambda: path.write_text("x" * 21),
        path.mkdir,
        lambda: os.mkfifo(path),
    ]


@pytest.mark.parametrize("kind", range(4), ids=["link", "text", "folder", "fifo"])
def test_a_foreign_file_is_not_taken_for_a_lock(tmp_path: Path, kind: int) -> None:
    (tmp_path / "target").write_text("precious")
    foreign_files(tmp_path / "lock")[kind]()
    before = snapshot(tmp_path)
    with pytest.raises(OSError):  # noqa: PT011 - each kind has another message
        RunLock.take(tmp_path / "lock")
    assert not RunLock.is_taken(tmp_path / "lock")
    assert snapshot(tmp_path) == before
