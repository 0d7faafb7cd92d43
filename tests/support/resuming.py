"""An earlier attempt, a `dbt ls`, and what comes of them, as tests of resuming need them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from dbt_relay.cli.resume.listing import LsOutput
from dbt_relay.cli.resume.resumption import PreviousAttempt, Resumption, resume
from dbt_relay.records.schema import NodeRecord
from support.records import node

AS_JSON = "--output json --output-keys unique_id fqn depends_on config checksum"
STATUSES = {
    "seed.shop.raw": "success",
    "model.shop.a": "success",
    "model.shop.b": "error",
    "model.shop.c": "skipped",
    "test.shop.of_a": "warn",
    "test.shop.of_b": "skipped",
    "operation.shop.shop-on-run-start-0": "success",
}
LIKE: dict[str, dict[str, Any]] = {
    "unit_test.shop.of_a": {"depends_on": {"nodes": ["model.shop.a"]}},
    "model.shop.ephemeral": {"config": {"materialized": "ephemeral"}},
}
LISTED = {**STATUSES, "model.shop.never_started": "", "source.shop.x": ""}


def record(unique_id: str, status: str, **fields: Any) -> NodeRecord:
    return node(unique_id, status, **{"attempt": 1, "invocation_id": "i-1", **fields})


def previous(command: str = "dbt build", **fields: Any) -> PreviousAttempt:
    records = {u: record(u, status) for u, status in STATUSES.items()}
    known = {
        "attempt": 1,
        "command": tuple(shlex.split(command)),
        "exit_code": 1,
        "invocation_ids": ("i-1",),
        "target_dir": None,
        "records": records,
    }
    return PreviousAttempt(**{**known, **fields})


def write_results(folder: Path, statuses: dict[str, str], invocation_id: str = "i-1") -> None:
    results = [
        {"unique_id": u, "status": s} for u, s in statuses.items() if not u.startswith("operation")
    ]
    document = {"metadata": {"invocation_id": invocation_id}, "results": results}
    (folder / "run_results.json").write_text(json.dumps(document))


MODELS = {u: record(u, STATUSES[u]) for u in ("model.shop.a", "model.shop.b")}


class Ls:
    """A `dbt ls` that lists what it is told, and notes how it was called.

    `others` are in the project and not selected; `like` are what nodes have besides their names.
    """

    def __init__(
        self,
        *unique_ids: str,
        others: tuple[str, ...] = (),
        error: str | None = None,
        like: dict[str, dict[str, Any]] = LIKE,
    ) -> None:
        self.unique_ids = unique_ids or tuple(u for u in LISTED if not u.startswith("operation"))
        self.others = others
        self.error = error
        self.like = like
        self.calls: list[str] = []

    def __call__(self, argv: tuple[str, ...]) -> LsOutput:
        self.calls.append(shlex.join(argv))
        listed = (*self.unique_ids, *(self.others if "fqn:*" in argv else ()))
        nodes = [{"unique_id": u, "fqn": u.split(".")[1:], **self.like.get(u, {})} for u in listed]
        lines = ["12:00:00  a warning", *map(json.dumps, nodes)]
        return LsOutput("\n".join(lines), self.error)


SELECTED = tuple(u for u in STATUSES if not u.startswith("operation"))


def resumed(
    known: PreviousAttempt | None,
    ls: Ls | None = None,
    command: str = "dbt build",
    target: str = "t",
) -> Resumption:
    return resume(
        shlex.split(command),
        known,
        attempt=2,
        target_dir=Path(target),
        run_ls=ls or Ls(*SELECTED),
    )


def names(found: Resumption) -> set[str]:
    """The last part of the name of each node that is selected by name."""
    terms = (word for word in found.command if word.startswith("fqn:"))
    return {term.rpartition(".")[2].replace("[", "").replace("]", "") for term in terms}
