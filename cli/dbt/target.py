"""Where dbt's artifacts of an invocation lie, and what they add to its log."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING

from ...parser.artifacts import RunResults, read_run_results
from ...parser.lineage import Lineage, read_checksums, read_lineage

if TYPE_CHECKING:
    from ...parser.invocation import Invocation


def run_results(invocation: Invocation, target_dir: Path) -> RunResults | None:
    """Its `run_results.json`, None if there is none or it belongs to another invocation."""
    path = _path(invocation, target_dir, "run_results.json")
    try:
        results = read_run_results(path.read_bytes())
    except OSError:
        return None
    return results if results is not None and results.invocation_id == invocation.id else None


def lineage(invocation: Invocation, target_dir: Path) -> Lineage | None:
    """Who depends on whom, None if the manifest is absent or of another invocation."""
    path = _path(invocation, target_dir, "manifest.json")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            found = read_lineage(text)
    except (OSError, ValueError):
        return None
    return found if found is not None and found.invocation_id == invocation.id else None


def checksums(invocation: Invocation, target_dir: Path) -> dict[str, str]:
    """The checksum of each node's code, empty if the manifest is absent or of another invocation.

    For dbt up to 1.9, whose log does not have them.
    """
    return checksums_in(_path(invocation, target_dir, "manifest.json"), invocation.id)


def checksums_in(manifest: Path, invocation_id: str) -> dict[str, str]:
    """The same of a manifest of dbt 1.x that lies there."""
    try:
        with (
            manifest.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
        ):
            return read_checksums(text, invocation_id)
    except (OSError, ValueError):
        return {}


def folder(invocation: Invocation) -> Path | None:
    """Where dbt says that its artifacts are, None as long as it has not said it."""
    for name in ("run_results.json", "manifest.json"):
        if written := invocation.artifacts.get(name):
            return Path(written).parent
    return None


def _path(invocation: Invocation, target_dir: Path, name: str) -> Path:
    """Where dbt 1.8+ says at debug level that it wrote the file, else its usual place."""
    written = invocation.artifacts.get(name)
    return Path(written) if written else target_dir / name
