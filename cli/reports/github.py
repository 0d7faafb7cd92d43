"""`--format github`: annotations, as a step of GitHub Actions prints them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...records.display import displayed, in_one_line
from .wording import skipped_for, status_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records.schema import NodeRecord
    from .picture import Picture

_LONGEST: Final = 3000
"""Characters of a message. GitHub cuts annotations at 4 KB."""


def annotation_lines(picture: Picture, workspace: Path) -> Iterator[str]:
    """A line for each root cause, then one for each warning, root causes first.

    GitHub shows the first ten errors and the first ten warnings of a step. A node's file is named
    as seen from `workspace`, the root of the repository, if it is there.
    """
    for cause in picture.causes.found:
        skipped = skipped_for(cause)
        text = text_of(cause) + (f"\n({skipped})" if skipped is not None else "")
        place = _place(picture, cause.record, workspace) if cause.record is not None else {}
        yield _line("error", f"{cause.unique_id} [{status_of(cause)}]", text, place)
    for node in picture.nodes:
        if node.outcome == "warning":
            text = node.explanation or node.status
            place = _place(picture, node, workspace)
            yield _line("warning", f"{node.unique_id} [{node.status}]", text, place)


def _line(command: str, title: str, text: str, place: dict[str, str]) -> str:
    shown = displayed(text)
    shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]} …"
    said = {**place, "title": in_one_line(title)}
    properties = ",".join(f"{name}={_property(value)}" for name, value in said.items())
    return f"::{command} {properties}::{_data(shown)}"


def _place(picture: Picture, node: NodeRecord, workspace: Path) -> dict[str, str]:
    """The properties that point at the node's file, and at a line of it where dbt names one."""
    file = picture.file_of(node)
    if file is None:
        return {}
    info = picture.run.info
    path = Path(info.project or ".", file)
    if not path.is_file():  # a package's, or dbt ran elsewhere
        return {}
    found = {"file": os.path.relpath(path.resolve(), workspace.resolve())}
    # dbt v2 names a line of the model, or of `run/…/{file}`, which is other SQL.
    line = re.search(rf"(?<![\w/.-]){re.escape(file)}:(\d+):(\d+)", node.message or "")
    return {**found, "line": line[1], "col": line[2]} if line else found


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
