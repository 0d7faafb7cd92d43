"""`--format junit`: JUnit XML for a CI system. A model is a suite, each of its tests a case.

The elements and attributes are those of Jenkins's schema (junit-10.xsd), which GitLab, GitHub
Actions, Azure and Buildkite read too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from ...consumer.course.edges import in_order, is_test
from ...records.display import displayed, in_one_line
from .wording import title

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...records.schema import NodeRecord
    from .picture import Picture

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may hold."""
OTHER_TESTS: Final = "tests"
"""The suite of tests whose model is not known: there is no manifest, or it was not in the run."""


def junit(picture: Picture) -> str:
    """The document. A suite's first case is the node itself: a model that fails has to be red."""
    root = ET.Element("testsuites", name=in_one_line(title(picture)))
    suites = [_suite(name, cases) for name, cases in _cases(picture).items()]
    _count(root, suites, "tests", "failures", "errors")
    root.set("time", f"{picture.seconds:.3f}")
    root.extend(suites)
    ET.indent(root)
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{ET.tostring(root, encoding='unicode')}\n"


def _cases(picture: Picture) -> dict[str, list[NodeRecord]]:
    """The nodes of each suite, by the unique_id of its model."""
    place = {unique_id: number for number, unique_id in enumerate(in_order(picture.parents))}
    found: dict[str, list[NodeRecord]] = {
        node.unique_id: [node] for node in picture.nodes if not is_test(node.unique_id)
    }
    for node in picture.nodes:
        if is_test(node.unique_id):
            parents = [p for p in picture.parents.get(node.unique_id, ()) if p in found]
            # With several models a test belongs to the last, because all that it reads exists then.
            owner = max(parents, key=lambda p: place.get(p, -1), default=OTHER_TESTS)
            found.setdefault(owner, []).append(node)
    return found


def _suite(name: str, nodes: Iterable[NodeRecord]) -> ET.Element:
    cases = [_case(name, node) for node in nodes]
    suite = ET.Element("testsuite", name=_clean(name), tests=str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', 0)) for case in cases):.3f}")
    started = min((node.started_at for node in nodes if node.started_at), default=None)
    if started is not None:
        suite.set("timestamp", started[:19])
    suite.extend(cases)
    return suite


def _case(suite: str, node: NodeRecord) -> ET.Element:
    name = node.name or node.unique_id
    case = ET.Element("testcase", name=_clean(name), classname=_clean(suite))
    case.set("time", f"{node.execution_time or 0.0:.3f}")
    text = node.explanation or node.status
    match node.outcome:
        case "failure" if node.status == "fail":
            case.append(_result("failure", node.status, text))
        case "failure" | "interrupted":
            case.append(_result("error", node.error_type or node.status, text))
        case "skipped":
            why = f"skipped because of {node.caused_by}" if node.caused_by else text
            ET.SubElement(case, "skipped", message=_clean(why))
        case "warning":
            # JUnit has no warnings: the case passes, and its output says what dbt said.
            ET.SubElement(case, "system-out").text = _clean(f"{node.status}: {text}", lines=True)
        case "success":
            pass
    return case


def _result(tag: str, kind: str, text: str) -> ET.Element:
    first = displayed(text).strip().partition("\n")[0]
    found = ET.Element(tag, type=_clean(kind), message=_clean(first))
    found.text = _clean(text, lines=True)
    return found


def _count(root: ET.Element, suites: Iterable[ET.Element], *attributes: str) -> None:
    for attribute in attributes:
        root.set(attribute, str(sum(int(suite.get(attribute, 0)) for suite in suites)))


def _clean(text: str, *, lines: bool = False) -> str:
    return _FORBIDDEN.sub("\ufffd", displayed(text) if lines else in_one_line(text))
