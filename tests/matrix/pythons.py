"""`make unit` with each Python that is on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from matrix.environments import ROOT
from matrix.table import results

HEAD = ("Python", "result")
RELEASES = ("3.10", "3.11", "3.12", "3.13", "3.14")


def row(release: str) -> list[str] | None:
    """None if the machine does not have this Python."""
    python = _python(release)
    if python is None:
        print(f"Python {release}: not on this machine", file=sys.stderr)
        return None
    code = "import platform; print(platform.python_version())"
    exact = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)

    def unit(python: str) -> None:
        made = ("make", "unit", f"PYTHON={python}", f"VENV=.venv-matrix/python-{release}")
        subprocess.run(made, cwd=ROOT, env=_own_environment(), stdout=sys.stderr, check=True)

    return [exact.stdout.strip(), results(f"Python {release}", [unit], python)]


def _python(release: str) -> str | None:
    """The path of this Python, if the machine has it: on the PATH, or installed by pyenv."""
    uv = Path(sys.executable).with_name("uv")
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    places = [str(path) for path in pyenv.glob(f"versions/{release}.*/bin")]
    env = {**os.environ, "PATH": os.pathsep.join([*places, os.environ["PATH"]])}
    command = [uv, "python", "find", "--no-python-downloads", release]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _own_environment() -> dict[str, str]:
    """Without what the `make` that runs the matrix would tell this one."""
    return {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
