"""Make the golden pairs: what dbt prints as JSON, and what the same dbt prints as text.

    python make.py VERSION=/path/to/dbt [VERSION=/path/to/dbt …] [--only=SCENARIO,…]

Each scenario is run twice from the same state of the same project: as its user would type it (the
text), and as the relay runs it (the JSON). Where dbt can write its file log as console text, the
text comes from the JSON run itself, once it was seen to equal the first run's, durations aside:
such a pair (`same_run` in pairs.json) must be reproduced to the last character but for the clock.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scenarios import EXTRA, SCENARIOS, Scenario

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[2] / "examples" / "jaffle"
RELAY_FLAGS = ["--log-format", "json", "--log-level", "debug", "--no-quiet"]
TIMEOUT_S = 180
VARYING = (
    (re.compile(r"(?m)^((?:\x1b\[0m)?)\d\d:\d\d:\d\d  "), r"\1HH:MM:SS  "),
    (re.compile(r"\bin \d+\.\d\ds\]"), "in N.NNs]"),
    (re.compile(r"\d+ hours \d+ minutes and \d+\.\d\d seconds \(\d+\.\d\ds\)"), "DURATION"),
)


def without_times(text: str) -> str:
    for pattern, replacement in VARYING:
        text = pattern.sub(replacement, text)
    return text


class Bench:
    """One dbt, one working copy of the project, put back to its state before every run."""

    def __init__(self, dbt: str, root: Path) -> None:
        self.dbt, self.root = dbt, root
        self.project, self.state = root / "project", root / "state"
        python = Path(dbt).with_name("python")
        ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]
        stdlib = Path(
            subprocess.run(ask, capture_output=True, check=True, text=True).stdout.strip()
        )
        self.names = {
            str(root): "/work",
            str(Path(dbt).parents[1]): "/venv",
            str(stdlib): f"/usr/lib/{stdlib.name}",
        }

    def prepare(self, scenario: Scenario) -> None:
        shutil.rmtree(self.project, ignore_errors=True)
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(EXAMPLE, self.project)
        profile = self.project / "profiles.yml"
        profile.write_text(profile.read_text().replace("threads: 4", "threads: 1"))
        for name in scenario.extra:
            for path, text in EXTRA[name].items():
                (self.project / path).parent.mkdir(parents=True, exist_ok=True)
                (self.project / path).write_text(text)
        for command in scenario.before:
            self.run([], shlex.split(command), scenario)
        for line in scenario.edit:
            subprocess.run(shlex.split(line), cwd=self.project, check=True)
        shutil.copytree(self.project, self.state)

    def restore(self) -> None:
        shutil.rmtree(self.project)
        shutil.copytree(self.state, self.project)

    def anonymous(self, output: bytes) -> str:
        text = output.decode()
        for path, name in self.names.items():
            text = text.replace(path, name)
        return text

    def run(
        self,
        flags: list[str],
        command: list[str],
        scenario: Scenario,
        more_env: dict[str, str] | None = None,
    ) -> tuple[str, int]:
        colours = "1" if scenario.colours else "0"
        env = {k: v for k, v in os.environ.items() if not k.startswith("DBT_")}
        done = subprocess.run(
            [self.dbt, *flags, *command],
            cwd=self.project,
            env=env
            | {"DBT_USE_COLORS": colours, "DBT_USE_COLORS_FILE": colours, "PYTHONHASHSEED": "0"}
            | (more_env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
        return self.anonymous(done.stdout), done.returncode

    def pair(self, scenario: Scenario) -> tuple[str, str, dict[str, object]]:
        command = shlex.split(scenario.command)
        self.prepare(scenario)
        console, code = self.run(scenario.flags, command, scenario)
        self.restore()
        shutil.rmtree(self.project / "logs", ignore_errors=True)
        kept = [flag for flag in scenario.flags if flag in {"--no-print", "--warn-error"}]
        file_env = {"DBT_LOG_FORMAT_FILE": scenario.style, "DBT_LOG_LEVEL_FILE": scenario.level}
        events, relayed_code = self.run([*RELAY_FLAGS, *kept], command, scenario, file_env)
        if relayed_code != code:
            raise SystemExit(f"{scenario.name}: exit {code} as text, {relayed_code} as JSON")
        log = self.project / "logs" / "dbt.log"
        file = self.anonymous(log.read_bytes() if log.exists() else b"")
        same = scenario.varies or without_times(file) == without_times(console)
        about: dict[str, object] = {
            "scenario": scenario.name,
            "argv": ["dbt", *scenario.flags, *command],
            "exit": code,
            "level": scenario.level,
            "style": scenario.style,
            "colours": scenario.colours,
            "same_run": same,
        }
        return events, file if same else console, about


def main(arguments: list[str]) -> None:
    only = {n for a in arguments if a.startswith("--only=") for n in a[7:].split(",")}
    index = HERE / "pairs.json"
    pairs = json.loads(index.read_text()) if index.exists() else {}
    for version, dbt in (a.split("=", 1) for a in arguments if not a.startswith("--")):
        folder = HERE / version
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as root:
            bench = Bench(dbt, Path(root))
            for scenario in SCENARIOS:
                if version not in scenario.versions or (only and scenario.name not in only):
                    continue
                events, text, about = bench.pair(scenario)
                packed = gzip.compress(events.encode(), mtime=0)
                (folder / f"{scenario.name}.jsonl.gz").write_bytes(packed)
                (folder / f"{scenario.name}.txt").write_bytes(text.encode())
                pairs[f"{version}/{scenario.name}"] = about
                print(version, about["exit"], about["same_run"], len(packed), scenario.name)
    index.write_text(json.dumps(dict(sorted(pairs.items())), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
