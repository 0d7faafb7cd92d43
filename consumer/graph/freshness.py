"""The sources that dbt checks for freshness before it builds what reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from .selection import select

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .manifest import Manifest

_NONE: Final = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Freshness:
    """The unique_ids of the `sources` to check, and the sources that each node reads.

    A node reads a source directly or through any other nodes, so these are the nodes that dbt
    leaves out with `--exclude source:…+`.
    """

    sources: tuple[str, ...] = ()
    read: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    @classmethod
    def of(
        cls, manifest: Manifest, nodes: Iterable[str], exclude: str | Sequence[str] | None
    ) -> Freshness:
        """The sources with freshness rules that these nodes read, without those in `exclude`."""
        wanted = {*select(manifest, "source:*", exclude).unique_ids}
        read: dict[str, frozenset[str]] = {}
        for unique_id, node in manifest.nodes.items():
            own = frozenset({unique_id}) if node.has_freshness and unique_id in wanted else _NONE
            read[unique_id] = own | _NONE.union(*(read[parent] for parent in node.parents))
        sources = _NONE.union(*(read[unique_id] for unique_id in nodes))
        return cls(
            tuple(u for u in manifest.nodes if u in sources),
            {unique_id: found & sources for unique_id, found in read.items()},
        )

    def with_sources(self, nearest: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """The nearest ancestors of nodes, with the sources that no other ancestor reads."""
        return {u: (*before, *self.new([u], before)) for u, before in nearest.items()}

    def new(self, nodes: Iterable[str], upstream: Iterable[str] = ()) -> list[str]:
        """The sources that one of these nodes reads, and that no node `upstream` reads."""
        found = self._of(nodes) - self._of(upstream)
        return [source for source in self.sources if source in found]

    def _of(self, nodes: Iterable[str]) -> frozenset[str]:
        return _NONE.union(*(self.read.get(unique_id, _NONE) for unique_id in nodes))
