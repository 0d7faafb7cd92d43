"""Laws for every stream, tested with random ones."""

from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.laws import examples
from support.logs import SCENARIOS, fold, folded_log, line, log

SMALL = "1.11.16/recommended"
SHUFFLED = [
    "1.8/build_fail_debug",
    "1.9.11/example_info",
    "1.10/build_fail_info",
    "1.11.16/build_fail_debug",
    "1.12.6/build_fail_failfast_debug",
    "1.11.16/sigint_debug",
]

some_lines = st.sampled_from(log("1.11.16/x_noisy_info").splitlines(keepends=True))
pieces = st.one_of(
    some_lines,
    st.tuples(some_lines, st.integers(0, 400)).map(lambda cut: cut[0][: cut[1]]),
    st.binary(max_size=40),
    st.sampled_from([b"\n", b"{", b'{"data": ', b'{"info": {"name": 3}}\n', b"null\n", b"\xff\n"]),
)
streams = st.lists(pieces, max_size=30).map(b"".join)


def chunked(stream: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(bounds)]


@examples(60)
@given(streams, st.lists(st.integers(0, 10**6), max_size=12))
def test_any_bytes_in_any_chunking(stream: bytes, cuts: list[int]) -> None:
    whole = fold(stream)
    assert fold(chunked(stream, cuts)).records == whole.records
    assert fold(chunked(stream, cuts)).texts == whole.texts


@examples(60)
@given(st.data())
def test_a_cut_loses_at_most_the_cut_event(data: st.DataObject) -> None:
    stream = log(SMALL)
    cut = data.draw(st.integers(0, len(stream)))
    before = stream.rfind(b"\n", 0, cut) + 1
    after = stream.find(b"\n", cut) + 1
    got = fold(stream[:cut]).final_json
    assert got in (fold(stream[:before]).final_json, fold(stream[:after]).final_json)


@pytest.mark.parametrize("key", SHUFFLED)
@examples(12)
@given(seed=st.integers(0, 2**32))
def test_order_between_threads_and_repetition_do_not_matter(key: str, seed: int) -> None:
    """A random merge of dbt's threads, with a tenth of the lines twice, makes the same records."""
    chance = random.Random(seed)
    first, *lines = (s for s in log(key).splitlines(keepends=True) if s.startswith(b'{"data": '))
    threads: dict[str, list[bytes]] = {}
    for one in lines:
        threads.setdefault(json.loads(one)["info"]["thread"], []).append(one)
    merged: list[bytes] = []
    while threads:
        thread = chance.choice(sorted(threads))
        merged.append(threads[thread].pop(0))
        if chance.random() < 0.1:
            merged.insert(chance.randrange(merged.index(merged[-1]), len(merged)), merged[-1])
        if not threads[thread]:
            del threads[thread]
    assert fold(b"".join([first, *merged])).final_json == fold(b"".join([first, *lines])).final_json


@pytest.mark.parametrize("key", sorted(SCENARIOS))
def test_unread_events_change_no_record_and_no_text(key: str) -> None:
    skipping, decoding = folded_log(key), fold(log(key), include_unread=True)
    assert skipping.records == decoding.records
    assert skipping.texts == decoding.texts


chatter = line("SQLQuery", {"conn_name": "m", "sql": 'select "name": "x"'})
ended = line(
    "NodeFinished",
    {
        "node_info": {
            "unique_id": "model.a.b",
            "meta": {"name": "SQLQuery", "x": "y", "pid": 7},
        },
        "run_result": {"status": "success", "message": "SQLQuery"},
    },
)
glue = st.sampled_from([chatter, chatter[:-1], ended, ended[:-1], b"progress 7%", b"{}\n", b"\n"])


@examples(60)
@given(st.lists(glue, max_size=25).map(b"".join))
def test_unread_events_take_no_glued_bytes_with_them(stream: bytes) -> None:
    assert fold(stream).records == fold(stream, include_unread=True).records


def test_the_chatter_is_really_unread() -> None:
    """Otherwise the tests above would compare equal things."""
    stream = chatter * 3 + ended
    read = list(fold(stream, include_unread=True).reader.feed(chatter))
    assert len(read) == 1
    from dbt_relay.parser.unread import end_of_unread

    assert end_of_unread(stream, 0) == len(chatter) * 3
