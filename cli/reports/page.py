"""`--format html`: one file that holds its style, its script and its data."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ... import __version__
from . import sections
from .html import Html, escaped
from .page_data import script_data
from .wording import title

if TYPE_CHECKING:
    from .picture import Picture

_FOLDER: Final = Path(__file__).with_name("page")
_SCRIPTS: Final = ("nodes.js", "canvas.js", "timeline.js", "graph.js", "table.js", "page.js")
_SLOT: Final = re.compile(r"\{\{ (\w+) \}\}")


def page(picture: Picture, written_at: str) -> str:
    """The whole document. Its browser loads nothing else, and runs no other script."""
    style = _read("page.css")
    script = '"use strict";\n' + "\n".join(map(_read, _SCRIPTS))
    slots = {
        "policy": Html(
            f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
        "title": title(picture),
        "style": Html(style),
        "script": Html(script),
        "data": Html(script_data(picture)),
        "heading": sections.heading(picture),
        "outcomes": sections.outcomes(picture),
        "failures": sections.failures(picture),
        "comparison": sections.comparison(picture),
        "delivery": sections.delivery(picture),
        "nodes": f"{len(picture.nodes):,}",
        "written": f"dbt-relay {__version__}, {written_at}",
    }
    # In one pass, so that a text with braces stays a text.
    return _SLOT.sub(lambda slot: escaped(slots[slot[1]]), _read("page.html"))


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The name of an inline script or style in the page's Content-Security-Policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
