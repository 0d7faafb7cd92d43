"""Run dbt-relay around each dbt, in each Airflow and with each Python. Prints tables for the docs.

python tests/matrix [dbt | airflow | production | python] [RELEASE …]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from matrix import airflow, dbt, production, pythons
from matrix.lanes import Row, run_all
from matrix.table import FAILED, table

PARTS: dict[str, Any] = {
    "airflow": airflow,
    "production": production,
    "python": pythons,
    "dbt": dbt,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("releases", nargs="*", metavar="RELEASE")
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    # The servers of a row end with its `finally`. A `make` that is told to stop sends SIGTERM. A
    # shell ignores SIGINT for its background jobs, and so would each dbt that a check interrupts.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if given.row:
        with contextlib.suppress(KeyboardInterrupt):
            print(json.dumps(PARTS[given.part].row(*given.releases)))
        return 0
    rows: list[Row] = []
    for name in [given.part] if given.part else PARTS:
        unknown = {*given.releases} - {*PARTS[name].RELEASES}
        if unknown:
            parser.error(f"no {name} of the matrix: {', '.join(sorted(unknown))}")
        rows += [Row(name, release) for release in given.releases or PARTS[name].RELEASES]
    try:
        found = run_all(rows)
    except KeyboardInterrupt:
        print(
            "The matrix was told to stop, and has ended all that it had started.", file=sys.stderr
        )
        return 128 + signal.SIGINT
    tables: list[str] = []
    for name, part in PARTS.items():
        cells = [found[row] for row in rows if row.part == name]
        if cells:
            tables.append(table(part.HEAD, [c for c in cells if c is not None]))
    print("\n\n".join(tables))
    return 1 if FAILED in "".join(tables) else 0


if __name__ == "__main__":
    sys.exit(main())
