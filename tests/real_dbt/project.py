"""The example project in a folder of its own, and the commands of this environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgpack
from support.environment import clean_environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "jaffle"
BIN = Path(sys.executable).parent
TIMEOUT_S = 120
_PARSED = "partial_parse.msgpack"


@dataclass(frozen=True)
class Project:
    root: Path

    @classmethod
    def copy(cls, to: Path, source: Path = EXAMPLE) -> Project:
        ignored = shutil.ignore_patterns("target", "logs")
        return cls(Path(shutil.copytree(source, to / source.name, ignore=ignored)))

    @classmethod
    def parsed(cls, to: Path) -> Project:
        """A copy of the example that dbt 1.x has parsed: its first run takes half as long."""
        project = cls.copy(to)
        target = project.root / "target"
        target.mkdir()
        parsed = msgpack.unpackb(_parsed_example(), strict_map_key=False)
        for node in parsed["nodes"].values():
            if node.get("root_path"):  # seeds have it, and dbt reads their files below it
                node["root_path"] = str(project.root)
        (target / _PARSED).write_bytes(msgpack.packb(parsed))
        return project

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this environment (dbt, dbt-relay) in the project."""
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command,
            cwd=self.root,
            env=clean_environment(**{"PATH": path, **env}),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def relay(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`dbt-relay run`, with the records in `records.jsonl`."""
        (self.root / "records.jsonl").unlink(missing_ok=True)
        return self.run("dbt-relay", "run", "--sink", "jsonl:records.jsonl", "--", *command, **env)

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(s) for s in (self.root / "records.jsonl").read_text().splitlines()]

    def nodes(self) -> dict[str, dict[str, Any]]:
        return {r["unique_id"]: r for r in self.records() if r["schema"] == "dbt-relay/node@1"}

    def results(self) -> dict[str, dict[str, Any]]:
        document = json.loads((self.root / "target" / "run_results.json").read_text())
        return {r["unique_id"]: r for r in document["results"]}


@cache
def _parsed_example() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        project = Project.copy(Path(folder))
        project.run("dbt", "parse")
        return (project.root / "target" / _PARSED).read_bytes()
