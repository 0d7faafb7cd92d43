"""An unread line takes no other line with it."""

from __future__ import annotations

import pytest
from support.logs import BEGIN, fold, line

from dbt_relay.parser import EventReader, Text

CHATTER = line("SQLQuery", {"sql": "select 1"})
END = line(
    "NodeFinished", {"node_info": {"unique_id": "model.a.b"}, "run_result": {"status": "pass"}}
)


def compact(stream: bytes) -> bytes:
    """The spelling of dbt v2."""
    return stream.replace(b'": ', b'":').replace(b', "', b',"').replace(b", {", b",{")


PRINTS = [
    b'{"data": {"rows": 1}}\n',
    b'{"data": "SQLQuery"}\n',
    b'{"rows": {"n": 1}}\n',
    b"it ends in }}\n",
    b"}}\n",
    b'{"data": {"x": "", "name": "SQLQuery", "pid": 1}}\n',
    b'x", "name": "SQLQuery", "pid": 1, "thread": "t", "ts": "Z"}}\n',
    b'{"data": {"x": "a", "name": "SQLQuery"}}\n',
    b"\n",
]


@pytest.mark.parametrize("printed", PRINTS)
@pytest.mark.parametrize("style", [bytes, compact])
def test_a_print_between_debug_events_is_shown(printed: bytes, style: type[bytes]) -> None:
    stream = style(BEGIN + CHATTER) + printed + style(CHATTER) * 3 + printed + style(CHATTER + END)
    folded = fold(stream)
    assert folded.texts == [printed] * 2
    assert list(folded.final) == ["model.a.b"]
    assert fold([stream[i : i + 40] for i in range(0, len(stream), 40)]).texts == [printed] * 2


@pytest.mark.parametrize("cut", [9, 20, 80, -3])
@pytest.mark.parametrize("style", [bytes, compact])
def test_a_torn_event_before_a_debug_event_is_counted(cut: int, style: type[bytes]) -> None:
    folded = fold(style(BEGIN + CHATTER) + style(END)[:cut] + style(CHATTER) * 2)
    assert folded.reader.malformed + len(folded.texts) >= 1
    assert folded.reader.malformed == (style is bytes) or style is not bytes


def test_an_event_of_debug_level_that_another_process_printed_is_shown() -> None:
    forged = line("SQLQuery", {"sql": "select 2"}, invocation_id="other", pid=99)
    folded = fold(BEGIN + CHATTER * 2 + forged * 2 + CHATTER * 2 + END)
    assert folded.texts == [forged] * 2


def test_compact_debug_events_are_unread_too() -> None:
    from dbt_relay.parser.unread import end_of_unread

    assert end_of_unread(compact(CHATTER * 3 + END), 0) == len(compact(CHATTER)) * 3


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize(
    "tail",
    [
        b"}}",
        b'}}, "name": "SQLQuery", "pid": 1, "thread": "x"}}',
        b" hello }}",
    ],
)
def test_a_print_behind_a_debug_event_is_text_in_every_chunking(tail: bytes, size: int) -> None:
    stream = CHATTER.rstrip(b"\n") + tail + b"\n" + CHATTER + END
    reader = EventReader()
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    items = [*(item for chunk in chunks for item in reader.feed(chunk)), *reader.end()]
    assert [item.line for item in items if isinstance(item, Text)] == [tail + b"\n"]
