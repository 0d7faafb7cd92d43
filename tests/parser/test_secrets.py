"""Secrets are masked in every spelling, and other text stays legible."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from dbt_relay.parser import Secrets, read_run_results
from dbt_relay.parser.events import event_of
from dbt_relay.parser.run import Run
from dbt_relay.records import NodeRecord

VALUES = (
    "hunter2",
    'pa"ss\\word',
    "zwölf ßecrets",
    "it's 100% & more/than?that",
    "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\nxGf+/bZk93==\n-----END KEY-----",
    "tab\tbed",
    "(a|b)*[c]",
    "*****",
)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "spell",
    [
        str,
        lambda v: json.dumps(v)[1:-1],
        lambda v: json.dumps(v, ensure_ascii=False)[1:-1],
        lambda v: repr(v)[1:-1],
        lambda v: quote(v, safe=""),
        quote_plus,
    ],
    ids=["plain", "json", "json in unicode", "python", "percent", "plus"],
)
def test_every_spelling_of_a_value(value: str, spell: Any) -> None:
    spelled = spell(value)
    said = Secrets([value]).mask_text(f"before:{spelled}:after and again {spelled}.")
    assert said == "before:*****:after and again *****."
    line = Secrets([value]).mask_line(f"\N{WHITE SMILING FACE} {spelled}\n".encode())
    assert line == "\N{WHITE SMILING FACE} *****\n".encode()


def test_blanks_around_a_value_are_no_secret() -> None:
    """The value of a file may end with a newline."""
    secrets = Secrets([" hunter2\n"])
    assert secrets.mask_line(b"it is hunter2\n") == b"it is *****\n"
    assert secrets.mask_text("it is  hunter2\n.") == "it is  *****\n."


def test_each_line_of_a_value_with_any_indentation() -> None:
    secrets = Secrets(["first line\n  second line\nend"])
    message = "Database Error\n  first line\n      second line\n  end of it"
    assert secrets.mask_text(message) == "Database Error\n  *****\n      *****\n  end of it"


@pytest.mark.parametrize(
    ("values", "text", "masked"),
    [
        (["abcdef", "defghi"], "x abcdefghi y", "x ***** y"),
        (["abcdef", "defghi"], "abcdef defghi", "***** *****"),
        (["abcd", "abcdefgh"], "abcd abcdefgh", "***** *****"),
        (["abcdefgh", "cdef"], "abcdefgh", "*****"),
        (["hunter2"], "hunter2hunter2", "**********"),
        (["hunter2", "ter2hun"], "hunter2hunter2", "*****"),
        (["****", "hunter2"], "hunter2 ****", "***** *****"),
    ],
)
def test_secrets_that_overlap(values: list[str], text: str, masked: str) -> None:
    assert Secrets(values).mask_text(text) == masked
    assert Secrets(reversed(values)).mask_text(text) == masked


@pytest.mark.parametrize(
    ("value", "text", "masked"),
    [
        ("a", "a database: a, 'a' (a)", "***** database: *****, '*****' (*****)"),
        ("1", "1 of 12 in 1.1s, x1", "***** of 12 in *****.1s, x1"),
        ("dbt", "dbt_project.yml of dbt", "dbt_project.yml of *****"),
        ("pass", "compass", "com*****"),
        ("  ", "a  b", "a  b"),
    ],
)
def test_a_value_of_few_letters_where_it_stands_alone(value: str, text: str, masked: str) -> None:
    assert Secrets([value]).mask_text(text).replace("in *****.*****s", "in *****.1s") == masked


@pytest.mark.parametrize("value", ["a", "1", "dbt", "build", "vars", "--select", "hunter2"])
def test_a_command_stays_one(value: str) -> None:
    command = ("dbt", "build", "--select", "orders", "--vars")
    shown = Secrets([value]).mask_command((*command, f"{{pw: {value}}}", f"--args={value}"))
    assert shown == (*command, "{pw: *****}", "--args=*****")


@pytest.mark.parametrize(
    "word", ["/opt/hunter2/dbt", "hunter2", "PW=hunter2 dbt run", "--hunter2", "--vars=hunter2"]
)
def test_no_word_of_a_command_shows_a_secret(word: str) -> None:
    assert "hunter2" not in " ".join(Secrets(["hunter2"]).mask_command(("sh", "-c", word)))


def test_only_keys_of_free_objects_are_masked() -> None:
    secrets = Secrets(["name", "hunter2"])
    value = {
        "name": "name",
        "message": "name hunter2",
        "adapter_response": {"name": "hunter2", "x hunter2": [{"status": "a name"}]},
    }
    assert secrets.mask(value) == {
        "name": "name",
        "message": "***** *****",
        "adapter_response": {"*****": "*****", "x *****": [{"status": "a *****"}]},
    }


def test_a_value_of_any_depth_is_masked() -> None:
    value: Any = "hunter2"
    for depth in range(100_000):
        value = [value] if depth % 2 else {"a": value}
    masked = Secrets(["hunter2"]).mask(value)
    for depth in reversed(range(100_000)):
        masked = masked[0] if depth % 2 else masked["a"]
    assert masked == "*****"


def test_identities_that_the_fold_reads_are_not_masked() -> None:
    secrets = Secrets(["2026", "table", "/tmp"], own=["target"])
    data = {
        "artifact_path": "/tmp/target/run_results.json",
        "node_info": {
            "node_started_at": "2026-01-02T03:04:05",
            "node_finished_at": "2026-01-02T03:04:06",
            "materialized": "table",
        },
    }
    assert secrets.mask(data) == data


@pytest.mark.parametrize("value", [v for v in VALUES if v.strip("*")])
def test_run_results_fill_records_without_secrets(value: str) -> None:
    artifact = {
        "metadata": {"invocation_id": "i"},
        "results": [
            {
                "unique_id": "model.shop.a",
                "status": "error",
                "message": f"no such {value}",
                "relation_name": f'"db"."{value}"',
                "adapter_response": {"code": value, value: {"nested": [value]}},
                "thread_id": "Thread-1",
                "timing": [],
            }
        ],
    }
    results = read_run_results(json.dumps(artifact).encode())
    assert results is not None
    run = Run()
    info = {"name": "MainReportVersion", "invocation_id": "i", "ts": "2026-01-02T03:04:05Z"}
    event = event_of({"info": info, "data": {"version": "=1.11.16"}})
    assert event is not None
    run.feed(event)
    (record,) = run.reconcile(results.masked(Secrets([value])))
    assert isinstance(record, NodeRecord)
    for secret in (value, json.dumps(value)[1:-1]):
        assert secret not in json.dumps(record.to_json(), ensure_ascii=False)
        assert secret not in str(record)
    assert record.message == "no such *****"
    assert record.adapter_response == {"code": "*****", "*****": {"nested": ["*****"]}}


class TestOwn:
    """The relay's credentials, which dbt does not know."""

    def test_they_are_masked(self) -> None:
        secrets = Secrets(own=["token-of-airflow", "", "x"])
        assert secrets
        assert secrets.mask_text("Bearer token-of-airflow, x, xy") == "Bearer *****, *****, xy"

    def test_dbt_does_not_mask_them(self) -> None:
        assert list(Secrets(["hunter2"], own=["short"]).restored(b"*****")) == [b"hunter2"]


@pytest.mark.parametrize("value", ["hunter2", "zwölf", "aaab", "two\nlines of it"])
def test_the_beginning_of_a_secret_at_the_end_of_a_piece(value: str) -> None:
    secrets = Secrets([value])
    data = f"x {value[:-1]}".encode()
    for size in range(len(data) + 1):
        held = secrets.unfinished(data[:size])
        assert value.encode().startswith(data[size - held : size])
    assert secrets.unfinished(data) == len(value[:-1].encode())
    assert secrets.unfinished(data + b"! ") == 0
    assert Secrets().unfinished(data) == 0
