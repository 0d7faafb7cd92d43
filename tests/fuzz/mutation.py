"""What becomes of a piece of a real log on its way to a fuzzed parser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 2**40, 2**63, -(2**70), 1e308, float("nan"), float("inf"),
    "", " ", "None", "error", "skipped", "success", "\x00", "\ud800", "*****", "2026-01-01", "Z",
    [], [None], [[]], ["error"], {}, {"": ""}, {"unique_id": 7}, {"status": []},
    {"name": "SQLQuery"},
]  # fmt: skip
_FRAGMENTS = [
    b"\n", b"}}\n", b'{"data": ', b'{"info": {', b'", "name": "SQLQuery", "pid": 1}}\n',
    b"\xff\xfe",
    b"\x00", b"\r", b"progress 10%", b'{"a": 1}}\n', b"*****", b'"', b"\\", b"[" * 40, b"{" * 40,
]  # fmt: skip


def mutated(lines: list[bytes], chance: random.Random) -> bytes:
    """Some lines of a log with one to four faults."""
    lines = list(lines)
    for _ in range(chance.randint(1, 4)):
        chance.choice(_OF_LINES)(lines, chance)
    stream = b"".join(lines)
    for _ in range(chance.choice((0, 0, 1, 3))):
        stream = chance.choice(_OF_BYTES)(stream, chance)
    return stream


def odd(value: Any, chance: random.Random) -> Any:
    """A decoded value with something unlike it in a random place."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(sorted(value))
        fate = chance.random()
        if fate < 0.05:
            return {k: v for k, v in value.items() if k != key}
        if fate < 0.1:
            return {**value, str(chance.choice(ODD)): value[key]}
        return {**value, key: odd(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        place = chance.randrange(len(value))
        return [odd(v, chance) if n == place else v for n, v in enumerate(value)]
    if chance.random() < 0.1:
        return nested(value, chance)
    return chance.choice(ODD)


def nested(value: Any, chance: random.Random) -> Any:
    """The value below up to 800 levels of lists and objects."""
    for _ in range(chance.choice((5, 99, 101, 260, 600))):
        value = [value] if chance.random() < 0.5 else {"k": value}
    return value


def _change_a_value(lines: list[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    try:
        event = json.loads(lines[place])
        lines[place] = json.dumps(odd(event, chance), sort_keys=True).encode() + b"\n"
    except (ValueError, RecursionError):  # it was mutated before
        return


def _nest_in_text(lines: list[bytes], chance: random.Random) -> None:
    """Deeper than any decoder of this process reads or writes."""
    place = chance.randrange(len(lines))
    depth = chance.choice((980, 1023, 1025, 5_000))
    deep = b'"deep": ' + b"[" * depth + b"]" * chance.choice((depth, depth, depth - 1)) + b", "
    lines[place] = lines[place].replace(
        b'"adapter_response": {', b'"adapter_response": {' + deep, 1
    )
    if deep not in lines[place]:
        lines[place] = lines[place].replace(b"{", b"{" + deep, 1)


def _double_a_key(lines: list[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    key = chance.choice((b"status", b"unique_id", b"node_info", b"run_result", b"name", b"data"))
    odd_value = json.dumps(chance.choice(ODD)).encode()
    lines[place] = lines[place].replace(b"{", b'{"' + key + b'": ' + odd_value + b", ", 1)


def _grow_a_number(lines: list[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    digits = b"9" * chance.choice((20, 400, 5_000))
    key = chance.choice((b'"index": ', b'"execution_time": ', b'"pid": ', b'"num_failures": '))
    lines[place] = lines[place].replace(key, key + digits, 1)


def _swap(lines: list[bytes], chance: random.Random) -> None:
    a, b = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]


def _repeat(lines: list[bytes], chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))


def _drop(lines: list[bytes], chance: random.Random) -> None:
    if len(lines) > 1:
        del lines[chance.randrange(len(lines))]


def _glue(lines: list[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    lines[place] = lines[place].rstrip(b"\n")


def _tear(lines: list[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    lines[place] = lines[place][: chance.randrange(len(lines[place]) + 1)]


def _flip(stream: bytes, chance: random.Random) -> bytes:
    changed = bytearray(stream)
    for _ in range(min(len(changed), chance.choice((1, 1, 8)))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _insert(stream: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(stream))
    return stream[:place] + chance.choice(_FRAGMENTS) + stream[place:]


def _cut(stream: bytes, chance: random.Random) -> bytes:
    a = chance.randint(0, len(stream))
    b = min(len(stream), a + chance.choice((1, 20, 400, 4_000)))
    return stream[:a] + stream[b:]


_OF_LINES: list[Callable[[list[bytes], random.Random], None]] = [
    _change_a_value, _change_a_value, _change_a_value, _change_a_value, _nest_in_text,
    _double_a_key, _grow_a_number, _swap, _repeat, _drop, _glue, _tear,
]  # fmt: skip
_OF_BYTES: list[Callable[[bytes, random.Random], bytes]] = [_flip, _insert, _cut]
