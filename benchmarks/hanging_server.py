"""What a hanging Airflow costs dbt: its wall time with a server that never answers and with none.

    python benchmarks/hanging_server.py [PAIRS]

Runs `dbt build` of the example project under the relay, in turns with a server on loopback that
accepts connections and stays silent, and without a sink. Timed is dbt itself, from the relay's
start to the last line that dbt prints.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "jaffle"
BIN = Path(sys.executable).parent
CONTEXT = {
    "DBT_RELAY_DAG_ID": "benchmark",
    "DBT_RELAY_RUN_ID": "benchmark",
    "DBT_RELAY_TASK_ID": "dbt",
    "DBT_RELAY_AIRFLOW_TOKEN": "none",
}


def seconds_of_dbt(project: Path, *sink: str, **env: str) -> float:
    """From the start until dbt's last line; the relay's own flush afterwards is not dbt's time."""
    others = ("DBT_", "AIRFLOW", "OPENLINEAGE", "OTEL_")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    command = [str(BIN / "dbt-relay"), "run", *sink, "--flush-timeout", "0", "--", "dbt", "build"]
    start = time.monotonic()
    taken = 0.0
    with subprocess.Popen(
        [*command, "--exclude", "tag:on_purpose"],
        cwd=project,
        env={
            **clean,
            "PATH": f"{BIN}{os.pathsep}{clean['PATH']}",
            "DBT_RELAY_STATE_DIR": str(project.parent / "state"),
            **env,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Done. PASS=" in line:
                taken = time.monotonic() - start
    assert process.returncode == 0, process.returncode
    return taken


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as silent:
        project = Path(folder) / "jaffle"
        shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("target", "logs"))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        seconds_of_dbt(project)
        without, hanging = [], []
        for _ in range(pairs):
            without.append(seconds_of_dbt(project))
            hanging.append(
                seconds_of_dbt(project, "--sink", "airflow", DBT_RELAY_AIRFLOW_URL=url, **CONTEXT)
            )
        ratio = statistics.median(h / w for h, w in zip(hanging, without, strict=True))
        print(f"no sink         {statistics.median(without):6.2f} s")
        print(f"hanging server  {statistics.median(hanging):6.2f} s   {ratio:5.3f} x")


if __name__ == "__main__":
    main()
