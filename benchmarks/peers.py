"""What each tool that follows dbt's log costs: the same log through the tools' own functions.

    .venv/bin/python benchmarks/peers.py [ROUNDS]

The log is the one of `benchmarks/parse.py`: dbt 1.11.16 at level debug, 2,000 views and 200 tests.
Each tool has a virtual environment of its own in `.venv-peers`, made by uv with the pins of
`tests/constraints/peer-*.txt`. In place of dbt the tool starts a program that prints or writes the
log. The project around it is made anew from the log, with a manifest of `dbt parse` and the
compiled SQL. Only the destination of each peer is a stand-in, which counts:

- `dbt-relay`: `dbt-relay run`, the whole command with its journal and a file of JSON lines. It
  reads dbt's standard output; a write is a record in the file.
- `dagster-dbt`: `DbtCliInvocation.run(…).stream()` with the manifest, as in an op. It reads dbt's
  standard output; a write is an event for Dagster's event log.
- `Cosmos`: the hook and the parser of its producer in `ExecutionMode.WATCHER`, as a subprocess. It
  reads dbt's standard output; a write is an XCom. By default it also writes all XComs so far to an
  Airflow Variable with each of them, which is a second write. The last row is without.
- `dbt-ol`: its command, with `--consume-structured-logs`. Without that option it reads no log. It
  reads dbt's log file; a write is an OpenLineage event, made into JSON.

Figures are the medians of the rounds; `Cosmos` runs once, as it takes minutes. CPU is the CPU time
of the whole process, and `to start` what it takes for a log without a node: imports and the
manifest. Lines for each second are those of the CPU time after that. Memory is the peak of the
process.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

from peer_project import make_project, unpack  # noqa: E402

ENVIRONMENTS = {
    "dagster": ["dagster-dbt", "dbt-core"],
    "dbt-ol": ["openlineage-dbt", "dbt-core"],
    "cosmos": ["astronomer-cosmos", "apache-airflow", "dbt-core"],
}
TOOLS = {
    "dbt-relay": (None, ""),
    "dagster-dbt": ("dagster", "dagster"),
    "dbt-ol": ("dbt-ol", "dbt_ol"),
    "Cosmos": ("cosmos", "cosmos"),
    "Cosmos without its Variable": ("cosmos", "cosmos_without_variable"),
}
"""Each tool's environment and the function that drives it in `peer_drivers.py`."""
ONCE = ("Cosmos",)


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


def is_of_no_node(line: bytes) -> bool:
    return b'"node_info"' not in line


def measured(scratch: Path, rounds: int) -> Iterator[tuple[str, list[tuple[Used, Used]]]]:
    """For each tool, and each round, what it used for the log without nodes and for the log."""
    log, few, project = scratch / "dbt.jsonl", scratch / "few.jsonl", scratch / "big"
    unpack(log)
    with log.open("rb") as lines, few.open("wb") as head:
        head.writelines(takewhile(is_of_no_node, lines))
    make_project(log, project)
    (scratch / "bin").mkdir()
    dbt = scratch / "bin" / "dbt"
    dbt.write_bytes((HERE / "peer_dbt.sh").read_bytes())
    dbt.chmod(0o755)
    pythons = {name: python_of(environment) for name, (environment, _) in TOOLS.items()}
    for python in dict.fromkeys(pythons.values()):
        print(versions(python) or "dbt-relay of this folder", flush=True)
    taken: dict[str, list[tuple[Used, Used]]] = {name: [] for name in TOOLS}
    for name, (_, driver) in TOOLS.items():  # writes the bytecode
        used(pythons[name], driver, few, project, scratch)
    for number in range(rounds):
        for name, (_, driver) in TOOLS.items():
            if number and name in ONCE:
                continue
            pair = [used(pythons[name], driver, each, project, scratch) for each in (few, log)]
            taken[name].append((pair[0], pair[1]))
    yield from taken.items()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        taken = dict(measured(scratch, rounds))
        with (scratch / "dbt.jsonl").open("rb") as log:
            lines = sum(1 for _ in log)
    nodes = 2200
    head = f"{'medians of ' + str(rounds):<29}{'CPU':>9}{'to start':>10}{'lines/s':>10}"
    print(f"{head}{'memory':>9}{'writes a node':>15}")
    for name, pairs in taken.items():
        cpu = statistics.median(whole.cpu for _, whole in pairs)
        start = statistics.median(few.cpu for few, _ in pairs)
        pace = statistics.median(lines / (whole.cpu - few.cpu) for few, whole in pairs)
        memory = statistics.median(whole.megabytes for _, whole in pairs)
        writes = statistics.median((whole.writes - few.writes) / nodes for few, whole in pairs)
        row = f"{name:<29}{cpu:>7.1f} s{start:>8.1f} s{pace:>10,.0f}{memory:>6.0f} MB"
        print(f"{row}{writes:>15.1f}")


if __name__ == "__main__":
    main()
