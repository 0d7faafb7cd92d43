"""What dbt itself lists: run by the Python of a dbt, in a project, with [select, exclude, mode] on
stdin, the mode of its indirect selection.

    python list_selections.py < questions.json > lists.json

Parses the project once, which writes target/manifest.json. Each answer is a list of unique_ids, or
null where dbt refuses. Without a mode no tests come along, but of dbt 1.7 and 1.8 they do.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys

from dbt.cli.main import dbtRunner
from dbt.version import __version__


def main() -> None:
    questions = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        lists = listed(questions)
    json.dump({"version": __version__, "lists": lists}, sys.stdout)


def listed(questions: list[tuple[str | None, ...]]) -> list[list[str] | None]:
    parsed = dbtRunner().invoke(["--quiet", "parse", "--no-partial-parse"])
    assert parsed.success, parsed.exception
    runner = dbtRunner(manifest=parsed.result)
    options = ["--resource-type", "all", "--output", "json", "--output-keys", "unique_id"]
    # There `empty` forgets the relatives of `+a`.
    otherwise = "eager" if __version__.startswith(("1.7.", "1.8.")) else "empty"
    found: list[list[str] | None] = []
    for select, exclude, mode in questions:
        given = ["--indirect-selection", mode or otherwise]
        # Only dbt 1.12 and later have the method `selector`.
        is_selector = select is not None and re.fullmatch(r"selector:\w+", select) and not exclude
        option = ["--selector", select[9:]] if is_selector else ["--select", select]
        given += [] if select is None else option
        given += [] if exclude is None else ["--exclude", exclude]
        done = runner.invoke(["--quiet", "ls", *options, *given])
        ids = [json.loads(line)["unique_id"] for line in done.result or ()]
        found.append(sorted(ids) if done.success else None)
    return found


if __name__ == "__main__":
    main()
