"""What gets installed is what lies in the repository: an editable install would hide a gap."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("records", "parser", "consumer", "sinks", "cli", "provider")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    out = tmp_path_factory.mktemp("wheel")
    # By way of the sdist, as an index gets it; what lies in `build/` from before is left out.
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run([*build, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path).namelist()


def test_the_wheel_holds_every_module_and_nothing_else(wheel: list[str]) -> None:
    own = ("__init__.py", "__main__.py", "provider_info.py", "py.typed")
    modules = [ROOT / name for name in own]
    modules += [path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")]
    modules += (ROOT / "cli" / "reports" / "page").iterdir()
    expected = {f"dbt_relay/{path.relative_to(ROOT).as_posix()}" for path in modules}
    assert {name for name in wheel if ".dist-info/" not in name} == expected
