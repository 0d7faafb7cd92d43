"""The environments of the matrix, in `.venv-matrix`, with the versions in `tests/constraints`."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "tests/constraints"

_UV = Path(sys.executable).with_name("uv")


def environment(name: str, *install: str | Path) -> Path:
    """The folder of the environment of that name, made if there is none.

    `install` are arguments of `uv pip install`.
    """
    folder = ROOT / ".venv-matrix" / name
    with locked(folder):
        if not folder.exists():
            subprocess.run([_UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        command = [_UV, "pip", "install", "--quiet", "--python", folder / "bin/python"]
        subprocess.run([*command, *install], check=True)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps out other rows that share this environment."""
    folder.parent.mkdir(exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def versions(folder: Path, *packages: str) -> list[str]:
    """The versions of packages in an environment, and behind them the version of its Python."""
    code = (
        "import platform, sys; from importlib.metadata import version;"
        "print(*map(version, sys.argv[1:]), platform.python_version())"
    )
    command = [folder / "bin/python", "-c", code, *packages]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
