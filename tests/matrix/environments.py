"""The environments of the matrix, in `.venv-matrix`, with the versions in `tests/constraints`."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "tests/constraints"

_UV = Path(sys.executable).with_name("uv")


def environment(name: str, *install: str | Path) -> Path:
    """The folder of the environment of that name, made if there is none.

    `install` are arguments of `uv pip install`. Two rows may share an environment, so only one
    process at a time makes it.
    """
    folder = ROOT / ".venv-matrix" / name
    folder.parent.mkdir(exist_ok=True)
    with folder.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            subprocess.run([_UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        command = [_UV, "pip", "install", "--quiet", "--python", folder / "bin/python"]
        subprocess.run([*command, *install], check=True)
    return folder


def versions(folder: Path, *packages: str) -> list[str]:
    """The versions of packages in an environment, and behind them the version of its Python."""
    code = (
        "import platform, sys; from importlib.metadata import version;"
        "print(*map(version, sys.argv[1:]), platform.python_version())"
    )
    command = [folder / "bin/python", "-c", code, *packages]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
