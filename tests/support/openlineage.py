"""OpenLineage's specification, which every event has to follow."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from dbt_relay.records.instant import moment

SPEC = Path(__file__).parent / "openlineage_spec"
Event = dict[str, Any]


@cache
def _schemas() -> tuple[Registry[Any], dict[str, str]]:
    """All schemas, and the address of the definition for each file that only has another one."""
    resources: list[tuple[str, Resource[Any]]] = []
    addresses: dict[str, str] = {}
    for path in SPEC.rglob("*.json"):
        schema = json.loads(path.read_text())
        # The schemas of dbt's facets name no draft that has `$defs`.
        resources.append((schema["$id"], Resource(schema, DRAFT202012)))
        (definition,) = [name for name in schema["$defs"] if name.startswith("Dbt")] or [""]
        addresses[path.name] = f"{schema['$id']}#/$defs/{definition}"
    # The schema of `dbt_version` extends a facet of an older version, which was the same.
    (newest,) = [r for address, r in resources if address.endswith("/2-0-2/OpenLineage.json")]
    resources.append(("https://openlineage.io/spec/1-0-2/OpenLineage.json", newest))
    registry: Registry[Any] = Registry().with_resources(resources)
    return registry, addresses


def _check(value: Any, address: str) -> None:
    registry, addresses = _schemas()
    known = address if "#" in address else addresses[address.rsplit("/", 1)[-1]]
    Draft202012Validator(
        {"$ref": known}, registry=registry, format_checker=FormatChecker()
    ).validate(value)


def check(event: Event) -> None:
    """Raises ValidationError if the event or one of its facets does not follow its schema."""
    _check(event, event["schemaURL"])
    assert moment(event["eventTime"])
    assert event["eventTime"].endswith("Z")
    for facet in facets_of(event):
        assert facet["_producer"] == event["producer"] or "openlineage_client" in str(facet)
        _check(facet, facet["_schemaURL"])


def facets_of(event: Event) -> list[dict[str, Any]]:
    """All facets: of the run, the job, and each table."""
    groups = [event["run"]["facets"], event["job"]["facets"]]
    for table in (*event["inputs"], *event["outputs"]):
        groups += [table.get(key, {}) for key in ("facets", "inputFacets", "outputFacets")]
    return [facet for group in groups for facet in group.values()]


def check_runs(events: list[Event]) -> None:
    """Each event follows the specification; each run starts once and ends once, in this order."""
    for event in events:
        check(event)
    states: dict[str, list[str]] = {}
    for event in events:
        states.setdefault(event["run"]["runId"], []).append(event["eventType"])
    assert all(s[0] == "START" and len(s) == 2 and s[1] != "START" for s in states.values()), states


def ends(events: list[Event]) -> dict[str, Event]:
    """The last end of each job, by the job's name."""
    return {e["job"]["name"]: e for e in events if e["eventType"] != "START"}


def kinds(events: list[Event]) -> Counter[str]:
    return Counter(event["eventType"] for event in events)
