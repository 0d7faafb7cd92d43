"""The result of a node in dbt's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...records.display import displayed, in_one_line

if TYPE_CHECKING:
    from ...records.schema import NodeRecord

_DONE: Final = {"seed": "loaded", "snapshot": "snapshotted"}
_DOING: Final = {"seed": "loading", "snapshot": "snapshotting"}
_MADE: Final = frozenset({"model", "seed", "snapshot", "function"})
_TESTS: Final = frozenset({"test", "unit_test"})
_ENDED: Final = frozenset({"success", "error", "partial success", "reused"})
_FRESHNESS: Final = {"error": "ERROR STALE", "runtime error": "ERROR"}


def result_text(record: NodeRecord) -> str:
    """dbt's line about the node's end, and below it the full text of an error, failure or warning.

    The line has no dots and colours. It does not name the model of a unit test, which no record
    has.
    """
    line = " ".join(part for part in (_count(record), _what(record), _how(record)) if part)
    told = record.explanation
    if told is None or record.outcome == "success":
        return in_one_line(line)
    return f"{in_one_line(line)}\n{displayed(told)}"


def _count(record: NodeRecord) -> str:
    return f"{record.index} of {record.total}" if record.index and record.total else ""


def _what(record: NodeRecord) -> str:
    kind = record.resource_type or record.unique_id.partition(".")[0]
    name = record.name or record.unique_id
    if record.outcome == "skipped":
        is_relation = record.relation is not None and kind not in _TESTS
        return f"SKIP relation {_relation(record)}" if is_relation else f"SKIP {kind} {name}"
    if kind in _TESTS and record.outcome != "interrupted":
        return f"{_test_status(record)} {name}"
    if kind == "source":
        return f"{_freshness(record)} freshness of {record.unique_id.split('.', 2)[-1]}"
    if kind in _MADE and record.status in _ENDED:
        return " ".join([_verb(record, kind), *_kind(record, kind), _relation(record)])
    return f"{record.status.upper()} {kind.replace('_', ' ')} {name}"


def _verb(record: NodeRecord, kind: str) -> str:
    done = _DONE.get(kind, "created")
    if record.status == "partial success":
        return f"PARTIALLY {done}"
    if record.status == "error":
        return f"ERROR {_DOING.get(kind, 'creating')}"
    return f"{'OK' if record.status == 'success' else record.status.upper()} {done}"


def _kind(record: NodeRecord, kind: str) -> list[str]:
    match kind:
        case "model":
            language = "python" if (record.path or "").endswith(".py") else "sql"
            materialized = "microbatch" if record.batches else record.materialized
            return [word for word in (language, materialized, "model") if word]
        case "seed":
            return ["seed file"]
        case "snapshot":
            return []
        case _:
            return [kind]


def _relation(record: NodeRecord) -> str:
    """The schema and the identifier, as dbt prints them."""
    relation = record.relation or record.name or record.unique_id
    return ".".join(part.strip('"`[]') for part in relation.split(".")[-2:])


def _freshness(record: NodeRecord) -> str:
    return _FRESHNESS.get(record.status, record.status.upper())


def _test_status(record: NodeRecord) -> str:
    counts = record.failures and record.status in ("fail", "warn")
    return f"{record.status.upper()} {record.failures}" if counts else record.status.upper()


def _how(record: NodeRecord) -> str:
    if record.outcome == "skipped":
        cause = f" because {record.caused_by} did not succeed" if record.caused_by else ""
        return f"[SKIP{cause}]"
    kind = record.resource_type
    if kind in _TESTS:
        status = _test_status(record)
    elif kind == "source":
        status = _freshness(record)
    elif record.status == "success":
        status = record.message or "OK"
    elif record.status == "partial success" and record.batches:
        ran, total = record.batches.get("success", 0), record.batches.get("total")
        status = f"PARTIAL SUCCESS ({ran}/{total})"
    else:
        status = record.status.upper()
    seconds = record.execution_time
    return f"[{status}]" if seconds is None else f"[{status} in {seconds:.2f}s]"
