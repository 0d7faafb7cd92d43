"""Kill things at random, many times, and see that nothing is lost.

python tests/chaos --seeds 200
python tests/chaos --seed 17        one of them again
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from chaos.trial import BrokenError, Trial


def play(seed: int) -> tuple[Trial, BrokenError | None]:
    trial = Trial(seed)
    try:
        trial.run()
    except BrokenError as failure:
        return trial, failure
    return trial, None


def main() -> int:
    options = argparse.ArgumentParser(prog="chaos")
    options.add_argument("--seeds", type=int, default=200)
    options.add_argument("--seed", type=int)
    options.add_argument("--jobs", type=int, default=3)
    chosen = options.parse_args()
    seeds = [chosen.seed] if chosen.seed is not None else range(chosen.seeds)
    killed: Counter[str] = Counter()
    held = 0
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for done, (trial, failure) in enumerate(pool.map(play, seeds), 1):
            killed.update(trial.killed)
            held += failure is None
            if failure is not None:
                print(failure)
            if done % 20 == 0:
                print(f"{held} of {done}", flush=True)
    print("killed: " + ", ".join(f"{victim} {n} times" for victim, n in killed.most_common()))
    print(f"chaos: {held} of {len(seeds)}")
    return 0 if held == len(seeds) else 1


if __name__ == "__main__":
    sys.exit(main())
