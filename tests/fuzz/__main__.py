"""Mutated real logs through the whole parser: nothing may raise, and no record may be wrong.

    python tests/fuzz [--cases 100000] [--seed SEED] [--jobs 2]

A failure says its seed; `--seed SEED --cases 1` is that case again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from pathlib import Path

if __name__ == "__main__":  # as a script it sees its own folder, as part of the tests `tests`
    sys.path[0] = str(Path(__file__).parents[1])

from fuzz.case import try_case

_SHOWN = 5


def failure(seed: int) -> str | None:
    try:
        try_case(seed)
    except Exception:
        return f"seed {seed}: {traceback.format_exc()}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**12)
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    seeds = range(chosen.seed, chosen.seed + chosen.cases)
    print(f"{chosen.cases} cases from seed {chosen.seed} on", flush=True)
    failures: list[str] = []
    if chosen.jobs == 1 or chosen.cases == 1:
        failures = [failed for failed in map(failure, seeds) if failed is not None]
    else:
        with multiprocessing.Pool(chosen.jobs) as pool:
            for failed in pool.imap_unordered(failure, seeds, chunksize=500):
                if failed is not None:
                    failures.append(failed)
                    print(failed, flush=True)
                    if len(failures) == _SHOWN:
                        pool.terminate()
                        break
    for failed in failures if chosen.cases == 1 else ():
        print(failed)
    print("nothing raised" if not failures else f"{len(failures)} cases failed")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
