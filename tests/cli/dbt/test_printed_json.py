"""JSON over several lines, brought into one line an object."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from dbt_relay.cli.dbt.printed_json import LONGEST_START, is_printed, one_a_line

OBJECTS: list[dict[str, Any]] = [
    {"a": 1, "b": {"c": [{"d": "}]"}, []], "e": {}}},
    {},
    {'quoted "{[': 'back\\slash\\"', "text": "two\nlines"},
    {"empty": [], "nested": [[{"x": None}]]},
]


def joined(text: str, size: int = 7) -> str:
    data = text.encode()
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(one_a_line(chunks)).decode()


@pytest.mark.parametrize("indent", [None, 0, 1, 4, "\t"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_each_object_is_one_line(indent: Any, size: int) -> None:
    as_list = json.dumps(OBJECTS, indent=indent)
    in_a_row = "\n".join(json.dumps(o, indent=indent) for o in OBJECTS)
    for text in (as_list, as_list + "\n", as_list + as_list, in_a_row):
        lines = joined(text, size).splitlines()
        assert [json.loads(line) for line in lines] == OBJECTS * (len(lines) // 4)
        assert len(lines) == 4 * (2 if text == as_list + as_list else 1)


def test_what_stands_between_objects_stays() -> None:
    between = 'hello {\n\n[12:00] a line\n["{"]\n'
    text = f'{{\n  "a": 1\n}} and more\n{between}{{\n  "b": 2\n}}\n'
    assert joined(text) == f'{{"a": 1}}\n and more\n{between}{{"b": 2}}\n'


def test_an_object_without_an_end_takes_no_other_with_it() -> None:
    whole = '{"a": 1}\n{"b": 2}\n'
    for torn in ("{\n", '{\n  "x": {\n', '{\n  "x": "\n', '{\n  "x": [\n  {"y":\n'):
        lines = joined(torn + whole).splitlines()
        assert lines[1:] == ['{"a": 1}', '{"b": 2}'], torn


@pytest.mark.parametrize(
    ("start", "is_it"),
    [
        ("[\n  {", True),
        ("[{", True),
        ("[\n" + 8 * " " + "{", True),
        ("{\n", True),
        ("{\r\n", True),
        ('{"data": {', False),
        ("[2026-01-01", False),
        ("{ print }", False),
        ("", False),
    ],
)
def test_it_is_known_by_its_start(start: str, is_it: bool) -> None:
    assert len(start) <= LONGEST_START
    assert is_printed(start.encode()) is is_it


@pytest.mark.parametrize("hostile", ['"', '\\"', "{", "[", "}", "{}", '{"a":[', "\n{", "{\n"])
def test_nothing_takes_more_time_than_it_is_long(hostile: str) -> None:
    def seconds(count: int) -> float:
        data = b"{\n" + hostile.encode() * count
        began = time.process_time()
        for _ in one_a_line([data]):
            pass
        return time.process_time() - began

    assert seconds(200_000) < 2
