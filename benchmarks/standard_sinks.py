"""What the sinks openlineage and otlp cost: dbt's time beside them, and their CPU for each node.

    python benchmarks/standard_sinks.py [PAIRS]

Runs `dbt build` of the example project under the relay, in turns without a sink and with each of
them, and times dbt itself: from the relay's start to the last line that dbt prints. The CPU is that
of `dbt-relay replay` for a log of 2,200 nodes, above the same without a sink: imports are in it.
The server is a process of its own on loopback that takes everything.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from hanging_server import BIN, EXAMPLE, seconds_of_dbt

HERE = Path(__file__).parent
LOG = HERE / "big2000_debug.jsonl.gz"
SINKS = {"none": (), "openlineage": ("--sink", "openlineage"), "otlp": ("--sink", "otlp")}
NODES = 2200


class Taker(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def serve(ports: Any) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        ports.put(server.server_address[1])
        server.serve_forever()


def environment(url: str, folder: Path) -> dict[str, str]:
    others = ("DBT_", "AIRFLOW", "OPENLINEAGE", "OTEL_")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    return {
        **clean,
        "PATH": f"{BIN}{os.pathsep}{clean['PATH']}",
        "DBT_RELAY_STATE_DIR": str(folder / "state"),
        "OPENLINEAGE_URL": url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
    }


def cpu_of_replay(project: Path, env: dict[str, str], *sink: str) -> float:
    """CPU seconds of the whole process, which ends once everything is delivered."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ("replay", *sink, "--flush-timeout", "600", str(LOG))
    subprocess.run(
        ["dbt-relay", *words], cwd=project, env=env, stdout=subprocess.DEVNULL, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    context = get_context("spawn")
    ports = context.Queue()
    server = context.Process(target=serve, args=(ports,), daemon=True)
    server.start()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = folder / "jaffle"
        shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("target", "logs"))
        env = environment(f"http://127.0.0.1:{ports.get()}", folder)
        seconds_of_dbt(project, **env)
        times: dict[str, list[float]] = {sink: [] for sink in SINKS}
        for _ in range(pairs):
            for sink, words in SINKS.items():
                times[sink].append(seconds_of_dbt(project, *words, **env))
        cpu = {sink: cpu_of_replay(project, env, *words) for sink, words in SINKS.items()}
    server.terminate()
    for sink, taken in times.items():
        ratio = statistics.median(t / n for t, n in zip(taken, times["none"], strict=True))
        more = (cpu[sink] - cpu["none"]) / NODES * 1000
        print(
            f"{sink:12} dbt {statistics.median(taken):6.2f} s {ratio:6.3f} x   {more:6.2f} ms/node"
        )


if __name__ == "__main__":
    main()
