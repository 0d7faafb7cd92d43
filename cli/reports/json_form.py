"""`--format json`: the run as one JSON object, for another program."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from ...records.values import encode

if TYPE_CHECKING:
    from .picture import Picture

SCHEMA: Final = "dbt-relay/report@1"


def json_form(picture: Picture) -> str:
    run, comparison = picture.run, picture.comparison
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "run": run.number,
        "state": run.state,
        "command": list(run.info.command),
        "project_dir": run.info.project,
        "task": asdict(run.info.task) if run.info.task is not None else None,
        "started_at": run.info.started_at,
        "seconds": round(picture.seconds, 6),
        "record": run.record.to_json() if run.record is not None else None,
        "nodes": [node.to_json() for node in picture.nodes],
        "parents": {node: list(of_node) for node, of_node in picture.parents.items()},
        "waits": {node: asdict(wait) for node, wait in picture.waits.items()},
        "critical_path": picture.critical_path,
        "causes": [
            {"unique_id": cause.unique_id, "skipped": list(cause.skipped)}
            for cause in picture.causes.found
        ],
        "earlier_run": picture.earlier.number if picture.earlier is not None else None,
        "comparison": asdict(comparison) if comparison is not None else None,
        "delivery": {sink: dict(counts) for sink, counts in run.delivery.items()},
    }
    return encode(found).decode() + "\n"
