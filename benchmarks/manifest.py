"""What a DAG file pays on each parse: reading dbt's manifest, selecting from it, drawing the edges.

    python benchmarks/manifest.py [ROUNDS]

The manifest is a real one of examples/jaffle, parsed here by the dbt of this environment, scaled up
in memory to 2,000 models in 40 layers with one generic test each: every model is a copy of a real
node with 4 KB of code, 4 KB of compiled code and 20 described columns, and the macros of dbt are
there four times, as with some packages. Figures are milliseconds of wall time: minimum, median.
"""

from __future__ import annotations

import copy
import gc
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.consumer.graph.selection import select

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS, LAYERS = 2_000, 40
EXAMPLE = Path(__file__).parents[1] / "examples" / "jaffle"
CODE = "select customer_id, order_date, sum(amount) as amount from orders group by 1, 2\n" * 50
MODEL, TEST = "model.jaffle.orders", "test.jaffle.not_null_orders_order_id.cf6c17daed"
MIDDLE = "model_01000"


def parsed(scratch: Path) -> dict[str, Any]:
    """The example's manifest."""
    ignored = shutil.ignore_patterns("target", "logs")
    project = Path(shutil.copytree(EXAMPLE, scratch / "jaffle", ignore=ignored))
    dbt = Path(sys.executable).with_name("dbt")
    subprocess.run([dbt, "--quiet", "parse"], cwd=project, check=True)
    return json.loads((project / "target" / "manifest.json").read_bytes())


def scaled(manifest: dict[str, Any]) -> dict[str, Any]:
    """2,000 models, each of which reads up to three of the layer before."""
    chance = random.Random(0)
    model, test = manifest["nodes"][MODEL], manifest["nodes"][TEST]
    column = next(iter(model["columns"].values()))
    model["columns"] = {
        f"c{i}": {**column, "description": "What it means. " * 5} for i in range(20)
    }
    model["raw_code"] = model["compiled_code"] = CODE
    wide = MODELS // LAYERS
    nodes: dict[str, Any] = {}
    for number in range(MODELS):
        layer, name = number // wide, f"model_{number:05}"
        before = range((layer - 1) * wide, layer * wide) if layer else []
        parents = sorted({chance.choice(before) for _ in range(3)}) if layer else []
        unique_id, tested = f"model.jaffle.{name}", f"test.jaffle.not_null_{name}_id.{number:010}"
        nodes[unique_id] = {
            **copy.deepcopy(model),
            "unique_id": unique_id,
            "name": name,
            "fqn": ["jaffle", "marts", f"layer_{layer:02}", name],
            "original_file_path": f"models/marts/layer_{layer:02}/{name}.sql",
            "tags": ["nightly" if number % 2 else "hourly", f"layer_{layer}"],
            "depends_on": {"macros": [], "nodes": [f"model.jaffle.model_{p:05}" for p in parents]},
        }
        nodes[tested] = {
            **copy.deepcopy(test),
            "unique_id": tested,
            "name": f"not_null_{name}_id",
            "fqn": ["jaffle", "marts", f"layer_{layer:02}", f"not_null_{name}_id"],
            "attached_node": unique_id,
            "depends_on": {"macros": ["macro.dbt.test_not_null"], "nodes": [unique_id]},
        }
    macros = {f"{u}_{i}": m for i in range(4) for u, m in manifest["macros"].items()}
    maps: dict[str, Any] = {
        "parent_map": {u: node["depends_on"]["nodes"] for u, node in nodes.items()},
        "child_map": {u: [] for u in nodes},
    }
    for unique_id, node in nodes.items():
        for parent in node["depends_on"]["nodes"]:
            maps["child_map"][parent].append(unique_id)
    return {**manifest, "nodes": nodes, "macros": macros, **maps}


def timed(work: Callable[[], object], rounds: int) -> list[float]:
    taken: list[float] = []
    for _ in range(rounds):
        gc.collect()
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1e3)
    return taken


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "manifest.json"
        path.write_text(json.dumps(scaled(parsed(Path(scratch)))))
        manifest = Manifest.read(path)
        everything = select(manifest).unique_ids
        models = [u for u in everything if manifest.nodes[u].resource_type == "model"]
        half = select(manifest, "tag:nightly").unique_ids
        assert len(models) == MODELS
        assert len(everything) == len(manifest.nodes) == 2 * MODELS
        hundred = [f"+model_{number:05}" for number in range(0, MODELS, 20)]
        work: dict[str, Callable[[], object]] = {
            "bare orjson.loads of the file": lambda: orjson.loads(path.read_bytes()),
            "Manifest.read": lambda: Manifest.read(path),
            "select everything": lambda: select(manifest),
            f"select +{MIDDLE}+": lambda: select(manifest, f"+{MIDDLE}+"),
            f"select @{MIDDLE}": lambda: select(manifest, f"@{MIDDLE}"),
            "select tag:nightly": lambda: select(manifest, "tag:nightly"),
            "select models/marts/layer_1*": lambda: select(manifest, "models/marts/layer_1*"),
            "select 100 terms +name": lambda: select(manifest, hundred),
            "nearest, of all models": lambda: manifest.nearest_ancestors(models),
            "nearest, of every second": lambda: manifest.nearest_ancestors(half),
            "tests, of all models": lambda: manifest.tests(models),
        }
        size = path.stat().st_size / 1e6
        print(f"{MODELS} models and {MODELS} tests, {size:.1f} MB, {rounds} rounds: ms")
        for what, one in work.items():
            taken = timed(one, rounds)
            print(f"{what:<32} {min(taken):7.1f} {statistics.median(taken):7.1f}")


if __name__ == "__main__":
    main()
