"""The logs for `benchmarks/peers.py`, and a dbt project made from the log of its run.

python peer_project.py FOLDER
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections import defaultdict
from itertools import takewhile
from pathlib import Path

HERE = Path(__file__).parent
_VIEW = re.compile(r'create view "big"\."main"\."\w+?__dbt_tmp" as \(\n(.*)\n  \);', re.DOTALL)
_TABLE = re.compile(r'"big"\."main"\."(\w+)"')
_TEST = re.compile(r"test\.big\.(not_null|unique)_(m_\d+)_id\.")
PROFILE = """
big:
  target: dev
  outputs:
    dev: {type: duckdb, path: big.duckdb, threads: 8}
"""


def make_logs(folder: Path) -> None:
    """Write the log of `benchmarks/parse.py` for each level, and its head without a node."""
    with gzip.open(HERE / "big2000_debug.jsonl.gz") as packed:
        lines = packed.read().splitlines(keepends=True)
    for level in ("debug", "info"):
        of_level = [x for x in lines if level == "debug" or b'"level": "debug"' not in x]
        (folder / f"{level}.jsonl").write_bytes(b"".join(of_level))
        head = takewhile(lambda x: b'"node_info"' not in x, of_level)
        (folder / f"{level}-head.jsonl").write_bytes(b"".join(head))


def make_project(log: Path, folder: Path) -> None:
    """Write the project of the log: models, tests, the SQL that dbt compiled, and dbt's manifest.

    dbt parses it and finds the same unique_ids, which is checked.
    """
    ran: set[str] = set()
    tests: dict[str, set[str]] = defaultdict(set)
    (folder / "models").mkdir(parents=True)
    with log.open("rb") as lines:
        for line in lines:
            event = json.loads(line)
            node = event["data"].get("node_info")
            name = event["info"]["name"]
            if name == "NodeFinished":
                ran.add(node["unique_id"])
                if (test := _TEST.match(node["unique_id"])) is not None:
                    tests[test[2]].add(test[1])
            elif name == "SQLQuery" and (view := _VIEW.search(event["data"]["sql"])) is not None:
                _write(
                    folder / "models" / node["node_path"], _TABLE.sub(r"{{ ref('\1') }}", view[1])
                )
                compiled = folder / "target" / "compiled" / "big" / "models"
                _write(compiled / node["node_path"], view[1])
    models = [
        {"name": model, "columns": [{"name": "id", "data_tests": sorted(found)}]}
        for model, found in sorted(tests.items())
    ]
    _write(folder / "models" / "tests.yml", json.dumps({"models": models}))
    _write(folder / "dbt_project.yml", '{"name": "big", "profile": "big"}')
    _write(folder / "profiles.yml", PROFILE)
    dbt = Path(sys.executable).parent / "dbt"
    subprocess.run([dbt, "--quiet", "parse"], cwd=folder, check=True)
    manifest = json.loads((folder / "target" / "manifest.json").read_bytes())
    assert manifest["nodes"].keys() == ran, manifest["nodes"].keys() ^ ran


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    scratch = Path(sys.argv[1])
    make_logs(scratch)
    make_project(scratch / "debug.jsonl", scratch / "big")
