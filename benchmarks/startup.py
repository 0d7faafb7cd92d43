"""What starting costs: dbt-relay, beside the Python and the click that it needs.

    python benchmarks/startup.py [ROUNDS]

Each round starts every command once, in turn, so that a busy machine slows all of them. `run` wraps
`true`, so its time is the relay's own. Figures are medians of the rounds, in milliseconds of CPU
(user and system, with children) and of wall time. The difference and the ratio are to
`python -c "import click"` of the same round.

A round before the first is not counted. It writes the bytecode of all modules, as an installer
does, even where PYTHONDONTWRITEBYTECODE is set.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PYTHON = sys.executable
RELAY = str(Path(PYTHON).with_name("dbt-relay"))
CLICK = "import click"
COMMANDS = {
    "python": [PYTHON, "-c", "pass"],
    CLICK: [PYTHON, "-c", CLICK],
    "dbt-relay --help": [RELAY, "--help"],
    "dbt-relay run --help": [RELAY, "run", "--help"],
    "dbt-relay run -- true": [RELAY, "run", "--", "true"],
}


def seconds(argv: list[str], env: dict[str, str]) -> tuple[float, float]:
    """CPU and wall time of a command that must end well."""
    null = subprocess.DEVNULL
    cpu, wall = cpu_of_children(), time.perf_counter()
    subprocess.run(argv, env=env, stdout=null, stderr=null, check=True)
    return cpu_of_children() - cpu, time.perf_counter() - wall


def cpu_of_children() -> float:
    """User and system time of all children that have ended, theirs included, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    others = ("DBT_", "AIRFLOW", "PYTHONDONTWRITEBYTECODE")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    with tempfile.TemporaryDirectory() as state:
        env = {**clean, "DBT_RELAY_STATE_DIR": state}
        for argv in COMMANDS.values():
            seconds(argv, env)
        for _ in range(rounds):
            for name, argv in COMMANDS.items():
                taken[name].append(seconds(argv, env))
    print(f"{rounds} rounds, medians in ms; difference and ratio to {CLICK!r}")
    for at, kind in enumerate(("CPU", "wall")):
        for name, times in taken.items():
            pairs = [(t[at], c[at]) for t, c in zip(times, taken[CLICK], strict=True)]
            whole = statistics.median(own for own, _ in pairs) * 1e3
            more = statistics.median(own - click for own, click in pairs) * 1e3
            ratio = statistics.median(own / click for own, click in pairs)
            print(f"{kind:<5} {name:<22} {whole:6.0f} {more:+6.0f} {ratio:6.2f} x")


if __name__ == "__main__":
    main()
