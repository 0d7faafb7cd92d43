"""What each tool that follows dbt's log costs: the same log through the tools' own functions.

    .venv/bin/python benchmarks/peers.py [ROUNDS [TOOL …]]

The log is the one of `benchmarks/parse.py`: dbt 1.11.16, 2,000 views and 200 tests. Each tool gets
it at the level for which it asks dbt: 63,696 lines at `debug`, or those of them at `info`. Each
tool has a virtual environment of its own in `.venv-peers`, made by uv with the pins of
`tests/constraints/peer-*.txt`. In place of dbt the tool starts a program that prints or writes the
log. The project around it is made anew from the log, with a manifest of `dbt parse` and the
compiled SQL. Only the destination of each peer is a stand-in, which counts:

- `dbt-relay`: `dbt-relay run`, the whole command with its journal and a file of JSON lines. It
  reads dbt's standard output; a write is a record in the file.
- `dbt-ol`: its command, with `--consume-structured-logs`. Without that option it reads no log. It
  reads dbt's log file; a write is an OpenLineage event, made into JSON.
- `dagster-dbt`: `DbtCliInvocation.run(…).stream()` with the manifest, as in an op. It reads dbt's
  standard output; a write is an event for Dagster's event log.
- `Cosmos`: the parser of its producer in `ExecutionMode.WATCHER`. If dbt can be imported, it runs
  in the producer's process and the parser gets each event; `in process` is that, without dbt and
  without turning the event into JSON. Else the parser gets dbt's standard output: `as a process`.
  A write is an XCom. By default Cosmos also writes all XComs so far to an Airflow Variable with
  each of them, which is a second write; `no Variable` is `enable_watcher_reliable_retry = False`.

Figures are the medians of the rounds; a row that takes minutes runs once. CPU is the CPU time of
the whole process, and `to start` what it takes for a log without a node: imports and the manifest.
Lines for each second are those of the CPU time after that; `?` if that is too short to tell.
Memory is the peak of the process.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent
ENVIRONMENTS = {
    "dagster": ["dagster-dbt", "dbt-core"],
    "dbt-ol": ["openlineage-dbt", "dbt-core"],
    "cosmos": ["astronomer-cosmos", "apache-airflow", "dbt-core"],
}


class Tool(NamedTuple):
    """How to run a tool: the function in `peer_drivers.py`, empty for dbt-relay itself."""

    environment: str | None
    driver: str
    level: str
    is_slow: bool = False


TOOLS = {
    "dbt-relay": Tool(None, "", "debug"),
    "dbt-ol": Tool("dbt-ol", "dbt_ol", "debug"),
    "dagster-dbt": Tool("dagster", "dagster", "info"),
    "Cosmos in process": Tool("cosmos", "cosmos", "debug", is_slow=True),
    "Cosmos in process, no Variable": Tool("cosmos", "cosmos_without_variable", "debug"),
    "Cosmos as a process": Tool("cosmos", "cosmos", "info", is_slow=True),
    "Cosmos as a process, no Variable": Tool("cosmos", "cosmos_without_variable", "info"),
}


NODES = 2_200
_LEAST = 0.1
"""The share of the time to start below which the rest is within the noise."""


class Used(NamedTuple):
    cpu: float
    megabytes: float
    writes: int


def python_of(environment: str | None) -> str:
    """The Python of an environment, which is made if it is not there."""
    if environment is None:
        return sys.executable
    folder = ROOT / ".venv-peers" / environment
    python, is_made = folder / "bin" / "python", folder / "made"
    if not is_made.exists():
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert uv is not None, "uv is missing: type `make unit`"
        pins = ROOT / "tests" / "constraints" / f"peer-{environment}.txt"
        packages = ENVIRONMENTS[environment]
        subprocess.run([uv, "venv", "--clear", "--python", sys.executable, folder], check=True)
        install = [uv, "pip", "install", "--python", python, "--constraint", pins, *packages]
        subprocess.run(install, check=True)
        is_made.touch()
    return str(python)


def versions(python: str) -> str:
    names = sorted({name for names in ENVIRONMENTS.values() for name in names})
    script = (
        "import sys; from importlib.metadata import *\n"
        "for name in sys.argv[1:]:\n"
        "    try: print(name, version(name))\n"
        "    except PackageNotFoundError: pass"
    )
    said = subprocess.run([python, "-c", script, *names], capture_output=True, check=True)
    return ", ".join(said.stdout.decode().splitlines())


def used(python: str, driver: str, log: Path, project: Path, scratch: Path) -> Used:
    """What one tool needs for a log."""
    counted = scratch / "writes"
    counted.unlink(missing_ok=True)
    others = ("DBT_", "AIRFLOW", "OPENLINEAGE", "DAGSTER", "XDG_STATE_HOME")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    home = {"AIRFLOW_HOME": str(scratch / "airflow"), "XDG_STATE_HOME": str(scratch / "state")}
    path = f"{scratch / 'bin'}:{os.environ['PATH']}"
    command = [python, HERE / "peer_drivers.py", driver, log, project, counted]
    if not driver:
        sink = f"jsonl:{counted}"
        command = [python, "-m", "dbt_relay", "run", "--sink", sink, "--", "cat", log]
    with (scratch / "errors").open("wb") as errors:
        process = subprocess.Popen(
            command,
            env={**clean, **home, "PATH": path, "PEERS_LOG": str(log)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=project,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (scratch / "errors").read_text()
    writes = int(counted.read_text()) if driver else counted.read_bytes().count(b"\n")
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, writes)


def measured(
    scratch: Path, rounds: int, tools: dict[str, Tool]
) -> dict[str, list[tuple[Used, Used, int]]]:
    """For each tool, and each round, what it used for the log without nodes and for the log, and
    the lines of the log."""
    # In a process of its own, as the peak of a child is never below its parent's.
    subprocess.run([sys.executable, HERE / "peer_project.py", scratch], check=True)
    project = scratch / "big"
    (scratch / "bin").mkdir()
    dbt = scratch / "bin" / "dbt"
    dbt.write_bytes((HERE / "peer_dbt.sh").read_bytes())
    dbt.chmod(0o755)
    pythons = {name: python_of(tool.environment) for name, tool in tools.items()}
    for python in dict.fromkeys(pythons.values()):
        print(versions(python), flush=True)
    for name, tool in tools.items():  # writes the bytecode
        used(pythons[name], tool.driver, scratch / f"{tool.level}-head.jsonl", project, scratch)
    taken: dict[str, list[tuple[Used, Used, int]]] = {name: [] for name in tools}
    for number in range(rounds):
        for name, tool in tools.items():
            if number and tool.is_slow:
                continue
            log, head = scratch / f"{tool.level}.jsonl", scratch / f"{tool.level}-head.jsonl"
            with log.open("rb") as file:
                lines = sum(1 for _ in file)
            few = used(pythons[name], tool.driver, head, project, scratch)
            whole = used(pythons[name], tool.driver, log, project, scratch)
            taken[name].append((few, whole, lines))
    return taken


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    tools = {name: tool for name, tool in TOOLS.items() if name in sys.argv[2:] or not sys.argv[2:]}
    with tempfile.TemporaryDirectory() as folder:
        taken = measured(Path(folder), rounds, tools)
    head = f"{'medians of ' + str(rounds):<34}{'level':<7}{'CPU':>9}{'to start':>10}{'lines/s':>9}"
    print(f"{head}{'memory':>9}{'writes a node':>15}")
    for name, rows in taken.items():
        cpu = statistics.median(whole.cpu for _, whole, _ in rows)
        start = statistics.median(few.cpu for few, _, _ in rows)
        rest = statistics.median(whole.cpu - few.cpu for few, whole, _ in rows)
        pace = f"{rows[0][2] / rest:,.0f}" if rest > start * _LEAST else "?"
        memory = statistics.median(whole.megabytes for _, whole, _ in rows)
        writes = statistics.median((whole.writes - few.writes) / NODES for few, whole, _ in rows)
        row = f"{name:<34}{TOOLS[name].level:<7}{cpu:>7.1f} s{start:>8.1f} s{pace:>9}"
        print(f"{row}{memory:>6.0f} MB{writes:>15.1f}")


if __name__ == "__main__":
    main()
