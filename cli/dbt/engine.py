"""Whether a command starts dbt v2, which writes its telemetry beside what it prints."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...records.values import is_array, text
from .arguments import MODULE, position_of_dbt
from .variables import for_children

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEAD: Final = 1 << 14
"""Bytes of a program that tell whether it is a script, and what kind of script."""
_ELSEWHERE: Final = re.compile(rb"\b(?:docker|podman|nerdctl|kubectl|ssh|sudo|srun|env -i)\b")
"""Words of a script whose dbt may get neither this environment nor a pipe in this file system."""
_VERSION_2: Final = re.compile(rb"dbt(?:-\w+)?[ =]v?[2-9]\.\d")
"""The beginning of what dbt v2 prints for --version: `dbt-fusion 2.0.0-preview.196`."""
_PATIENCE: Final = 20.0
"""Seconds for `dbt --version`. dbt v2 takes 0.02, dbt 1.x one or two."""
_FILE: Final = "not-dbt-v2.json"
_MOST: Final = 100
"""Programs that the file remembers."""


def starts_v2(command: Sequence[str], environ: Mapping[str, str], state: Path | None) -> bool:
    """Whether the command's dbt is known to be v2, on this machine and in this environment. Behind
    a wrapper (`uv run dbt`) it is not known.

    A program that is neither Python's script for dbt 1.x nor answered before is asked for its
    version. The folder `state` remembers the programs that are not v2: to ask dbt 1.x takes long.
    A wrong memory does no harm, because dbt v2 also writes the JSON log of dbt 1.x.
    """
    program = dbt_program(command, environ)
    if program is None or is_script_of_v1(program) or _ELSEWHERE.search(_script(program)):
        return False
    identity = _identity(program)
    memory = _memory(state)
    if identity is None or identity in memory:
        return False
    if _VERSION_2.match(_version(program, environ)):
        return True
    _remember(state, [*memory, identity])
    return False


def dbt_program(command: Sequence[str], environ: Mapping[str, str]) -> Path | None:
    """The file of the command's dbt, if the command is dbt itself or names a path of dbt."""
    at = position_of_dbt(command)
    if at is None or (at > 0 and os.sep not in command[at]):
        return None
    found = shutil.which(command[at], path=environ.get("PATH"))
    return Path(found) if found is not None else None


def starts_v1(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether the command's dbt is known to be 1.x, without asking it."""
    at = position_of_dbt(command)
    if at is not None and command[at] == MODULE:
        return True
    program = dbt_program(command, environ)
    return program is not None and is_script_of_v1(program)


def is_script_of_v1(path: Path) -> bool:
    """Whether this is the script that installers write for dbt 1.x: dbt v2 is a native program."""
    return MODULE.encode() in _script(path)


def _script(path: Path) -> bytes:
    """The beginning of a script; nothing of another file."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return b""
    return head if head.startswith(b"#!") else b""


def _version(program: Path, environ: Mapping[str, str]) -> bytes:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            [program, "--version"],
            env=for_children(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        ).stdout
    return b""


def _identity(program: Path) -> str | None:
    try:
        status = program.stat()
    except OSError:
        return None
    real = os.path.realpath(program)
    return f"{real} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _memory(state: Path | None) -> list[str]:
    try:
        known: Any = json.loads((state / _FILE).read_bytes()) if state is not None else None
    except (OSError, ValueError):
        return []
    return [*filter(text, known)] if is_array(known) else []


def _remember(state: Path | None, programs: list[str]) -> None:
    if state is None:
        return
    with contextlib.suppress(OSError):
        state.mkdir(parents=True, exist_ok=True)
        draft = state / f"{_FILE}.{os.getpid()}"
        draft.write_text(json.dumps(programs[-_MOST:]))
        draft.replace(state / _FILE)
