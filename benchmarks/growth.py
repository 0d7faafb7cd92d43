"""How the cost of reading dbt's log grows: about 2 where twice the input costs twice as much.

    python benchmarks/growth.py [ROUNDS] [KIND]

Each kind of input is made in one size and in twice that size, and read by the whole parser. The
figure is CPU seconds of the larger, and the factor between both (the least of ROUNDS each, since
other work on the machine only ever adds). Nothing is judged by it: the tests count steps.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from dbt_relay.parser import Event, EventReader, Lineage, Run, Secrets

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 65_536
_MIDNIGHT = "2026-01-01T00:00:00.000000Z"


def line(name: str, data: dict[str, Any], invocation: str = "i-1", level: str = "debug") -> bytes:
    info = {"code": "", "extra": {}, "invocation_id": invocation, "level": level, "msg": "x"}
    info |= {"name": name, "pid": 7, "thread": "Thread-1 (worker)", "ts": _MIDNIGHT}
    return json.dumps({"data": data, "info": info}, sort_keys=True).encode() + b"\n"


def begin(invocation: str = "i-1") -> bytes:
    return line("MainReportVersion", {"version": "=1.11.16"}, invocation, "info")


def node(name: str) -> dict[str, Any]:
    return {
        "unique_id": f"model.shop.{name}",
        "node_name": name,
        "node_path": f"{name}.sql",
        "resource_type": "model",
        "node_started_at": "2026-01-01T00:00:00",
    }


def end(name: str, status: str, message: str = "", invocation: str = "i-1") -> bytes:
    result = {"status": status, "message": message, "execution_time": 0.1}
    return line("NodeFinished", {"node_info": node(name), "run_result": result}, invocation)


def skips(n: int) -> bytes:
    """One failure, and all others skipped for it."""
    return (
        begin()
        + end("m0", "error", "boom")
        + b"".join(end(f"m{i}", "skipped") for i in range(1, n))
    )


def failures_and_skips(n: int) -> bytes:
    ends = (end(f"m{i}", "skipped" if i % 2 else "error", "boom") for i in range(n))
    return begin() + b"".join(ends)


def chain(n: int) -> Lineage:
    return Lineage("i-1", {f"model.shop.m{i}": [f"model.shop.m{i - 1}"] for i in range(1, n)})


def fan(n: int) -> Lineage:
    return Lineage(
        "i-1", {f"model.shop.m{i}": [f"model.shop.m{i - 1 - i % 2}"] for i in range(2, n)}
    )


def texts_of_1_7(n: int) -> bytes:
    ends = (end(f"m{i}", "error") for i in range(n))
    texts = (
        line("RunResultError", {"msg": f"Database Error in model m{i} (models/m{i}.sql)\n  boom"})
        for i in range(n)
    )
    return begin() + b"".join(ends) + b"".join(texts)


def hook_errors(n: int) -> bytes:
    hooks = (
        line("LogHookStartLine", {"node_info": {"unique_id": f"operation.a.a-on-run-start-{i}"}})
        for i in range(n)
    )
    texts = (
        line("RunResultError", {"msg": f"on-run-start failed, error:\n {i}"}) for i in range(n)
    )
    return begin() + b"".join(hooks) + b"".join(texts)


def a_long_text(n: int) -> bytes:
    return begin() + line("RunResultError", {"msg": "in a b (" * n})


def texts_of_one_node(n: int) -> bytes:
    texts = (line("RunResultError", {"msg": f"boom {i}", "node_info": node("m")}) for i in range(n))
    return begin() + end("m", "error") + b"".join(texts)


def batches(n: int) -> bytes:
    each = (
        line("LogBatchResult", {"batch_index": i, "status": "error", "node_info": node("m")})
        for i in range(n)
    )
    return begin() + end("m", "error", "ERROR") + b"".join(each)


def invocations(n: int) -> bytes:
    each = (begin(f"i-{i}") + end("m", "error", "boom", f"i-{i}") for i in range(n))
    return b"".join(each)


def glued(n: int) -> bytes:
    return begin() + b"".join(b"50 % " + end(f"m{i}", "success")[:-1] for i in range(n)) + b"\n"


def torn(n: int) -> bytes:
    return begin() + b"".join(end(f"m{i}", "success")[:150] for i in range(n)) + b"\n"


def nested_torn(n: int) -> bytes:
    return begin() + b'{"data": {"a": [1, 2, ' * n + b"\n"


def chatter(n: int) -> bytes:
    sql = line("SQLQuery", {"sql": "select 1", "conn_name": "m"})
    return begin() + sql * n


def chatter_and_prints(n: int) -> bytes:
    sql = line("SQLQuery", {"sql": "select 1", "conn_name": "m"})
    return begin() + (sql + b'{"data": {"rows": 1}}\n') * n


def one_line(n: int) -> bytes:
    return begin() + end("m", "error", "x" * n * 1_000)


def deep(n: int) -> bytes:
    response = b'{"adapter_response": {"a": ' + b"[" * n + b"]" * n + b"}, "
    return begin() + end("m", "success").replace(
        b'{"execution_time"', response + b'"execution_time"'
    )


def unfinished(n: int) -> bytes:
    return begin() + b"".join(line("NodeStart", {"node_info": node(f"m{i}")}) for i in range(n))


MANY = tuple(f"secret-{i}" for i in range(50))
KINDS: dict[
    str, tuple[Callable[[int], bytes], int, Callable[[int], Lineage] | None, tuple[str, ...]]
] = {
    "skips": (skips, 5_500, None, ()),
    "skips, in a chain": (skips, 5_500, chain, ()),
    "failures and skips": (failures_and_skips, 5_500, None, ()),
    "failures and skips, with a lineage": (failures_and_skips, 5_500, fan, ()),
    "nodes without an end": (unfinished, 5_500, None, ()),
    "error texts of dbt 1.7": (texts_of_1_7, 3_000, None, ()),
    "error texts of hooks": (hook_errors, 3_000, None, ()),
    "a long error text": (a_long_text, 20_000, None, ()),
    "error texts of one node": (texts_of_one_node, 3_000, None, ()),
    "batches after the end": (batches, 3_000, None, ()),
    "invocations": (invocations, 3_000, None, ()),
    "glued events": (glued, 2_000, None, ()),
    "glued events, 50 secrets": (glued, 2_000, None, MANY),
    "torn events": (torn, 4_000, None, ()),
    "torn events in one another": (nested_torn, 20_000, None, ()),
    "chatter in one chunk": (chatter, 40_000, None, ()),
    "chatter and prints": (chatter_and_prints, 10_000, None, ()),
    "one long line": (one_line, 5_000, None, ()),
    "one long line, 50 secrets": (one_line, 5_000, None, MANY),
    "one deep event": (deep, 100_000, None, ()),
}


def cost(stream: bytes, lineage: Lineage | None, secrets: tuple[str, ...], chunk: int) -> float:
    """CPU seconds to read it to its records."""
    begun = time.process_time()
    reader, run = EventReader(Secrets(secrets)), Run()
    for i in range(0, len(stream), chunk):
        for item in reader.feed(stream[i : i + chunk]):
            if isinstance(item, Event):
                run.feed(item)
                if lineage is not None:
                    run.use_lineage(lineage)
                    lineage = None
    for item in reader.end():
        if isinstance(item, Event):
            run.feed(item)
    run.finish()
    run.failed()
    return time.process_time() - begun


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    asked = sys.argv[2] if len(sys.argv) > 2 else ""
    print(f"{'kind':<36}{'CPU':>9}{'factor':>8}")
    for kind, (make, size, lineage_of, secrets) in KINDS.items():
        if asked not in kind:
            continue
        least: list[float] = []
        for n in (size, 2 * size):
            stream = make(n)
            chunk = len(stream) if "one chunk" in kind else _CHUNK
            lineage = lineage_of(n) if lineage_of is not None else None
            least.append(min(cost(stream, lineage, secrets, chunk) for _ in range(rounds)))
        print(f"{kind:<36}{least[1]:>7.3f} s{least[1] / least[0]:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
