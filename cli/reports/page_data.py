"""What the page's script draws: the nodes in columns, as JSON that no text can break out of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...consumer.course.layers import layers
from ...records.display import displayed, in_one_line
from ...records.values import encode
from .wording import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...records.schema import NodeRecord
    from .picture import Picture

_ESCAPES: Final = {
    b"<": b"\\u003c",
    b">": b"\\u003e",
    b"&": b"\\u0026",
    "\u2028".encode(): b"\\u2028",
    "\u2029".encode(): b"\\u2029",
}
"""Only texts hold these characters, so the JSON stays the same JSON."""
_LONGEST: Final = 4000
"""Characters of a message in the table. The failures stand on the page with their whole texts."""


def script_data(picture: Picture) -> str:
    """The JSON for the element with the id `data`."""
    text = encode(_data(picture))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text.decode()


def _data(picture: Picture) -> dict[str, Any]:
    place = {node.unique_id: number for number, node in enumerate(picture.nodes)}
    return {
        "start": picture.start,
        "seconds": picture.seconds,
        "lanes": [lane.name for lane in picture.lanes],
        "critical": [place[u] for u in picture.critical_path],
        "hasGraph": bool(picture.parents),
        "nodes": {**_told(picture.nodes), **_timed(picture), **_placed(picture, place)},
    }


def _told(nodes: Sequence[NodeRecord]) -> dict[str, list[Any]]:
    """What the records say."""
    return {
        "id": [in_one_line(node.unique_id) for node in nodes],
        "name": [in_one_line(node.name or node.unique_id) for node in nodes],
        "kind": [in_one_line(node.resource_type or "") for node in nodes],
        "outcome": [node.outcome for node in nodes],
        "status": [in_one_line(node.status) for node in nodes],
        "seconds": [_rounded(node.execution_time) for node in nodes],
        "rows": [rows_of(node) for node in nodes],
        "relation": [in_one_line(node.relation or "") for node in nodes],
        "message": [displayed((node.explanation or "")[:_LONGEST]) for node in nodes],
        "kindOfError": [in_one_line(node.error_type or "") for node in nodes],
        "batches": [_batches(node) for node in nodes],
        "resumedFrom": [node.resumed_from for node in nodes],
        "renewed": [int(bool(node.renewed)) for node in nodes],
    }


def _timed(picture: Picture) -> dict[str, list[Any]]:
    """When the nodes ran: `from` and `to` are seconds after the run's start."""
    nodes, spans, start = picture.nodes, picture.spans, picture.start
    lane_of = {s.unique_id: n for n, lane in enumerate(picture.lanes) for s in lane.spans}
    ran = [spans.get(node.unique_id) for node in nodes]
    earlier = [picture.before.get(node.unique_id) for node in nodes]
    return {
        "lane": [lane_of.get(node.unique_id, -1) for node in nodes],
        "from": [_rounded(span.start - start) if span else None for span in ran],
        "to": [_rounded(span.end - start) if span else None for span in ran],
        "before": [_rounded(old.execution_time) if old else None for old in earlier],
    }


def _placed(picture: Picture, place: dict[str, int]) -> dict[str, list[Any]]:
    """How the nodes hang together. Nodes are numbers: their places in the columns."""
    nodes, waits = picture.nodes, picture.waits
    at = {u: (n, m) for n, layer in enumerate(layers(picture.parents)) for m, u in enumerate(layer)}
    found = [waits.get(node.unique_id) for node in nodes]
    return {
        "parents": [[place[p] for p in picture.parents.get(node.unique_id, ())] for node in nodes],
        "layer": [at.get(node.unique_id, (0, 0))[0] for node in nodes],
        "order": [at.get(node.unique_id, (0, 0))[1] for node in nodes],
        "waitedFor": [place[wait.parent] if wait else -1 for wait in found],
        "queued": [_rounded(wait.queued) if wait else None for wait in found],
        "cause": [place.get(node.caused_by or "", -1) for node in nodes],
        "causeName": [in_one_line(node.caused_by or "") for node in nodes],
        "file": [in_one_line(picture.file_of(node) or "") for node in nodes],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _batches(node: NodeRecord) -> str:
    return ", ".join(f"{count} {word}" for word, count in (node.batches or {}).items())
