"""Run trials: `python tests/chaos [--seeds 200] [--jobs 2] [--seed 17]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if __name__ == "__main__":  # as a script it sees its own folder, as part of the tests `tests`
    sys.path[0] = str(Path(__file__).parents[1])

from chaos.trial import Report, Trial

MOMENTS = ("start", "run", "send", "flush", "deliver")
TARGETS = ("relay", "server", "dbt", "two at once", "deliver")


def run(seed: int) -> Report:
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        return Trial(seed, Path(folder)).run()


def told(report: Report) -> str:
    """What happened in a trial, what is wrong, and how to see it again."""
    head = f"seed {report.seed}: {'wrong' if report.wrong else 'true'} ({report.seconds:.1f} s)"
    again = f"again: python tests/chaos --seed {report.seed}"
    wrong = [f"  WRONG {text}" for text in report.wrong]
    return "\n".join([head, *(f"  {text}" for text in report.history), *wrong, again])


def table(kills: Counter[tuple[str, str]]) -> str:
    """How often whom, and when."""
    rows = [("killed", *MOMENTS)]
    rows += [(who, *(str(kills[who, moment] or "-") for moment in MOMENTS)) for who in TARGETS]
    return "\n".join(f"{who:<12}" + "".join(f"{n:>9}" for n in counts) for who, *counts in rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many, from 0")
    parser.add_argument("--jobs", type=int, default=2, help="trials at once")
    parser.add_argument("--seed", type=int, help="only this one, told step by step")
    given = parser.parse_args()
    if given.seed is not None:
        report = run(given.seed)
        print(told(report))
        return int(bool(report.wrong))
    began_at, true, planned = time.monotonic(), 0, 0
    kills: Counter[tuple[str, str]] = Counter()
    with ThreadPoolExecutor(given.jobs) as pool:
        for report in pool.map(run, range(given.seeds)):
            kills += report.kills
            true += not report.wrong
            planned += report.planned
            if report.wrong:
                print(told(report), flush=True)
    print(table(kills))
    late = planned - sum(n for (who, _), n in kills.items() if who != "deliver")
    print(f"{kills.total()} kills, {late} more came too late; {time.monotonic() - began_at:.0f} s")
    print(f"chaos: {true} of {given.seeds}")
    return int(true != given.seeds)


if __name__ == "__main__":
    sys.exit(main())
