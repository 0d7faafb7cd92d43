"""One dbt, and projects for it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from matrix.warehouses import Warehouse
from real_dbt.project import EXAMPLE, Project

RELEASES = ("1.7", "1.8", "1.9", "1.10", "1.11", "1.12", "v2")
PROJECTS = ("jaffle", "shop")

_SHOP = Path(__file__).parent / "shop"
"""A folder for each dbt that knows something new: what it adds to the one before, or replaces."""


@dataclass(frozen=True)
class Dbt:
    """A dbt, and a folder for all that it is to build."""

    release: str
    program: str
    warehouse: Warehouse
    home: Path

    def is_since(self, release: str) -> bool:
        return RELEASES.index(self.release) >= RELEASES.index(release)

    @property
    def build(self) -> tuple[str, ...]:
        """The command that builds a project."""
        batches = ("--event-time-start", "2024-01-01", "--event-time-end", "2024-01-04")
        return (self.program, "build", *(batches if self.is_since("1.9") else ()))

    def project(self, name: str, *, threads: int = 4) -> Project:
        """A new copy of a project, with a database of its own beside it."""
        folder = Path(tempfile.mkdtemp(dir=self.home))
        root = folder / name
        ignored = shutil.ignore_patterns("target", "logs")
        parts = [EXAMPLE]
        if name == "shop":
            parts = [_SHOP / release for release in RELEASES if self.is_since(release)]
        for part in parts:
            if part.exists():
                shutil.copytree(part, root, ignore=ignored, dirs_exist_ok=True)
        output = {**self.warehouse.output(folder), "threads": threads}
        profile = {"target": "dev", "outputs": {"dev": output}}
        (root / "profiles.yml").write_text(json.dumps({name: profile}))
        return Project(root)

    def plain(self, project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
        return project.run(self.program, *arguments)

    def relayed(self, project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
        return project.relay(self.program, *arguments)
