"""dbt's target folder: the artifacts of an invocation, which add to its log.

The files are read whole and not mapped into memory. dbt may cut a file to write it anew at any
moment, and whoever reads a mapped file that is cut dies of SIGBUS.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...parser.artifacts import RunResults, read_run_results
from ...parser.lineage import Lineage, read_checksums, read_files, read_lineage

if TYPE_CHECKING:
    from ...parser.invocation import Invocation
    from ...parser.lineage import SourceFile


def run_results(invocation: Invocation, target_dir: Path) -> RunResults | None:
    """The invocation's `run_results.json`; None if it is absent or of another invocation."""
    path = _path(invocation, target_dir, "run_results.json")
    try:
        results = read_run_results(path.read_bytes())
    except OSError:
        return None
    return results if results is not None and results.invocation_id == invocation.id else None


def lineage(invocation: Invocation, target_dir: Path) -> Lineage | None:
    """Which node depends on which; None if the manifest is absent or of another invocation."""
    path = _path(invocation, target_dir, "manifest.json")
    try:
        found = read_lineage(path.read_bytes())
    except OSError:
        return None
    return found if found is not None and found.invocation_id == invocation.id else None


def checksums(invocation: Invocation, target_dir: Path) -> dict[str, str]:
    """The checksum of each node's code; empty if the manifest is absent or of another invocation.

    The log of dbt has checksums only since 1.10.
    """
    return checksums_in(_path(invocation, target_dir, "manifest.json"), invocation.id)


def checksums_in(manifest: Path, invocation_id: str) -> dict[str, str]:
    """The checksums in a manifest of dbt 1.x, by unique_id; empty if of another invocation."""
    try:
        return read_checksums(manifest.read_bytes(), invocation_id)
    except OSError:
        return {}


def project(target_dir: Path) -> tuple[Lineage, dict[str, SourceFile]] | None:
    """The graph and the files of the nodes in the folder's manifest, of whichever invocation.

    None if there is no manifest.
    """
    try:
        text = (target_dir / "manifest.json").read_bytes()
        found = read_lineage(text)
        return (found, read_files(text)) if found is not None else None
    except (OSError, ValueError):
        return None


def folder(invocation: Invocation) -> Path | None:
    """The folder that dbt names for its artifacts; None as long as its log names none."""
    for name in ("run_results.json", "manifest.json"):
        if (written := _written(invocation, name)) is not None:
            return written.parent
    return None


def _path(invocation: Invocation, target_dir: Path, name: str) -> Path:
    """The path that dbt 1.8 and later log at debug level; for others the usual place."""
    return _written(invocation, name) or target_dir / name


def _written(invocation: Invocation, name: str) -> Path | None:
    """The path that dbt logged. dbt v2 logs a part of it, below a folder that it does not name."""
    path = Path(invocation.artifacts.get(name, ""))
    return path if path.is_absolute() else None
