"""Wrap a real `dbt build` of the example project, then show the records that it left.

    make demo

The project has a model and a test that fail on purpose, so dbt ends with 1. The demo ends with 0
if dbt did just that.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / ".demo" / "jaffle"
RECORDS = ROOT / ".demo" / "records.jsonl"
BIN = ROOT / ".venv" / "bin"
ON_PURPOSE = {"model.jaffle.broken_on_purpose", "test.jaffle.fails_on_purpose"}


def main() -> int:
    shutil.rmtree(PROJECT.parent, ignore_errors=True)
    ignored = shutil.ignore_patterns("target", "logs")
    shutil.copytree(ROOT / "examples" / "jaffle", PROJECT, ignore=ignored)
    command = ["dbt-relay", "run", "--sink", f"jsonl:{RECORDS}", "--", "dbt", "build"]
    print(f"$ {' '.join(command)}\n".replace(f"{ROOT}/", ""), flush=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DBT_", "AIRFLOW"))}
    env["PATH"] = f"{BIN}{os.pathsep}{env['PATH']}"
    env["DBT_RELAY_STATE_DIR"] = str(PROJECT.parent / "state")
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=PROJECT, env=env, check=False)

    records = [json.loads(line) for line in RECORDS.read_text().splitlines()]
    nodes = [record for record in records if "unique_id" in record]
    print(f"\nThe records, one per node, in {RECORDS.relative_to(ROOT)}:\n")
    for node in nodes:
        text = (node.get("message") or node.get("caused_by") or "").partition("\n")[0]
        print(f"{node['outcome']:<10} {node['status']:<8} {node['unique_id']:<60.60} {text:.60}")

    print("\nThe same from the journal, which every run leaves behind:\n")
    show = ["dbt-relay", "runs"]
    print(f"$ {' '.join(show)}\n", flush=True)
    subprocess.run([str(BIN / show[0]), *show[1:]], env=env, check=True)

    failed = {node["unique_id"] for node in nodes if node["outcome"] == "failure"}
    if done.returncode != 1 or failed != ON_PURPOSE:
        print(f"\nThe demo went wrong: dbt ended with {done.returncode}", file=sys.stderr)
        return 1
    print("\nThe two failures are part of the show: both are in the project on purpose.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
