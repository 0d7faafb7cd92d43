"""dbt's lines inside the JSON or text of a log collector."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.logs import Folded, fold, line, log

from dbt_relay.parser import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "1.11.16/build_fail_debug"
LINES = log(KEY).decode().splitlines()
PLAIN = fold(log(KEY))
BEGIN = line("MainReportVersion", {"version": "=1.11.16"}, level="info").decode()
TIME = "2026-01-01T00:00:00.123456789Z"


def as_json(**fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False)


def docker(text: str) -> list[str]:
    """The form of Docker's `json-file` driver, which splits lines at 16 KiB."""
    text += "\n"
    pieces = [text[at : at + 16384] for at in range(0, len(text), 16384)]
    return [as_json(log=piece, stream="stdout", time=TIME) for piece in pieces]


def cri(text: str) -> list[str]:
    """The form of containerd."""
    pieces = [text[at : at + 16384] for at in range(0, len(text), 16384)]
    tags = ["P"] * (len(pieces) - 1) + ["F"]
    return [f"{TIME} stdout {tag} {piece}" for tag, piece in zip(tags, pieces, strict=True)]


def as_object(text: str) -> dict[str, Any]:
    """The form of Google Cloud's agent, which decodes JSON."""
    try:
        return {"jsonPayload": json.loads(text)}
    except ValueError:
        return {"textPayload": text}


AIRFLOW_2 = "[2026-01-01, 00:00:00 UTC] {subprocess.py:93} INFO - "
COLLECTORS: dict[str, Callable[[str], list[str]]] = {
    "airflow 3": lambda t: [as_json(timestamp=TIME, level="info", event=t, logger="subprocess")],
    "airflow 3, prefixed": lambda t: [as_json(timestamp=TIME, event=AIRFLOW_2 + t)],
    "docker": docker,
    "docker, newline cut": lambda t: [as_json(log=t, stream="stdout", time=TIME)],
    "cri": cri,
    "fluent bit": lambda t: [as_json(log=t, stream="stdout", logtag="F", time=TIME)],
    "kubernetes": lambda t: [as_json(kubernetes={"pod": "x", "labels": {}}, message=t)],
    "text payload": lambda t: [as_json(insertId="1", resource={"type": "k8s"}, textPayload=t)],
    "json payload": lambda t: [as_json(insertId="1", **as_object(t))],
    "both": lambda t: [as_json(message=t, **as_object(t))],
    "loki": lambda t: [as_json(streams=[{"stream": {}, "values": [["1", t]]}])],
    "otlp": lambda t: [as_json(body={"stringValue": t}, severityText="INFO")],
    "journald": lambda t: [as_json(MESSAGE=t, _PID="1")],
    "any other": lambda t: [as_json(**{"@line": t})],
    "docker of airflow": lambda t: docker(as_json(timestamp=TIME, event=t)),
    "three deep": lambda t: [as_json(line=as_json(message=as_json(log=t)))],
    "json behind a prefix": lambda t: [f"dbt-1  | {as_json(level='info', message=t)}"],
    "a list printed over lines": lambda t: ["  {", f'    "textPayload": {json.dumps(t)},', "  }"],
    "windows": lambda t: [as_json(message=t) + "\r"],
}


def collected(collector: str) -> Folded:
    lines = [text for event in LINES for text in COLLECTORS[collector](event)]
    return fold("".join(f"{text}\n" for text in lines).encode())


@pytest.mark.parametrize("collector", COLLECTORS)
def test_the_records_equal_the_records_of_the_plain_log(collector: str) -> None:
    folded = collected(collector)
    assert folded.final_json == PLAIN.final_json
    assert folded.reader.malformed == 0


def test_a_line_that_docker_split() -> None:
    node = {"unique_id": "model.a.b", "resource_type": "model"}
    result = {"status": "error", "message": "x" * 1_000_000}
    event = line("NodeFinished", {"node_info": node, "run_result": result}).decode().strip()
    other = [as_json(log="from elsewhere\n", stream="stderr", time=TIME)]
    for collector in (docker, cri):
        pieces = collector(event)
        assert len(pieces) > 60
        mixed = [*collector(BEGIN.strip()), *pieces[:3], *other, *pieces[3:]]
        folded = fold("\n".join(mixed).encode())
        assert folded.final["model.a.b"].message == result["message"]
        assert folded.texts[-1] == b"from elsewhere\n"


def test_a_split_line_whose_last_piece_never_came_is_counted() -> None:
    first, *_ = docker(next(text for text in LINES if len(text) > 17_000))
    begun = docker(BEGIN.strip())
    assert fold("\n".join([*begun, first]).encode()).reader.malformed == 1
    folded = fold("\n".join([*begun, first, *docker(LINES[-1])]).encode())
    assert folded.reader.malformed == 1


def test_text_in_the_field_of_an_event_is_shown_without_json() -> None:
    before = as_json(timestamp=TIME, event="before")
    after = as_json(timestamp=TIME, event="Running command: dbt")
    folded = fold("\n".join([before, as_json(event=BEGIN.strip(), x=1), after]).encode())
    assert folded.texts == [before.encode() + b"\n", b"Running command: dbt\n"]


def test_a_print_glued_before_a_collected_event_is_kept() -> None:
    for collector in (COLLECTORS["docker"], COLLECTORS["airflow 3"]):
        (text,) = collector("progress 0% " + BEGIN.strip())
        folded = fold(text.encode())
        assert folded.texts == [b"progress 0% "]
        assert len(folded.run.invocations) == 1


@pytest.mark.parametrize(
    "printed",
    [
        {"message": "hello", "level": "info"},
        {"log": "hello"},
        {"message": json.dumps({"data": {"x": 1}})},
        {"message": '{"data": '},
        {"rows": [{"data": {"x": 1}, "info": {"a": 1}}]},
        [{"data": {"x": 1}}],
        {"a": {"b": {"c": ['{"info": 5}']}}},
    ],
)
def test_printed_json_stays_unchanged(printed: Any) -> None:
    text = json.dumps(printed).encode() + b"\n"
    folded = fold(BEGIN.encode() + text)
    assert folded.texts == [text]
    assert folded.reader.malformed == 0


@pytest.mark.parametrize("collector", ["airflow 3", "json payload", "docker"])
def test_a_print_with_an_event_of_no_run_is_refused(collector: str) -> None:
    forged = line("NodeFinished", {"node_info": {"unique_id": "a"}}, invocation_id="i-2")
    (text,) = COLLECTORS[collector](forged.decode().strip())
    folded = fold(BEGIN.encode() + text.encode() + b"\n")
    assert folded.records == []
    assert folded.run.refused == 1
    assert b"i-2" in b"".join(folded.texts)


def test_secrets_are_masked_in_collected_lines() -> None:
    node = {"unique_id": "model.a.b", "resource_type": "model"}
    result = {"status": "error", "message": 'said "hüsh"'}
    event = line("NodeFinished", {"node_info": node, "run_result": result}).decode().strip()
    for collector in ("airflow 3", "json payload", "docker"):
        text = "\n".join([*COLLECTORS[collector](BEGIN.strip()), *COLLECTORS[collector](event)])
        folded = fold(text.encode(), secrets=Secrets(['"hüsh"']))
        assert folded.final["model.a.b"].message == "said *****"


@pytest.mark.parametrize(
    "hostile",
    [
        '{"event":"{\\"data\\": ' + '\\"' * 200_000,
        '{"event":"' + '{\\"data\\": {' * 50_000,
        "{" + "\\" * 400_000 + '"data',
        '{\\"data\\": {' + '"a' * 200_000,
        '{"log": ' * 20_000,
        "[" * 50_000 + '"{\\"data\\": {"' + "]" * 50_000,
    ],
    ids=range(6),
)
def test_nothing_hostile_takes_long(hostile: str) -> None:
    started = time.process_time()
    fold(BEGIN.encode() + hostile.encode() + b"\n" + hostile.encode())
    assert time.process_time() - started < 2
