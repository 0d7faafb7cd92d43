"""Made-up projects of any size: the records of a run, and the manifest with the graph."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from dbt_relay.records.outcomes import outcome_of
from dbt_relay.records.schema import NodeRecord, RunRecord
from dbt_relay.sinks import Journal, RunInfo

if TYPE_CHECKING:
    from pathlib import Path

INVOCATION = "5f0c2f0e-0000-4000-8000-000000000001"
_LONG = (
    "Database Error in model {name} (models/{layer}/{name}.sql)\n"
    '  Binder Error: Referenced column "amount_in_euros" not found in FROM clause!\n'
    '  Candidate bindings: "amount", "customer_id", "order_id"\n'
    "  compiled code at target/run/shop/models/{layer}/{name}.sql"
)


class Project:
    """A project of `size` nodes, two in three of them tests, and a run of it in 8 threads.

    Two runs of one `seed` differ by `speed`: the share by which nodes are slower or faster.
    """

    def __init__(self, size: int, seed: int = 1, threads: int = 8) -> None:
        self.threads = threads
        self._random = random.Random(seed)
        self.parents: dict[str, list[str]] = {}
        layers = ("staging", "intermediate", "marts", "reports")
        models = max(1, size // 3)
        names: list[str] = []
        for number in range(models):
            layer = layers[number * len(layers) // models]
            name = f"{layer[:3]}_{self._random.choice(_NOUNS)}_{number}"
            unique_id = f"model.shop.{name}"
            near = names[-max(4, models // 8) :]
            many = self._random.choice((1, 1, 2, 3)) if near and layer != "staging" else 0
            chosen = self._random.sample(near, min(many, len(near)))
            self.parents[unique_id] = chosen
            names.append(unique_id)
        for number in range(size - models):
            tested = names[number % models]
            kind = ("not_null", "unique", "accepted_values")[number // models % 3]
            unique_id = f"test.shop.{kind}_{tested.split('.')[2]}_id.{number:010x}"
            self.parents[unique_id] = [tested]

    def records(self, failing: int = 0, speed: float = 0.0) -> list[NodeRecord]:
        """The records of a run in which the first `failing` marts fail."""
        marts = [u for u in self.parents if u.startswith("model.shop.mar")]
        broken = set(marts[:failing])
        began = datetime(2026, 11, 26, 3, tzinfo=timezone.utc)
        free = [0.0] * self.threads
        ended: dict[str, float] = {}
        bad: dict[str, str] = {}
        found: list[NodeRecord] = []
        for number, (unique_id, parents) in enumerate(self.parents.items()):
            cause = next((bad[p] for p in parents if p in bad), None)
            if cause is not None:
                bad[unique_id] = cause
                found.append(_skipped(unique_id, cause))
                continue
            chance = random.Random(f"{unique_id}{speed}").random()
            seconds = (0.3 if unique_id.startswith("test.") else 4.0) * (0.2 + chance**6 * 8)
            seconds *= 1 + speed * (chance - 0.3)
            thread = min(range(self.threads), key=free.__getitem__)
            start = max([free[thread], *(ended[p] for p in parents)])
            free[thread] = ended[unique_id] = start + seconds
            at = [began + timedelta(seconds=20 + s) for s in (start, start + seconds)]
            found.append(_ran(unique_id, number, at, thread, is_broken=unique_id in broken))
            if unique_id in broken:
                bad[unique_id] = unique_id
        return found

    def write_manifest(self, target_dir: Path) -> None:
        """As dbt 1.11 writes one, with nothing but the parts that a report reads."""
        target_dir.mkdir(parents=True, exist_ok=True)
        nodes = {
            u: {
                "resource_type": u.partition(".")[0],
                "package_name": "shop",
                "path": f"{u.split('.')[2]}.sql",
                "original_file_path": f"models/{u.split('.')[2]}.sql",
                "unique_id": u,
            }
            for u in self.parents
        }
        metadata = {"invocation_id": INVOCATION}
        manifest = {"metadata": metadata, "nodes": nodes, "parent_map": self.parents}
        (target_dir / "manifest.json").write_text(json.dumps(manifest))


_NOUNS = ("orders", "customers", "payments", "refunds", "sessions", "stock", "prices", "visits")


def _ran(
    unique_id: str, number: int, at: list[datetime], thread: int, *, is_broken: bool
) -> NodeRecord:
    kind, _, name, *_ = unique_id.split(".")
    layer = "marts"
    status = "pass" if kind == "test" else "success"
    status = "error" if is_broken else "warn" if kind == "test" and number % 97 == 0 else status
    message = {"warn": "Got 3 results, configured to warn if != 0", "pass": None}.get(status, "OK")
    times = [time.isoformat().replace("+00:00", "Z") for time in at]
    return NodeRecord(
        unique_id=unique_id,
        resource_type=kind,
        name=name,
        status=status,
        outcome=outcome_of(status),
        message=_LONG.format(name=name, layer=layer) if is_broken else message,
        started_at=times[0],
        finished_at=times[1],
        execution_time=(at[1] - at[0]).total_seconds(),
        relation=f'"warehouse"."main"."{name}"' if kind == "model" else None,
        adapter_response={"rows_affected": number * 37 % 90_000} if kind == "model" else None,
        failures=3 if status == "warn" else 0 if kind == "test" else None,
        path=f"{name}.sql",
        thread=f"Thread-{thread + 1} (worker)",
        invocation_id=INVOCATION,
        dbt_version="1.11.16",
    )


def _skipped(unique_id: str, cause: str) -> NodeRecord:
    kind, _, name, *_ = unique_id.split(".")
    return NodeRecord(
        unique_id=unique_id,
        resource_type=kind,
        name=name,
        status="skipped",
        outcome="skipped",
        skip_cause="upstream_failed",
        caused_by=cause,
        invocation_id=INVOCATION,
    )


def put_run(
    state_dir: Path, records: list[NodeRecord], target_dir: Path | None = None, **about: Any
) -> int:
    """A finished run in the journal of `state_dir`; its number. `about` is for the run record."""
    info = RunInfo(
        command=("dbt", "build"),
        started_at="2026-11-26T03:00:00.000000Z",
        cwd=str(state_dir),
        target_dir=str(target_dir) if target_dir is not None else None,
    )
    last = max((r.finished_at for r in records if r.finished_at), default=info.started_at)
    own = RunRecord(
        state="finished", exit_code=0, started_at=info.started_at, dbt_version="1.11.16"
    )
    with Journal(state_dir) as journal:
        run = journal.begin(info)
        for record in (*records, replace(own, **{"finished_at": last, **about})):
            run.put(record, 0.0)
        run.close()
        return run.number
