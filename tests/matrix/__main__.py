"""Run dbt-relay around each dbt, in each Airflow and with each Python. Prints tables for the docs.

python tests/matrix [dbt | airflow | production | python] [RELEASE …]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from matrix import airflow, dbt, production, pythons
from matrix.table import FAILED, table

PARTS = {"dbt": dbt, "airflow": airflow, "production": production, "python": pythons}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("releases", nargs="*", metavar="RELEASE")
    given = parser.parse_args()
    tables: list[str] = []
    for name in [given.part] if given.part else PARTS:
        part = PARTS[name]
        unknown = {*given.releases} - {*part.RELEASES}
        if unknown:
            parser.error(f"no {name} of the matrix: {', '.join(sorted(unknown))}")
        tables.append(table(part.HEAD, part.rows(given.releases or [*part.RELEASES])))
    print("\n\n".join(tables))
    return 1 if any(FAILED in text for text in tables) else 0


if __name__ == "__main__":
    sys.exit(main())
