"""What dbt itself lists: run by the Python of a dbt, in a project, with [select, exclude] on stdin.

    python list_selections.py < pairs.json > lists.json

Parses the project once, which writes target/manifest.json. Each answer is a list of unique_ids, or
null where dbt refuses. Of dbt 1.7 and 1.8 the tests of each node come along.
"""

from __future__ import annotations

import contextlib
import json
import sys

from dbt.cli.main import dbtRunner
from dbt.version import __version__


def main() -> None:
    pairs = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        lists = listed(pairs)
    json.dump({"version": __version__, "lists": lists}, sys.stdout)


def listed(pairs: list[tuple[str | None, str | None]]) -> list[list[str] | None]:
    parsed = dbtRunner().invoke(["--quiet", "parse", "--no-partial-parse"])
    assert parsed.success, parsed.exception
    runner = dbtRunner(manifest=parsed.result)
    options = ["--resource-type", "all", "--output", "json", "--output-keys", "unique_id"]
    if not __version__.startswith(("1.7.", "1.8.")):  # there `empty` forgets the relatives of `+a`
        options += ["--indirect-selection", "empty"]
    found: list[list[str] | None] = []
    for select, exclude in pairs:
        given = [] if select is None else ["--select", select]
        given += [] if exclude is None else ["--exclude", exclude]
        done = runner.invoke(["--quiet", "ls", *options, *given])
        ids = [json.loads(line)["unique_id"] for line in done.result or ()]
        found.append(sorted(ids) if done.success else None)
    return found


if __name__ == "__main__":
    main()
