"""How the whole of `dbt-relay replay` grows with the number of nodes: time, memory and journal.

    python benchmarks/scale.py [ROUNDS] [MOST_NODES]

Each log has the events that dbt 1.11 writes at debug level about a node, in the form of its JSON,
without the unread ones. In `fine` every node succeeds; in `skipped` the first one fails and dbt
skips all others for it. Each round replays each log once, in a process of its own, into a new
journal. Figures are the medians of the rounds, above a replay of ten nodes: CPU in microseconds for
each node, peak memory in bytes for each node, and the size of the journal in bytes for each node.
They stay the same from 2,200 to 100,000 nodes if the cost is linear.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

NODES = (2_200, 11_000, 50_600, 100_000)
FEW = 10
KINDS = ("fine", "skipped")


class Cost(NamedTuple):
    cpu: float
    memory: float
    journal: float


def line(name: str, data: dict[str, Any], level: str = "debug") -> bytes:
    info = {"category": "", "code": "Q025", "extra": {}, "invocation_id": "i-1", "level": level}
    info |= {"msg": f"{name} of a node", "name": name, "pid": 7, "thread": "Thread-1 (worker)"}
    info |= {"ts": "2026-01-01T00:00:00.000000Z"}
    return json.dumps({"data": data, "info": info}, sort_keys=True).encode() + b"\n"


def events(kind: str, nodes: int) -> Iterator[bytes]:
    yield line("MainReportVersion", {"version": "=1.11.16"}, "info")
    for number in range(nodes):
        name = f"customer_orders_{number:06}"
        status = "success" if kind == "fine" else "skipped" if number else "error"
        node = {
            "unique_id": f"model.shop.{name}",
            "node_name": name,
            "node_path": f"marts/{name}.sql",
            "resource_type": "model",
            "materialized": "view",
            "node_started_at": "2026-01-01T00:00:00",
            "node_finished_at": "2026-01-01T00:00:01",
            "node_relation": {"relation_name": f'"shop"."main"."{name}"'},
            "node_checksum": f"{number:064x}",
        }
        result = {
            "status": status,
            "message": {"success": "OK", "error": "Database Error: no column"}.get(status, ""),
            "execution_time": 0.1,
            "thread": "Thread-1 (worker)",
            "adapter_response": {"_message": "OK"},
        }
        yield line("NodeStart", {"node_info": node})
        yield line("NodeFinished", {"node_info": node, "run_result": result})


def replay(log: Path, state: Path) -> Cost:
    """CPU seconds, bytes of peak memory, and bytes of the journal."""
    others = ("DBT_", "AIRFLOW", "XDG_STATE_HOME")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    process = subprocess.Popen(
        [sys.executable, "-m", "dbt_relay", "replay", str(log)],
        env={**clean, "DBT_RELAY_STATE_DIR": str(state)},
        stdout=subprocess.DEVNULL,
        cwd=log.parent,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    size = sum(path.stat().st_size for path in state.glob("journal.db*"))
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, size)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    most = int(sys.argv[2]) if len(sys.argv) > 2 else max(NODES)
    sizes = [nodes for nodes in NODES if nodes <= most]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        logs: dict[tuple[str, int], Path] = {}
        for kind in KINDS:
            for nodes in (FEW, *sizes):
                log = logs[kind, nodes] = scratch / f"{kind}-{nodes}.jsonl"
                with log.open("wb") as file:
                    file.writelines(events(kind, nodes))
        taken: dict[tuple[str, int], list[Cost]] = {of: [] for of in logs}
        for number in range(rounds):
            for of, log in logs.items():
                taken[of].append(replay(log, scratch / f"{log.stem}-{number}"))
    print(f"{'medians of ' + str(rounds):<18}{'nodes':>8}{'CPU':>10}{'memory':>10}{'journal':>10}")
    for (kind, nodes), costs in taken.items():
        if nodes == FEW:
            continue
        each = [
            Cost(*((of - at) / nodes for of, at in zip(cost, few, strict=True)))
            for cost, few in zip(costs, taken[kind, FEW], strict=True)
        ]
        cpu, memory, journal = (statistics.median(figures) for figures in zip(*each, strict=True))
        print(f"{kind:<18}{nodes:>8}{cpu * 1e6:>7.0f} us{memory:>8.0f} B{journal:>8.0f} B")


if __name__ == "__main__":
    main()
